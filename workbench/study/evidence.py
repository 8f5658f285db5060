"""From people to evidence: intervals of each arm, paired differences, corrected p values, the sentences they allow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.runs import Run, replacing
from workbench.stats import (
    Interval,
    auroc,
    bootstrap_interval,
    compare,
    delong,
    detectable_difference,
    holm,
    two_level_interval,
    verdict,
)
from workbench.study.execute import Outcome
from workbench.study.fair import Setting
from workbench.study.numbers import MEAN, auroc_parts, person_table, scored
from workbench.study.plan import Plan

GROUP = ["task", "direction", "fraction"]


@dataclass(frozen=True)
class Metric:
    """How a number is shown: words, a factor, decimals, and whether more is better."""

    words: str
    scale: float = 1.0
    digits: int = 2
    better: str = "higher"


SHOWN = {"dice": Metric("Dice points", 100, 1), "auroc": Metric("AUROC", 1, 3),
         "hd95_mm": Metric("mm HD95", 1, 2, "lower"),
         "surface_dice_1mm": Metric("points of surface Dice at 1 mm", 100, 1),
         "volume_error": Metric("% absolute volume error", 1, 1, "lower"),
         "brier": Metric("Brier score", 1, 3, "lower"), "correct": Metric("points of accuracy", 100, 1),
         "absolute_error": Metric("mean absolute error", 1, 2, "lower")}
PRIMARY = ("dice", "auroc", "absolute_error")


def write_tables(run: Run, plan: Plan, outcome: Outcome, fair: list[Setting]) -> None:
    """``people`` (every number of every person, as CSV too), ``arms``, ``differences``, ``time_to_dice``, ``cells``."""
    done = [cell for node, cell in outcome.cells.items() if node in plan.nodes]
    people = person_table(done)
    transductive = any(Run(cell.folder).provenance.get("transductive") for cell in done)
    marks = [*(["simulated data"] if run.simulated else []), *(["transductive"] if transductive else [])]
    run.note(transductive=transductive)
    tables = {"people": people, "arms": arm_table(people),
              "differences": difference_table(people, plan.study.pairs(), marks),
              "cells": cell_table(plan, outcome), "time_to_dice": time_table(done)}
    for name, table in tables.items():
        run.write_table(name, table)
        with replacing(run.path / "results" / f"{name}.csv") as partial:
            table.to_csv(partial, index=False)


def measured(people: pd.DataFrame) -> pd.DataFrame:
    """Values a person that intervals are made of: GROUP, arm, seed, participant, metric, value; AUROC in parts."""
    rows = people[(people["structure"] == MEAN) & ~people["metric"].isin(["score", "truth", "volume_error_ml"])].copy()
    volume = rows["metric"] == "volume_error_percent"
    rows.loc[volume, "value"] = rows.loc[volume, "value"].abs()
    rows.loc[volume, "metric"] = "volume_error"
    keys = [*GROUP, "arm", "seed", "participant", "metric"]
    rows = rows.groupby(keys)["value"].mean().reset_index()
    areas = []
    for names, one in scored(people).groupby([*GROUP, "arm", "seed"]):
        parts = auroc_parts(one["score"].to_numpy(), one["truth"].to_numpy() == 1)
        areas.append(one[["participant"]].assign(**dict(zip([*GROUP, "arm", "seed"], names, strict=True)),
                                                 metric="auroc", value=parts))
    return pd.concat([rows, *areas], ignore_index=True)[[*keys, "value"]]


def arm_table(people: pd.DataFrame) -> pd.DataFrame:
    """Each arm's mean, 95 % interval over people and seeds: GROUP, metric, arm, estimate, low, high, n, seeds."""
    scores, rows = scored(people), []
    for names, one in measured(people).groupby([*GROUP, "metric", "arm"], sort=False):
        place = dict(zip([*GROUP, "metric", "arm"], names, strict=True))
        if place["metric"] == "auroc":
            same = np.logical_and.reduce([scores[k] == place[k] for k in [*GROUP, "arm"]])
            found = _auroc_interval(scores[same], one)
        else:
            found = _interval(one)
        rows.append({**place, "estimate": found.estimate, "low": found.low, "high": found.high, "n": found.n,
                     "seeds": found.seeds})
    return pd.DataFrame(rows, columns=[*GROUP, "metric", "arm", "estimate", "low", "high", "n", "seeds"])


def _interval(rows: pd.DataFrame) -> Interval:
    values, who, seeds = rows["value"].to_numpy(), rows["participant"].to_numpy(str), rows["seed"].to_numpy()
    if len(set(seeds)) > 1:
        return two_level_interval(values, who, seeds, method="t")
    return bootstrap_interval(values, who)


def _auroc_interval(scores: pd.DataFrame, parts: pd.DataFrame) -> Interval:
    positive = (scores["truth"] == 1).to_numpy()
    counts = [int(positive.sum()), int((~positive).sum())]
    if scores["seed"].nunique() > 1:
        return _interval(parts)
    values = scores[["score", "truth"]].to_numpy(float)
    if min(counts) < 2:
        return Interval(auroc(values[:, 0], positive), math.nan, math.nan, len(values))
    return bootstrap_interval(values, statistic=lambda v: auroc(v[:, 0], v[:, 1] == 1), strata=values[:, 1], draws=2000)


