"""Scores of a classification: pseudo-values and sensitivity."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from tests.study.made import predictions
from workbench.study.evidence.class_scores import balanced_parts, sensitivity


def test_pseudo_values_of_the_balanced_accuracy_are_the_jackknife():
    classes, right = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2]), np.array([1, 0, 1, 1, 0, 1, 1, 0, 1])

    def whole(keep):
        return np.mean([right[keep & (classes == c)].mean() for c in range(3)])

    everybody = np.ones(9, bool)
    expected = [9 * whole(everybody) - 8 * whole(np.arange(9) != i) for i in range(9)]
    assert balanced_parts(right, classes) == pytest.approx(expected)
    assert balanced_parts(right, classes).mean() == pytest.approx(
        balanced_accuracy_score(classes, np.where(right == 1, classes, (classes + 1) % 3))
    )
    assert (balanced_parts(np.ones(9), classes) == 1).all()  # nobody wrong: no variation, whatever the class sizes


def test_sensitivity_is_a_mean_over_pretrainings():
    people = predictions(2, seeds=(0, 1, 2))
    scores = people.pivot_table("value", ["participant", "seed"], "metric").reset_index()
    found, each = sensitivity(scores, 0.9), [sensitivity(one, 0.9).estimate for _, one in scores.groupby("seed")]
    assert found.estimate == pytest.approx(np.mean(each)) and len(set(each)) > 1
    assert found.low < found.estimate < found.high and (found.n, found.seeds) == (60, 3)
