"""The linear model: finds what is there, and says when it did not come to its end."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from workbench.analysis.probe import linear
from workbench.analysis.probe.linear import PENALTIES, fit_probe


def people(n, *, signal, seed=0, tokens=60, width=12):
    """Tokens of whom one in six is in the structure, and shifted by ``signal`` along one direction."""
    rng = np.random.default_rng(seed)
    direction = np.r_[np.ones(3), np.zeros(width - 3)]
    inside = [rng.random(tokens) < 1 / 6 for _ in range(n)]
    for one in inside:
        one[0] = True
    return [rng.normal(size=(tokens, width)) + signal * one[:, None] * direction for one in inside], inside


@pytest.mark.parametrize("n", [1, 2, 6])
def test_a_planted_direction_is_found_in_people_not_learnt_from(n):
    probe = fit_probe(*people(n, signal=2.0), np.random.default_rng(0))
    tokens, inside = people(5, signal=2.0, seed=9)
    assert np.mean([average_precision_score(i, probe.score(t)) for t, i in zip(tokens, inside, strict=True)]) > 0.9
    assert probe.ended and np.abs(probe.weights_D[:3]).min() > np.abs(probe.weights_D[3:]).max()


def test_nothing_is_found_where_nothing_is():
    probe = fit_probe(*people(6, signal=0.0), np.random.default_rng(0))
    tokens, inside = people(20, signal=0.0, seed=9)
    found = np.mean([average_precision_score(i, probe.score(t)) for t, i in zip(tokens, inside, strict=True)])
    assert found < np.mean([i.mean() for i in inside]) + 0.1


def test_the_scale_and_place_of_a_channel_do_not_matter():
    tokens, inside = people(4, signal=1.0)
    scale, place = np.geomspace(1e-3, 1e3, 12), np.linspace(-5, 5, 12)
    a = fit_probe(tokens, inside, np.random.default_rng(0))
    b = fit_probe([t * scale + place for t in tokens], inside, np.random.default_rng(0))
    np.testing.assert_allclose(a.score(tokens[0]), b.score(tokens[0] * scale + place), atol=1e-3)
    assert a.penalty == b.penalty and a.penalty in PENALTIES


def test_an_optimiser_out_of_steps_is_told(monkeypatch):
    monkeypatch.setattr(linear, "STEPS", 1)
    assert not fit_probe(*people(3, signal=1.0), np.random.default_rng(0)).ended
