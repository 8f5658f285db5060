"""A linear model of a token: is it in the structure? Trained to its end, its penalty chosen among the people it learns
from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # scikit-learn's C, small = much penalty
INNER = 3  # people, or parts of them, that are left out in turns to choose among these
STEPS = 2000


@dataclass(frozen=True)
class Probe:
    """Scores tokens ``(P, D)``; ``ended`` is false where the optimiser ran out of steps."""

    mean_D: np.ndarray
    scale_D: np.ndarray
    weights_D: np.ndarray
    offset: float
    penalty: float
    ended: bool

    def score(self, tokens_PD: np.ndarray) -> np.ndarray:
        """Log-odds of being in the structure, ``(P,)``."""
        scores: np.ndarray = (tokens_PD - self.mean_D) / self.scale_D @ self.weights_D + self.offset
        return scores


def fit_probe(tokens: list[np.ndarray], inside: list[np.ndarray], rng: np.random.Generator) -> Probe:
    """Logistic regression, both kinds of token weighing the same, on the tokens of several people.

    Args:
        tokens: Of each person, ``(P, D)``.
        inside: Of each person, whether a token is in the structure, ``(P,)`` bool; everybody has both kinds.
        rng: Divides the people into the parts that choose the penalty (average precision, a person counts once). One
            person alone cannot choose: the second smallest penalty weight is taken.
    """
    if len(tokens) < 2:
        return _fit(tokens, inside, PENALTIES[1])
    part = rng.permutation(len(tokens)) % min(INNER, len(tokens))
    found = []
    for penalty in PENALTIES:
        scores = []
        for left_out in range(part.max() + 1):
            learnt = [i for i in range(len(tokens)) if part[i] != left_out]
            probe = _fit([tokens[i] for i in learnt], [inside[i] for i in learnt], penalty)
            scores += [
                average_precision_score(inside[i], probe.score(tokens[i])) for i in np.flatnonzero(part == left_out)
            ]
        found.append(np.mean(scores))
    return _fit(tokens, inside, PENALTIES[int(np.argmax(found))])


def _fit(tokens: list[np.ndarray], inside: list[np.ndarray], penalty: float) -> Probe:
    x_ND, y_N = np.concatenate(tokens).astype(np.float64), np.concatenate(inside)
    mean_D, scale_D = x_ND.mean(0), np.maximum(x_ND.std(0), 1e-8)
    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=STEPS)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.fit((x_ND - mean_D) / scale_D, y_N)
    ended = not any(issubclass(w.category, ConvergenceWarning) for w in told)
    return Probe(mean_D, scale_D, model.coef_[0], float(model.intercept_[0]), penalty, ended)