def difference_table(people: pd.DataFrame, pairs: list[tuple[str, str]], marks: list[str]) -> pd.DataFrame:
    """Paired differences a − b. p is corrected by Holm over all comparisons of the same task and metric.

    Columns: GROUP, metric, a, b, mean_a, mean_b, difference, low, high, n, seeds, test, p, p_holm, comparisons, dz,
    rank_biserial, detectable, verdict.
    """
    values, scores, rows = measured(people), scored(people), []
    for names, one in values.groupby([*GROUP, "metric"], sort=False):
        place = dict(zip([*GROUP, "metric"], names, strict=True))
        for a, b in pairs:
            x, y = one[one["arm"] == a], one[one["arm"] == b]
            shared = set(x["seed"]) & set(y["seed"])
            x, y = x[x["seed"].isin(shared)], y[y["seed"].isin(shared)]
            if not len(x) or not len(y):
                continue
            same = np.logical_and.reduce([scores[k] == place[k] for k in GROUP]) if len(scores) else None
            rows.append({**place, "a": a, "b": b, **_difference(
                x, y, scores[same & scores["arm"].isin([a, b])] if place["metric"] == "auroc" else None)})
    table = pd.DataFrame(rows, columns=[*GROUP, "metric", "a", "b", "mean_a", "mean_b", "difference", "low", "high",
                                        "n", "seeds", "test", "p", "dz", "rank_biserial", "detectable"])
    family = table.groupby(["task", "metric"])["p"]
    table["p_holm"] = family.transform(lambda p: holm(p.to_numpy())) if len(table) else []
    table["comparisons"] = family.transform("count") if len(table) else []
    table["verdict"] = [_sentence(row, marks) for row in table.itertuples()]
    return table


def _difference(x: pd.DataFrame, y: pd.DataFrame, scores: pd.DataFrame | None) -> dict[str, object]:
    repeated = x["seed"].nunique() > 1
    seeds = {"seeds_a": x["seed"].to_numpy(), "seeds_b": y["seed"].to_numpy()} if repeated else {}
    found = compare(x["value"].to_numpy(), x["participant"].to_numpy(str), y["value"].to_numpy(),
                    y["participant"].to_numpy(str), **seeds)
    interval, p, test = found.interval, found.p, found.test
    mean_a, mean_b, detectable = found.mean_a, found.mean_b, found.detectable
    if scores is not None and not repeated:
        a, b = x["arm"].iloc[0], y["arm"].iloc[0]
        wide = scores.pivot_table("score", ["participant", "truth"], "arm").dropna().reset_index()
        positive = (wide["truth"] == 1).to_numpy()
        if min(int(positive.sum()), int((~positive).sum())) >= 2:
            area = delong(wide[a].to_numpy(), wide[b].to_numpy(), positive)
            interval = Interval(area.a - area.b, area.low, area.high, len(wide))
            p, test, mean_a, mean_b = area.p, "DeLong", area.a, area.b
    if test == "permutation" and len(set(x["participant"])) < 2:
        detectable = detectable_difference(np.array([]))
    return {"mean_a": mean_a, "mean_b": mean_b, "difference": interval.estimate, "low": interval.low,
            "high": interval.high, "n": interval.n, "seeds": interval.seeds, "test": test, "p": p, "dz": found.dz,
            "rank_biserial": found.rank_biserial, "detectable": detectable}


def _sentence(row, marks: list[str]) -> str:
    shown = SHOWN.get(row.metric, Metric(row.metric))
    return verdict(Interval(row.difference, row.low, row.high, row.n, seeds=row.seeds), a=row.a, b=row.b,
                   what=shown.words, p=row.p_holm, comparisons=int(row.comparisons), detectable=row.detectable,
                   scale=shown.scale, digits=shown.digits, marks=marks)


def time_table(cells) -> pd.DataFrame:
    """Dice of the validation people against steps and seconds: task, direction, fraction, arm, seed, step, seconds,
    participant, dice."""
    found = []
    for cell in cells:
        if cell.about.get("stage") == "test" and cell.about["kind"] == "segment":
            run = Run(cell.folder)
            if "time_to_dice" in run.tables():
                table = run.read_table("time_to_dice")
                mean = table.groupby(["step", "seconds", "participant"])["dice"].mean().reset_index()
                found.append(mean.assign(**{k: cell.about[k] for k in (*GROUP, "arm", "seed", "fold")}))
    columns = [*GROUP, "arm", "seed", "fold", "step", "seconds", "participant", "dice"]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def cell_table(plan: Plan, outcome: Outcome) -> pd.DataFrame:
    """A row a cell of the plan: what it is, how it ended, seconds, folder."""
    rows = []
    for one in plan.data.values():
        rows += [{"node": f"data/{c.name}", "stage": "data", "state": c.state, "why": "", "cell": c.name,
                  "seconds": Run(c.folder).status.get("seconds"), "job": c.config.job} for c in one.cells]
    for node in plan.nodes.values():
        cell = outcome.cells.get(node.id)
        rows.append({"node": node.id, **node.about, **({} if cell is None else cell.about),
                     "state": "ok" if cell else "failed", "why": outcome.failed.get(node.id, ""),
                     "cell": cell.name if cell else "", "job": cell.config.job if cell else "",
                     "seconds": Run(cell.folder).status.get("seconds") if cell else None})
    return pd.DataFrame(rows)
