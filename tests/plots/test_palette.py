from hypothesis import given
from hypothesis import strategies as st

from workbench.plots import UNKNOWN, category_colors, label_colors
from workbench.plots.palette import CATEGORIES, UNKNOWN_COLOR

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
