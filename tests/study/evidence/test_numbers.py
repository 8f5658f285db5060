"""Every person's numbers from the tables of a cell."""

from types import SimpleNamespace

import pandas as pd

from workbench.study.evidence.numbers import _segmentation


def test_too_large_on_the_left_does_not_make_up_for_too_small_on_the_right():
    table = pd.DataFrame(
        {
            "participant": "p",
            "site": "A",
            "split": "test",
            "structure": ["left", "right"],
            "dice": 0.5,
            "hd95_mm": 1.0,
            "surface_dice_1mm": 0.5,
            "volume_error_ml": [0.4, -0.4],
            "volume_error_percent": [20.0, -20.0],
            "empty": ["", "prediction"],
        }
    )
    long = _segmentation(SimpleNamespace(read_table=lambda name: table))
    mean = long[long["structure"] == "mean"].set_index("metric")["value"]
    assert mean["volume_error"] == 20 and mean["volume_error_percent"] == 0 and mean["missed"] == 0.5
