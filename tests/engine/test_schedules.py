import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.engine.schedules import cosine, linear, warmup_cosine


@given(steps=st.integers(2, 1000), start=st.floats(0, 1), end=st.floats(0, 1))
def test_cosine_starts_and_ends_where_it_says_and_is_monotone(steps, start, end):
    values = [cosine(s, steps, start, end) for s in range(steps)]
    assert values[0] == pytest.approx(start) and values[-1] == pytest.approx(end)
    rising = all(b >= a - 1e-9 for a, b in itertools.pairwise(values))
    falling = all(b <= a + 1e-9 for a, b in itertools.pairwise(values))
    assert rising or falling


@given(steps=st.integers(4, 500), share=st.floats(0.1, 0.9))
def test_warmup_reaches_the_peak_once(steps, share):
    warmup = max(1, int(steps * share))
    values = [warmup_cosine(s, steps, warmup, 1.0, 0.0) for s in range(steps)]
    assert max(values) == pytest.approx(1.0) and values[warmup - 1] == pytest.approx(1.0)
    assert values[0] > 0  # no step is wasted at zero


def test_linear_is_constant_afterwards():
    assert [linear(s, 4, 0.0, 1.0) for s in (0, 2, 4, 9)] == [0.0, 0.5, 1.0, 1.0]
    assert linear(0, 0, 0.04, 0.07) == 0.07
