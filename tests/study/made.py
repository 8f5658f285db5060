"""People and predictions whose answer is known."""

import numpy as np
import pandas as pd

PLACE = {
    "task": "t",
    "kind": "classify",
    "direction": "A → B",
    "fraction": 1.0,
    "finetune_seed": 0,
    "fold": 0,
    "site": "B",
    "structure": "mean",
    "cell": "c",
}


def predictions(classes, n=60, seeds=(0,), skill=1.0):
    rng = np.random.default_rng(1)
    rows = []
    for seed in seeds:
        truth = np.arange(n) % classes
        logits = rng.normal(0, 1, (n, classes)) + skill * np.eye(classes)[truth]
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        for i in range(n):
            own = {
                "class": truth[i],
                "correct": float(chances[i].argmax() == truth[i]),
                "brier": ((chances[i] - np.eye(classes)[truth[i]]) ** 2).sum(),
            }
            own |= (
                {"score": chances[i, 1], "truth": truth[i]}
                if classes == 2
                else {f"p_{c}": chances[i, c] for c in range(classes)}
            )
            rows += [
                {**PLACE, "arm": "a", "seed": seed, "participant": f"p{i:02}", "metric": k, "value": float(v)}
                for k, v in own.items()
            ]
    return pd.DataFrame(rows)


def people_of(values):
    """``values``: arm → seed → one number a person."""
    return pd.DataFrame(
        [
            {
                **PLACE,
                "kind": "segment",
                "arm": arm,
                "seed": seed,
                "participant": f"p{i:02}",
                "metric": "dice",
                "value": v,
            }
            for arm, seeds in values.items()
            for seed, each in seeds.items()
            for i, v in enumerate(each)
        ]
    )
