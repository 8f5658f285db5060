"""Time to Dice."""

import numpy as np
import pandas as pd
import pytest

from workbench.study.evidence.timing import reached_table


def test_the_step_at_which_an_arm_is_there():
    rows = [
        {
            "task": "t",
            "direction": "d",
            "fraction": 1.0,
            "arm": arm,
            "seed": 0,
            "fold": 0,
            "step": step,
            "seconds": 60.0 * step,
            "participant": f"p{i}",
            "dice": min(0.8, speed * step * 0.1) + 0.001 * i,
        }
        for arm, speed in (("random", 1), ("fast", 2), ("slow", 0.5))
        for step in range(1, 9)
        for i in range(6)
    ]
    found = reached_table(pd.DataFrame(rows), "random").set_index("arm")
    assert found.loc["random", "goal"] == pytest.approx(0.95 * 0.8025)
    assert (found.loc["random", "steps"], found.loc["fast", "steps"]) == (8, 4)
    assert found.loc["fast", "minutes"] == 4 and np.isinf(found.loc["slow", "steps"])
    assert found.loc["fast", "steps_low"] <= 4 <= found.loc["fast", "steps_high"]
    assert not len(reached_table(pd.DataFrame(rows), "another"))
