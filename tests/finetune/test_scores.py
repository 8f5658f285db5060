import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from workbench.finetune.scores import constant_guess, reliability_table, score_table
from workbench.measures.predictions import sensitivity_at


def predictions(truth, probabilities, classes, people=None):
    table = pd.DataFrame(
        {"participant": np.arange(len(truth)) if people is None else people, "truth": np.array(classes)[truth]}
    )
    return table.assign(**{f"p_{name}": probabilities[:, i] for i, name in enumerate(classes)})


def drawn(classes, n=60, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[truth]
    return truth, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_two_classes_agree_with_sklearn():
    truth, p = drawn(2)
    scores = score_table(predictions(truth, p, ["F", "M"]), ["F", "M"], specificity=0.8).set_index("score")
    assert scores.loc["auroc", "estimate"] == pytest.approx(metrics.roc_auc_score(truth, p[:, 1]))
    assert scores.loc["balanced_accuracy", "estimate"] == pytest.approx(
        metrics.balanced_accuracy_score(truth, p.argmax(1))
    )
    assert scores.loc["brier", "estimate"] == pytest.approx(metrics.brier_score_loss(truth, p[:, 1]))
    fpr, tpr, _ = metrics.roc_curve(truth, p[:, 1], drop_intermediate=False)
    assert scores.loc["sensitivity_at_80", "estimate"] == pytest.approx(tpr[fpr <= 0.2 + 1e-9].max())
    assert (scores["low"] <= scores["estimate"]).all() and (scores["estimate"] <= scores["high"] + 0.05).all()
    assert set(scores["n"]) == {60} and scores.loc["auroc", "low"] > 0.5


def test_three_classes_agree_with_sklearn():
    truth, p = drawn(3)
    scores = score_table(predictions(truth, p, list("abc")), list("abc")).set_index("score")["estimate"]
    assert scores["auroc"] == pytest.approx(metrics.roc_auc_score(truth, p, multi_class="ovr"))
    assert scores["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, p.argmax(1)))
    assert scores["brier"] == pytest.approx(((p - np.eye(3)[truth]) ** 2).sum(1).mean())


@given(seed=st.integers(0, 1000), specificity=st.floats(0.05, 0.95), levels=st.integers(2, 9))
@settings(max_examples=60, deadline=None)
def test_sensitivity_is_read_off_the_roc_curve_also_with_ties(seed, specificity, levels):
    rng = np.random.default_rng(seed)
    positive, scores = np.arange(20) < 8, rng.integers(levels, size=20)
    fpr, tpr, _ = metrics.roc_curve(positive, scores, drop_intermediate=False)
    assert sensitivity_at(scores, positive, specificity) == pytest.approx(tpr[fpr <= 1 - specificity + 1e-9].max())


def test_calibration_of_a_worked_example():
    """Bins 0.1–0.2 and 0.9–1: four people said 0.15 of whom one is, six said 0.95 of whom three are."""
    truth = np.array([1, 0, 0, 0, 1, 1, 1, 0, 0, 0])
    p = np.where(np.arange(10) < 4, 0.15, 0.95)
    rows = predictions(truth, np.column_stack([1 - p, p]), ["no", "yes"])
    table = reliability_table(rows, ["no", "yes"])
    assert table["n"].tolist() == [4, 6] and table["predicted"].tolist() == pytest.approx([0.15, 0.95])
    assert table["observed"].tolist() == pytest.approx([0.25, 0.5]) and table["low"].tolist() == [0.1, 0.9]
    ece = score_table(rows, ["no", "yes"]).set_index("score").loc["ece", "estimate"]
    assert ece == pytest.approx(0.4 * 0.1 + 0.6 * 0.45)


def test_people_count_once_whatever_the_number_of_their_scans():
    truth, p = drawn(2, n=20)
    once = score_table(predictions(truth, p, ["F", "M"]), ["F", "M"])
    order = np.concatenate([np.arange(20), np.zeros(30, int)])  # the first person has 31 scans
    often = score_table(predictions(truth[order], p[order], ["F", "M"], people=order), ["F", "M"])
    pd.testing.assert_frame_equal(once, often)


def test_regression_and_what_does_not_exist():
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 80, 40)
    table = pd.DataFrame({"participant": range(40), "truth": age, "score": age + 5 + rng.normal(0, 2, 40)})
    scores = score_table(table, []).set_index("score")
    assert scores.loc["mae", "estimate"] == pytest.approx((table["score"] - age).abs().mean())
    assert scores.loc["r", "estimate"] == pytest.approx(np.corrcoef(age, table["score"])[0, 1])
    error = table["score"] - age
    half = 1.96 * error.std() / 40**0.5
    assert scores.loc["mean_error", "low"] == pytest.approx(error.mean() - half, abs=0.15)
    assert scores.loc["mean_error", "high"] == pytest.approx(error.mean() + half, abs=0.15)
    guess = constant_guess(table.assign(split=np.where(table["participant"] < 20, "train", "test")))
    assert guess == pytest.approx(np.median(age[:20]))
    beside = score_table(table, [], guess=guess).set_index("score").loc["mae_of_constant_guess"]
    assert beside["estimate"] == pytest.approx(np.abs(age - guess).mean()) and beside["low"] < beside["estimate"]
    same = score_table(table.assign(score=3.0), []).set_index("score")
    assert math.isnan(same.loc["r", "estimate"]) and same.loc["mae", "low"] > 0
    one_class = score_table(predictions(np.zeros(5, int), np.full((5, 2), 0.5), ["F", "M"]), ["F", "M"])
    assert math.isnan(one_class.set_index("score").loc["auroc", "estimate"])
