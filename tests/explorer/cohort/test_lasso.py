import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.explorer.cohort.lasso import NEAR, rows_inside

PIXEL = (0.1, 0.01)


def grid():
    x, y = np.meshgrid(np.arange(10.0), np.arange(10.0))
    return x.ravel(), y.ravel()


def ring(*corners):
    xs, ys = zip(*corners, strict=True)
    return {"type": "poly", "x": np.array(xs, float), "y": np.array(ys, float)}


def test_a_lasso_holds_what_is_inside_also_where_it_is_bent_in():
    x, y = grid()
    bent = ring((-0.5, -0.5), (4.5, -0.5), (4.5, 2.5), (2.5, 2.5), (2.5, 4.5), (-0.5, 4.5))  # an L
    inside = rows_inside(x, y, bent, PIXEL)
    assert sorted(inside) == sorted(np.flatnonzero(((x <= 4) & (y <= 2)) | ((x <= 2) & (y <= 4))))


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.floats(-2, 12).filter(lambda v: abs(v - round(v)) > 1e-6)] * 4))
def test_a_box_is_the_lasso_of_its_corners(ends):
    x0, x1, y0, y1 = ends
    x, y = grid()
    box = rows_inside(x, y, {"type": "rect", "x0": x0, "x1": x1, "y0": y0, "y1": y1}, PIXEL)
    lasso = rows_inside(x, y, ring((x0, y0), (x1, y0), (x1, y1), (x0, y1)), PIXEL)
    assert box.tolist() == lasso.tolist()


def test_a_tap_means_the_nearest_on_the_screen_or_nothing():
    x, y = np.array([0.0, 1.0, np.nan]), np.array([0.0, 0.0, 0.0])
    tap = {"type": "point", "x": 0.55, "y": 0.0}
    assert rows_inside(x, y, tap, PIXEL).tolist() == [1]
    assert rows_inside(x, y, {**tap, "y": NEAR * PIXEL[1] + 0.01}, PIXEL).tolist() == []  # an axis of other pixels
    assert rows_inside(x[2:], y[2:], tap, PIXEL).tolist() == []


def test_an_outline_without_an_inside_holds_nothing():
    x, y = grid()
    for geometry in (
        ring((0, 0), (5, 5)),
        {"type": "span", "x": 1.0},
        {},
        {"type": "rect", "x0": "a"},
        {"type": "poly", "x": [1, 2, 3], "y": [1]},
        {"type": "point", "x": None, "y": 0},
        {"type": "poly", "x": ["<b>"] * 4, "y": [0] * 4},
        ring((np.nan, 0), (5, 5), (0, 5)),
    ):
        assert rows_inside(x, y, geometry, PIXEL).tolist() == []


def test_a_lasso_of_very_many_corners_holds_the_same():
    x, y = np.random.default_rng(0).uniform(-2, 2, (2, 5000))
    angle = np.linspace(0, 2 * np.pi, 300_000)
    circle = {"type": "poly", "x": 1.5 * np.cos(angle), "y": 1.5 * np.sin(angle)}
    inside = set(rows_inside(x, y, circle, PIXEL))
    away = np.hypot(x, y)
    assert set(np.flatnonzero(away < 1.499)) <= inside <= set(np.flatnonzero(away < 1.501))
