import holoviews as hv
import numpy as np
import pandas as pd
import pytest

from workbench.plots import run_curves, training_curves


@pytest.fixture
def metrics():
    return pd.DataFrame(
        {
            "step": [1, 2, 3, 3, 2, 3, 4],
            "loss": [5.0, 4, 3, np.nan, 4.5, 3.5, 2],
            "kl": [1.0, 1, 1, np.nan, 1, 1, 1],
            "alarm": [None, None, None, "why", None, None, None],
        }
    )


def test_a_repeated_step_counts_once_with_its_last_value_and_alarms_are_no_points(metrics):
    curve = training_curves(metrics, ["loss"]).get(0)
    assert curve.dimension_values("x").tolist() == [1, 2, 3, 4]
    assert curve.dimension_values("y").tolist() == [5, 4.5, 3.5, 2]


def test_one_curve_a_column_in_fixed_colours(metrics):
    overlay = training_curves(metrics, ["loss", "kl"], label="value", title="t")
    assert [curve.label for curve in overlay] == ["loss", "kl"]
    colors = [curve.opts.get("style").kwargs["color"] for curve in overlay]
    assert len(set(colors)) == 2
    assert colors[0] == training_curves(metrics, ["loss"]).get(0).opts.get("style").kwargs["color"]
    plot = hv.render(overlay, backend="bokeh")
    assert plot.title.text == "t"
    assert plot.yaxis[0].axis_label == "value"
    assert [item.label.value for item in plot.legend[0].items] == ["loss", "kl"]


def test_runs_side_by_side(metrics):
    overlay = run_curves({"a": metrics, "b": metrics.head(2)}, "loss")
    assert {curve.label: len(curve) for curve in overlay} == {"a": 4, "b": 2}
    assert hv.render(overlay, backend="bokeh").yaxis[0].axis_label == "loss"


def test_an_unknown_column_is_named(metrics):
    with pytest.raises(KeyError, match=r"los.*they have: step, loss"):
        training_curves(metrics, ["los"])
