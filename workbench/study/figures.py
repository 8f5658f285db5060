"""The report's figures, as SVG text that stands in the page: nothing is loaded when it is opened."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pandas as pd

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")  # Okabe & Ito


def forest(rows: pd.DataFrame, scale: float, unit: str) -> str:
    """Paired differences with their intervals, one line a comparison; ``rows`` as in ``differences``."""
    figure, axis = _figure(7.5, 0.7 + 0.32 * len(rows))
    for y, row in enumerate(rows.iloc[::-1].itertuples()):
        axis.plot([row.low * scale, row.high * scale], [y, y], color=COLOURS[0], lw=2)
        axis.plot(row.difference * scale, y, "o", color=COLOURS[0])
    axis.axvline(0, color="#888", lw=1, ls="--")
    axis.set_yticks(range(len(rows)), [f"{r.a} − {r.b}, {r.direction}, {100 * r.fraction:g} % (n = {r.n})"
                                       for r in rows.iloc[::-1].itertuples()], fontsize=8)
    axis.set_xlabel(f"difference, {unit}, 95 % interval")
    return _svg(figure)


def by_fraction(rows: pd.DataFrame, scale: float, unit: str) -> str:
    """One line an arm over the share of labels; ``rows`` as in ``arms``, of one direction."""
    figure, axis = _figure(6, 3.2)
    for i, (arm, one) in enumerate(rows.groupby("arm", sort=False)):
        one = one.sort_values("fraction")
        x, colour = 100 * one["fraction"] * (1 + 0.02 * i), COLOURS[i % len(COLOURS)]
        spread = np.stack([one["estimate"] - one["low"], one["high"] - one["estimate"]]) * scale
        axis.errorbar(x, one["estimate"] * scale, yerr=spread, marker="o", capsize=3, color=colour, label=str(arm))
    axis.set(xlabel="share of the labels, %", ylabel=unit, xscale="log")
    shares = sorted(100 * rows["fraction"].unique())
    axis.set_xticks(shares, [f"{share:g}" for share in shares])
    axis.minorticks_off()
    axis.legend(fontsize=8, frameon=False)
    return _svg(figure)


def time_to_dice(table: pd.DataFrame) -> str:
    """Mean Dice of the validation people against fine-tuning steps, a line an arm."""
    figure, axis = _figure(6, 3.2)
    for i, (arm, one) in enumerate(table.groupby("arm", sort=False)):
        mean = one.groupby("step")["dice"].mean()
        axis.plot(mean.index, mean, marker="o", color=COLOURS[i % len(COLOURS)], label=str(arm))
    axis.set(xlabel="optimiser steps", ylabel="Dice, validation people")
    axis.legend(fontsize=8, frameon=False)
    return _svg(figure)


def calibration(scores: pd.DataFrame) -> str:
    """Observed share against the predicted one, in five bins of equal number; ``scores`` as `numbers.scored` gives."""
    figure, axis = _figure(4.2, 3.6)
    axis.plot([0, 1], [0, 1], color="#888", lw=1, ls="--")
    for i, (arm, one) in enumerate(scores.groupby("arm", sort=False)):
        parts = np.array_split(one.sort_values("score")[["score", "truth"]].to_numpy(float), 5)
        means = np.array([part.mean(axis=0) for part in parts if len(part)])
        axis.plot(means[:, 0], means[:, 1], marker="o", color=COLOURS[i % len(COLOURS)], label=str(arm))
    axis.set(xlabel="predicted probability", ylabel="observed share", xlim=(0, 1), ylim=(0, 1))
    axis.legend(fontsize=8, frameon=False)
    return _svg(figure)


def people(rows: pd.DataFrame, scale: float, unit: str) -> str:
    """Every person as a point, an arm a column; ``rows`` as `evidence.measured` gives, of one metric."""
    arms = list(dict.fromkeys(rows["arm"]))
    figure, axis = _figure(1.2 + 1.1 * len(arms), 3.2)
    mean = rows.groupby(["participant", "arm"])["value"].mean().unstack()[arms] * scale
    axis.plot(range(len(arms)), mean.T, color="#bbb", lw=0.5)
    for i, arm in enumerate(arms):
        axis.plot(np.full(len(mean), i), mean[arm], "o", ms=4, alpha=0.7, color=COLOURS[i % len(COLOURS)])
    axis.set_xticks(range(len(arms)), arms, fontsize=8)
    axis.set_ylabel(unit)
    return _svg(figure)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.add_subplot()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _svg(figure: Any) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg"):], flags=re.DOTALL)
