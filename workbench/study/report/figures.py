"""The report's figures, as SVG text that stands in the page: nothing is loaded when it is opened."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.study.evidence.intervals import clear
from workbench.study.report.canvas import COLOURS, GREY, blank, figure_of, legend, panels, svg, tidy


def forest(rows: pd.DataFrame, scale: float, unit: str, better: str) -> str:
    """Paired differences with their intervals, one line a comparison; ``rows`` as in ``differences``.

    What shows a difference is drawn full, what shows none is hollow.
    """
    figure, axis = figure_of(8.5, 0.8 + 0.27 * len(rows))
    for y, row in enumerate(rows.iloc[::-1].itertuples()):
        shown = clear(row)
        colour = COLOURS[0] if shown else "#5b6770"
        axis.plot([row.low * scale, row.high * scale], [y, y], color=colour, lw=2)
        axis.plot(row.difference * scale, y, "o", color=colour, mfc=colour if shown else "white")
    axis.axvline(0, color="#888", lw=1, ls="--")
    axis.set_yticks(
        range(len(rows)),
        [f"{r.a} − {r.b}, {r.direction}, {100 * r.fraction:g} % (n = {r.n})" for r in rows.iloc[::-1].itertuples()],
        fontsize=8,
    )
    axis.set_ylim(-0.7, len(rows) - 0.3)
    figure.supxlabel(
        f"difference, {unit}, 95 % interval ({'right' if better == 'higher' else 'left'} of 0: "
        "the first arm is better)",
        fontsize=9,
    )  # an axis' own label is cut off where it is wider
    return svg(figure, "Forest plot of the paired differences")


def by_fraction(rows: pd.DataFrame, scale: float, unit: str, colours: Mapping[str, str]) -> str:
    """One line an arm over the share of labels, a panel a direction; ``rows`` as in ``arms``."""
    directions = [d for d, one in rows.groupby("direction", sort=False) if one["fraction"].nunique() > 1]
    figure, axes = panels(len(directions), 3.3, 2.9)
    shares = sorted(100 * rows["fraction"].unique())
    for axis, direction in zip(axes, directions, strict=True):
        here = rows[rows["direction"] == direction]
        count = here["arm"].nunique()
        for i, (arm, one) in enumerate(here.groupby("arm", sort=False)):
            one = one.sort_values("fraction")
            x = 100 * one["fraction"] * 1.03 ** (i - (count - 1) / 2)  # beside each other, or they hide each other
            spread = np.stack([one["estimate"] - one["low"], one["high"] - one["estimate"]]) * scale
            axis.errorbar(
                x, one["estimate"] * scale, yerr=spread, marker="o", ms=4, capsize=3, color=colours[arm], label=str(arm)
            )
        axis.set_title(direction, fontsize=9)
        axis.set_xscale("log")
        axis.set_xticks(shares, [f"{share:g}" for share in shares])
        axis.minorticks_off()
    figure.supxlabel("share of the training people whose labels are used, %", fontsize=9)
    figure.supylabel(f"{unit}, 95 % interval", fontsize=9)
    legend(axes[0])
    return svg(figure, "By share of the labels")


def transfer(rows: pd.DataFrame, sites: Mapping[str, tuple[str, str]], scale: float, digits: int, unit: str) -> str:
    """A matrix an arm: trained where (row), tested where (column); ``rows`` as in ``arms``, of one share of labels.

    Args:
        sites: Direction → the names of where it trains and of where it tests.
    """
    arms = list(dict.fromkeys(rows["arm"]))
    trained = list(dict.fromkeys(sites[d][0] for d in rows["direction"]))
    tested = list(dict.fromkeys(sites[d][1] for d in rows["direction"]))
    wide = min(4, len(arms))
    high = math.ceil(len(arms) / wide)
    figure = blank(max(3.4, wide * (0.9 + 0.75 * len(tested)) + 1.4), high * (0.9 + 0.5 * len(trained)) + 0.5)
    axes = figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True).ravel()
    low, top = rows["estimate"].min() * scale, rows["estimate"].max() * scale
    for axis, arm in zip(axes, arms, strict=False):
        grid = np.full((len(trained), len(tested)), np.nan)
        people = np.zeros(grid.shape, int)
        for row in rows[rows["arm"] == arm].itertuples():
            at = trained.index(sites[row.direction][0]), tested.index(sites[row.direction][1])
            grid[at], people[at] = row.estimate * scale, row.n
        axis.imshow(grid, cmap="viridis", vmin=low, vmax=top + 1e-9, aspect="auto")
        for (y, x), value in np.ndenumerate(grid):
            if np.isfinite(value):
                dark = value < low + 0.6 * (top - low)
                axis.text(
                    x,
                    y,
                    f"{value:.{digits}f}\nn = {people[y, x]}",
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if dark else "black",
                )
        axis.set_title(arm, fontsize=9)
        slant = {"rotation": 20, "ha": "right"} if max(map(len, tested)) > 8 else {}
        axis.set_xticks(range(len(tested)), tested, fontsize=8, **slant)
        axis.set_yticks(range(len(trained)), trained, fontsize=8)
    for axis in axes[len(arms) :]:
        axis.set_visible(False)
    figure.supylabel("trained on", fontsize=9)
    figure.supxlabel(f"tested on ({unit})", fontsize=9)
    return svg(figure, "Transfer from site to site")


def time_to_dice(table: pd.DataFrame, colours: Mapping[str, str], goal: float) -> str:
    """Mean Dice of the validation people and its 95 % interval against steps and against minutes, a line an arm."""
    figure = blank(9, 3.4)
    left, right = figure.subplots(1, 2, sharey=True)
    for arm in colours:
        if not len(one := table[table["arm"] == arm]):
            continue
        wide = one.pivot_table("dice", "participant", "step", aggfunc="mean").dropna()
        mean, half = wide.mean(), 1.96 * wide.sem()
        minutes = one.groupby("step")["seconds"].mean().reindex(wide.columns) / 60
        for axis, x in ((left, wide.columns.to_numpy(float)), (right, minutes.to_numpy())):
            axis.plot(x, mean, marker="o", ms=3, color=colours[arm], label=str(arm))
            axis.fill_between(x, mean - half, mean + half, color=colours[arm], alpha=0.15, lw=0)
    for axis, told in ((left, "optimiser steps"), (right, "minutes of training")):
        tidy(axis)
        axis.set_xlabel(told)
        if math.isfinite(goal):
            axis.axhline(goal, color=GREY, lw=1, ls="--")
    left.set_ylabel(f"Dice of the validation people (n = {table['participant'].nunique()})")
    legend(right)
    return svg(figure, "Dice against steps and minutes")


def calibration(scores: pd.DataFrame, colours: Mapping[str, str], told: Mapping[str, str]) -> str:
    """Observed share against the predicted one, in up to five bins of equal number, an arm a line.

    Args:
        scores: Of one place, as ``numbers.scored`` gives.
        told: What stands behind an arm's name, such as its Brier score.
    """
    figure, axis = figure_of(6.4, 3.6)
    axis.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    for arm in colours:
        if not len(one := scores[scores["arm"] == arm]):
            continue
        parts = np.array_split(one.sort_values("score")[["score", "truth"]].to_numpy(float), min(5, len(one) // 4 or 1))
        means = np.array([part.mean(axis=0) for part in parts if len(part)])
        axis.plot(means[:, 0], means[:, 1], marker="o", ms=4, color=colours[arm], label=f"{arm} {told.get(arm, '')}")
    axis.set(xlabel="predicted probability", ylabel="observed share", xlim=(0, 1), ylim=(0, 1))
    axis.set_aspect("equal")
    legend(axis)
    return svg(figure, "Calibration")


def people(rows: pd.DataFrame, scale: float, unit: str, directions: Sequence[str], colours: Mapping[str, str]) -> str:
    """Every person as a point and every pretraining as a diamond, an arm a column, a panel a direction; ``rows`` as
    ``evidence.measured`` gives, of one metric and one share of labels."""
    arms = [arm for arm in colours if arm in set(rows["arm"])]
    there = [d for d in directions if d in set(rows["direction"])]
    figure, axes = panels(len(there), 0.8 + 0.75 * len(arms), 2.9)
    for axis, direction in zip(axes, there, strict=True):
        here = rows[rows["direction"] == direction]
        mean = here.groupby(["participant", "arm"])["value"].mean().unstack().reindex(columns=arms) * scale
        axis.plot(range(len(arms)), mean.T, color="#bbb", lw=0.5)
        for i, arm in enumerate(arms):
            axis.plot(np.full(len(mean), i), mean[arm], "o", ms=3.5, alpha=0.7, color=colours[arm])
            axis.plot([i - 0.25, i + 0.25], [mean[arm].mean()] * 2, color="black", lw=1.5)
            seeds = by_seed(here[here["arm"] == arm]) * scale
            if len(seeds) > 1:
                axis.plot(np.full(len(seeds), i + 0.33), seeds, "D", ms=4, mfc="white", color=colours[arm])
        axis.set_title(f"{direction} (n = {len(mean)})", fontsize=9)
        axis.set_xticks(range(len(arms)), arms, fontsize=8, rotation=30 if len(arms) > 4 else 0)
    figure.supylabel(unit, fontsize=9)
    return svg(figure, "Every person")


def by_seed(rows: pd.DataFrame) -> pd.Series:
    """Mean over people of each pretraining, by seed: what an interval of two or three of them cannot tell."""
    return rows.groupby(["seed", "participant"])["value"].mean().groupby("seed").mean()


def predicted(rows: pd.DataFrame, directions: Sequence[str], colours: Mapping[str, str]) -> str:
    """Predicted number against the true one, a point a person and arm, a panel a direction.

    Args:
        rows: ``direction``, ``arm``, ``score``, ``truth``, a row a person, of one share of labels.
    """
    there = [d for d in directions if d in set(rows["direction"])]
    figure, axes = panels(len(there), 3.3, 3.0)
    ends = [rows[["score", "truth"]].to_numpy().min(), rows[["score", "truth"]].to_numpy().max()]
    for axis, direction in zip(axes, there, strict=True):
        axis.plot(ends, ends, color=GREY, lw=1, ls="--")
        for arm in colours:
            one = rows[(rows["direction"] == direction) & (rows["arm"] == arm)]
            if len(one):
                axis.plot(one["truth"], one["score"], "o", ms=3.5, alpha=0.7, color=colours[arm], label=arm)
        axis.set_title(direction, fontsize=9)
        axis.set_xlabel("true")
    axes[0].set_ylabel("predicted")
    legend(axes[0])
    return svg(figure, "Predicted against true")


def by_class(scores: pd.DataFrame, colours: Mapping[str, str], classes: Sequence[str]) -> str:
    """Every person's predicted probability of ``classes[1]`` above their true class, an arm a panel; ``scores`` of one
    place."""
    arms = [arm for arm in colours if arm in set(scores["arm"])]
    figure = blank(1.0 + 1.5 * len(arms), 3.0)
    for axis, arm in zip(figure.subplots(1, len(arms), sharey=True, squeeze=False)[0], arms, strict=True):
        mean = scores[scores["arm"] == arm].groupby("participant")[["score", "truth"]].mean()
        at = mean["truth"] + 0.3 * (np.linspace(-0.5, 0.5, len(mean)) if len(mean) > 1 else 0)
        axis.plot(at, mean["score"], "o", ms=4, alpha=0.7, color=colours[arm])
        axis.set(xlim=(-0.5, 1.5), ylim=(-0.02, 1.02))
        axis.set_title(arm, fontsize=9)
        axis.set_xticks([0, 1], list(classes), fontsize=8)
        axis.set_xlabel("truly")
        axis.axhline(0.5, color=GREY, lw=1, ls="--")
        tidy(axis)
        if arm == arms[0]:
            axis.set_ylabel(f"predicted probability of {classes[1]}")
    return svg(figure, "Every person by class")
