import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.plots import UNKNOWN, category_colors, label_colors
from workbench.plots.palette import CATEGORIES, UNKNOWN_COLOR, as_categories, coded

NAMES = st.lists(st.sampled_from(["Beijing", "Cambridge", "IXI", "Oslo", "", None]), min_size=1, max_size=30)


@given(NAMES, st.randoms())
def test_colors_belong_to_the_category_and_not_to_the_order(names, random):
    shuffled = random.sample(names, len(names))
    assert category_colors(names) == category_colors(shuffled)


@given(NAMES)
def test_missing_values_are_one_grey_category(names):
    colors = category_colors(names)
    assert (UNKNOWN in colors) == any(n in (None, "") for n in names)
    assert colors.get(UNKNOWN, UNKNOWN_COLOR) == UNKNOWN_COLOR
    assert list(colors) == sorted(set(colors) - {UNKNOWN}) + [UNKNOWN] * (UNKNOWN in colors)


def test_fourteen_categories_are_told_apart_and_more_do_not_crash():
    assert len(set(category_colors(f"{i:02d}" for i in range(14)).values())) == len(CATEGORIES) == 14
    assert len(category_colors(f"{i:02d}" for i in range(40))) == 40


def test_truth_and_prediction_never_share_a_color():
    for n in (1, 2, 5):
        truth, prediction = (label_colors(n, source) for source in ("truth", "prediction"))
        assert len(truth) == len(prediction) == n
        assert not {tuple(c) for c in truth} & {tuple(c) for c in prediction}
        assert len({tuple(c) for c in truth}) == n


@pytest.mark.parametrize(
    "values",
    [
        ["b", None, "a", "", "b"],
        [2.0, np.nan, 1.5, 2.0],
        [3, 1, 2, 1],
        [True, False, True],
        [1, True, "1", None],
        pd.Categorical(["b", "a", None, "b"], categories=["b", "z", "a"]),
        pd.to_datetime(["2020-01-02", None, "2019-05-06"]),
        [],
    ],
)
def test_a_column_is_named_value_by_value_however_it_is_stored(values):
    column = pd.Series(values)
    one_by_one = [UNKNOWN if pd.isna(v) or str(v) == "" else str(v) for v in column]
    assert as_categories(column) == one_by_one == as_categories(iter(one_by_one))
    codes, names = coded(column)
    known = sorted({*one_by_one} - {UNKNOWN})
    assert names == known + [UNKNOWN] * (UNKNOWN in one_by_one) and [names[c] for c in codes] == one_by_one
