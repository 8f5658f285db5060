"""What is drawn is what is in the table, and it can be drawn."""

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_curve

from workbench.plots.cells import choose, interactive, titles
from workbench.plots.estimates import by_group, intervals, roc_curves


def test_intervals_keep_their_order_and_leave_out_ends_that_are_not_known():
    table = pd.DataFrame(
        {"arm": ["first", "second"], "estimate": [0.5, 0.7], "low": [0.4, np.nan], "high": [0.6, np.nan]}
    )
    drawn = intervals(table, "arm", reference=0.5, quantity="AUROC")
    assert hv.render(drawn, backend="bokeh").xaxis.axis_label == "AUROC"
    (points,) = drawn.traverse(lambda e: e, [hv.Points])
    (bars,) = drawn.traverse(lambda e: e, [hv.Segments])
    assert points.array().tolist() == [[0.5, 1.0], [0.7, 0.0]], "the first on top"
    assert bars.array().tolist() == [[0.4, 1.0, 0.6, 1.0]]


def test_by_group_draws_every_value_above_its_group_and_the_median():
    table = pd.DataFrame({"site": ["b", "a", None, "b", "b"], "age": [3.0, 1.0, 7.0, np.nan, 5.0]})
    drawn = by_group(table, "age", "site")
    hv.render(drawn, backend="bokeh")
    points = np.concatenate([e.array() for e in drawn.traverse(lambda e: e, [hv.Points])])
    assert sorted((round(x), y) for x, y in points) == [(0, 1.0), (1, 3.0), (1, 5.0), (2, 7.0)]
    medians = [e.array()[0, 1] for e in drawn.traverse(lambda e: e, [hv.Segments])]
    assert medians == [1.0, 4.0, 7.0]


def test_the_roc_curve_is_the_usual_one():
    rng = np.random.default_rng(0)
    score, positive = rng.integers(0, 5, 40).astype(float), rng.random(40) < 0.4
    drawn = roc_curves({"arm": (score, positive)})
    hv.render(drawn, backend="bokeh")
    curve = drawn.traverse(lambda e: e, [hv.Curve])[1].array()
    false, true, _ = roc_curve(positive, score, drop_intermediate=False)
    assert curve == pytest.approx(np.stack([false, true], axis=1))


def test_outside_a_kernel_nobody_looks_and_only_the_first_is_drawn(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    assert not interactive()
    choose(str.upper, ["a", "b"])
    choose(str.upper, ["a", "b"], "b")
    assert shown == ["A", "B"]
    with pytest.raises(ValueError, match="no scan"):
        choose(str.upper, [])


def test_simulated_data_are_called_so():
    assert titles(True)("age") == "Simulated data: age" and titles(False)("age") == "age"
