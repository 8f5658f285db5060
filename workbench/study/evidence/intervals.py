"""From people to evidence: intervals of each arm, paired differences, corrected p values, the sentences they allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd

from workbench.measures import MEASURES, main_measure, measure
from workbench.measures.predictions import sensitivity as sensitivity_measure
from workbench.stats import (
    Interval,
    auroc,
    bootstrap_interval,
    compare,
    delong,
    equivalence,
    holm,
    paired_people,
    two_level_interval,
    verdict,
)
from workbench.stats.equivalence import within
from workbench.study.cells.cell import GROUP
from workbench.study.evidence.class_scores import auroc_parts, balanced_parts, sensitivity
from workbench.study.evidence.numbers import MARKS, MEAN, scored

ALPHA = 0.05
ENOUGH = 3  # pretrainings from which their variation can be estimated: of two it has one degree of freedom
# half an interval → what is found four times of five
WHOLE_POWER = 1 + NormalDist().inv_cdf(0.8) / NormalDist().inv_cdf(0.975)


def measured(people: pd.DataFrame) -> pd.DataFrame:
    """Values a person that intervals are made of: GROUP, arm, seed, participant, metric, value.

    Folds, scans and repeats of fine-tuning are averaged. AUROC (of several classes, the mean of each against the rest)
    and balanced accuracy are there as jackknife pseudo-values.
    """
    signed = [one.name for one in MEASURES.values() if one.better is None]
    hidden = people["metric"].isin(["score", "truth", "class", *signed]) | people["metric"].str.match(r"p_\d+$")
    keys = [*GROUP, "arm", "seed", "participant", "metric"]
    rows = people[(people["structure"] == MEAN) & ~hidden].groupby(keys)["value"].mean().reset_index()
    return pd.concat([rows, *_parts(people)], ignore_index=True)[[*keys, "value"]]


def one_pretraining(people: pd.DataFrame, given: Collection[str]) -> pd.DataFrame:
    """Arms with one encoder that was made elsewhere have one pretraining, whatever the number of seeds: those are
    repeats of their fine-tuning, and are averaged as such."""
    if not given or not len(people):
        return people
    return people.assign(seed=people["seed"].mask(people["arm"].isin(list(given)), people["seed"].min()))


def _beside(x: pd.DataFrame, y: pd.DataFrame, given: Collection[str]) -> pd.DataFrame:
    """``x``, and where it is of one encoder and ``y`` of several pretrainings, once beside each of them."""
    seeds = y["seed"].unique()
    if not len(x) or x["arm"].iloc[0] not in given or len(seeds) < 2:
        return x
    return pd.concat([x.assign(seed=seed) for seed in seeds], ignore_index=True)


def _parts(people: pd.DataFrame) -> Iterator[pd.DataFrame]:
    place = [*GROUP, "arm", "seed"]
    rows = people[people["task"].isin(people.loc[people["metric"] == "class", "task"])]
    for names, one in rows.groupby(place):
        # a column that only tasks with other classes have is not there: each task is taken by itself
        wide = one.pivot_table("value", "participant", "metric", aggfunc="mean")
        truth, chances = wide["class"].to_numpy(), sorted(c for c in wide if c.startswith("p_"))
        scores = wide[chances].to_numpy().T if chances else [wide["score"].to_numpy()]
        codes = range(len(chances)) if chances else [1]
        area = np.mean([auroc_parts(s, truth == code) for s, code in zip(scores, codes, strict=True)], axis=0)
        for metric, parts in (("auroc", area), ("balanced_accuracy", balanced_parts(wide["correct"], truth))):
            yield pd.DataFrame(
                {"participant": wide.index, "metric": metric, "value": parts, **dict(zip(place, names, strict=True))}
            )


def arm_table(
    people: pd.DataFrame, specificity: Mapping[str, float] | None = None, given: Collection[str] = ()
) -> pd.DataFrame:
    """Each arm's mean, 95 % interval over people and, from ``ENOUGH`` pretrainings on, over them too: GROUP, metric,
    arm, estimate, low, high, n, seeds, simulated, transductive.

    Args:
        people: As ``numbers.person_table`` gives.
        specificity: Of a task, where its sensitivity is read; 0.9 unless given.
        given: Arms with one encoder that was made elsewhere.
    """
    people = one_pretraining(people, given)
    scores, rows = scored(people), []
    for names, one in measured(people).groupby([*GROUP, "metric", "arm"], sort=False):
        place = dict(zip([*GROUP, "metric", "arm"], names, strict=True))
        same = np.logical_and.reduce([scores[k] == place[k] for k in [*GROUP, "arm"]]) if len(scores) else []
        if place["metric"] == "auroc" and any(same):
            rows.append({**place, **_told(_auroc_interval(scores[same], one))})
            limit = (specificity or {}).get(place["task"], 0.9)
            rows.append({**place, "metric": sensitivity_measure(limit).name, **_told(sensitivity(scores[same], limit))})
        else:
            rows.append({**place, **_told(_interval(one))})
    rows = [{**row, **marks_of(people, row, (row["arm"],))} for row in rows]
    table = pd.DataFrame(rows, columns=[*GROUP, "metric", "arm", "estimate", "low", "high", "n", "seeds", *MARKS])
    return _inside(table, lambda metric: 0.0)


def _inside(table: pd.DataFrame, least: Callable[[str], float]) -> pd.DataFrame:
    """Ends of intervals cut to the values that there are: with two or three seeds a t interval goes far beyond them."""
    low = np.array([least(m) for m in table["metric"]], float)
    high = np.array([measure(m).most for m in table["metric"]], float)
    return table.assign(low=table["low"].clip(low), high=table["high"].clip(upper=high))


def _told(found: Interval) -> dict[str, float]:
    return {"estimate": found.estimate, "low": found.low, "high": found.high, "n": found.n, "seeds": found.seeds}


def _interval(rows: pd.DataFrame) -> Interval:
    rows = _with_every_seed(rows)
    values, who, seeds = rows["value"].to_numpy(), rows["participant"].to_numpy(str), rows["seed"].to_numpy()
    if len(set(seeds)) >= ENOUGH:
        return two_level_interval(values, who, seeds, method="t")
    return replace(bootstrap_interval(values, who), seeds=len(set(seeds)))


def _with_every_seed(rows: pd.DataFrame) -> pd.DataFrame:
    """Without the people who miss a pretraining: a mean over other pretrainings is another quantity."""
    counts = rows.groupby("participant")["seed"].transform("nunique")
    return rows[counts == rows["seed"].nunique()]


def _auroc_interval(scores: pd.DataFrame, parts: pd.DataFrame) -> Interval:
    positive = (scores["truth"] == 1).to_numpy()
    counts = [int(positive.sum()), int((~positive).sum())]
    if scores["seed"].nunique() > 1:
        return _interval(parts)
    values = scores[["score", "truth"]].to_numpy(float)
    if min(counts) < 2:
        return Interval(auroc(values[:, 0], positive), math.nan, math.nan, len(values))
    return bootstrap_interval(values, statistic=lambda v: auroc(v[:, 0], v[:, 1] == 1), strata=values[:, 1], draws=2000)


def marks_of(people: pd.DataFrame, place: Mapping[str, object], arms: Collection[str]) -> dict[str, bool]:
    """Whether anything that these arms have in this place is simulated or transductive."""
    same = np.logical_and.reduce([people[name] == place[name] for name in GROUP]) & people["arm"].isin(arms)
    return {name: name in people and bool(people.loc[same, name].any()) for name in MARKS}


def difference_table(
    people: pd.DataFrame,
    pairs: list[tuple[str, str]],
    given: Collection[str] = (),
    margins: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Paired differences a − b. p is corrected by Holm over all comparisons of the same task and metric.

    Columns: GROUP, metric, a, b, mean_a, mean_b, difference, low, high, n, seeds, test, p, p_holm, comparisons, dz
    (Cohen's, of the paired differences), rank_biserial, detectable (found in four of five such samples; with several
    pretrainings from the interval that has their variation), margin, low_90, high_90, equivalent (the 90 % interval
    lies within the margin), pretrained_once (the arm that is one encoder made elsewhere, beside each pretraining of the
    other; "" where there is none), simulated, transductive, verdict. Below ``ENOUGH`` pretrainings the interval is over
    people alone, and the verdict says so. ``given`` as in ``arm_table``, ``margins`` of a task for its main measure.
    """
    people = one_pretraining(people, given)
    values, scores, rows = measured(people), scored(people), []
    main = {task: main_measure(metrics) for task, metrics in values.groupby("task")["metric"]}
    for names, one in values.groupby([*GROUP, "metric"], sort=False):
        place = dict(zip([*GROUP, "metric"], names, strict=True))
        margin = (margins or {}).get(place["task"]) if place["metric"] == main[place["task"]] else None
        for a, b in pairs:
            x, y = one[one["arm"] == a], one[one["arm"] == b]
            x, y = _beside(x, y, given), _beside(y, x, given)
            both = x[["seed", "participant"]].merge(y[["seed", "participant"]])  # a failed cell may have cost one them
            if not len(both):
                continue
            x, y = x.merge(both), y.merge(both)
            same = np.logical_and.reduce([scores[k] == place[k] for k in GROUP]) if len(scores) else None
            rows.append(
                {
                    **place,
                    "a": a,
                    "b": b,
                    **marks_of(people, place, (a, b)),
                    **_difference(
                        x,
                        y,
                        scores[same & scores["arm"].isin([a, b])].merge(both) if place["metric"] == "auroc" else None,
                        margin,
                    ),
                    "pretrained_once": next((arm for arm in (a, b) if arm in given), ""),
                }
            )
    table = pd.DataFrame(
        rows,
        columns=[
            *GROUP,
            "metric",
            "a",
            "b",
            "mean_a",
            "mean_b",
            "difference",
            "low",
            "high",
            "n",
            "seeds",
            "test",
            "p",
            "dz",
            "rank_biserial",
            "detectable",
            "margin",
            "low_90",
            "high_90",
            "equivalent",
            "pretrained_once",
            *MARKS,
        ],
    )
    table = _inside(table, lambda metric: -measure(metric).most)
    family = table.groupby(["task", "metric"])["p"]
    table["p_holm"] = family.transform(lambda p: holm(p.to_numpy())) if len(table) else []
    table["comparisons"] = family.transform("count") if len(table) else []
    table["verdict"] = [_sentence(row) for row in table.itertuples()]
    return table


def _difference(
    x: pd.DataFrame, y: pd.DataFrame, scores: pd.DataFrame | None, margin: float | None
) -> dict[str, object]:
    x, y = _with_every_seed(x), _with_every_seed(y)
    pretrainings = x["seed"].nunique()
    repeated = pretrainings >= ENOUGH
    seeds = {"seeds_a": x["seed"].to_numpy(), "seeds_b": y["seed"].to_numpy()} if repeated else {}
    both = (
        x["value"].to_numpy(),
        x["participant"].to_numpy(str),
        y["value"].to_numpy(),
        y["participant"].to_numpy(str),
    )
    found = compare(*both, **seeds)
    interval, p, test = found.interval, found.p, found.test
    narrow = (math.nan, math.nan)
    if margin is not None:  # two one-sided tests at 5 % are the 90 % interval within the margin
        _, mine, theirs = paired_people(*both)
        alone = equivalence(mine - theirs, margin)
        narrow = compare(*both, **seeds, level=0.9).interval.ends if repeated else (alone.low, alone.high)
    mean_a, mean_b, detectable = found.mean_a, found.mean_b, found.detectable
    if scores is not None and pretrainings == 1:
        a, b = x["arm"].iloc[0], y["arm"].iloc[0]
        wide = scores.pivot_table("score", ["participant", "truth"], "arm").dropna().reset_index()
        positive = (wide["truth"] == 1).to_numpy()
        if min(int(positive.sum()), int((~positive).sum())) >= 2:
            area = delong(wide[a].to_numpy(), wide[b].to_numpy(), positive)
            interval = Interval(area.a - area.b, area.low, area.high, len(wide))
            p, test, mean_a, mean_b = area.p, "DeLong", area.a, area.b
            if margin is not None:
                part = delong(wide[a].to_numpy(), wide[b].to_numpy(), positive, level=0.9)
                narrow = (part.low, part.high)
    if repeated:  # of the people alone it would leave out that another pretraining gives another difference
        detectable = WHOLE_POWER * (interval.high - interval.low) / 2
    return {
        "mean_a": mean_a,
        "mean_b": mean_b,
        "difference": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
        "seeds": pretrainings,
        "test": test,
        "p": p,
        "dz": found.dz,
        "rank_biserial": found.rank_biserial,
        "detectable": detectable,
        "margin": math.nan if margin is None else margin,
        "low_90": narrow[0],
        "high_90": narrow[1],
        "equivalent": margin is not None and within(*narrow, margin),
    }


def clear(row) -> bool:
    """Whether a row of ``differences`` shows one: the interval excludes 0 and the corrected test rejects."""
    return bool((row.low > 0 or row.high < 0) and row.p_holm < ALPHA)


def _equivalence(row) -> str:
    """What may be said of a margin that was named before, beside the difference."""
    shown = measure(row.metric)
    if not math.isfinite(row.low_90):
        return ""
    told = f"±{shown.number(row.margin)} {shown.words}"
    ends = f"90 % interval {shown.signed(row.low_90)} to {shown.signed(row.high_90)}"
    if row.equivalent:
        return f" Equivalent within {told}: {ends}."
    return f" Equivalence within {told} is not shown: {ends}."


def _sentence(row) -> str:
    shown = measure(row.metric)
    marks = [*(["simulated data"] if row.simulated else []), *(["transductive"] if row.transductive else [])]
    possible = not row.detectable > shown.most
    said = verdict(
        Interval(row.difference, row.low, row.high, row.n, seeds=row.seeds),
        a=row.a,
        b=row.b,
        what=shown.words,
        p=row.p_holm,
        comparisons=int(row.comparisons),
        detectable=row.detectable if possible else None,
        scale=shown.scale,
        digits=shown.digits,
        marks=marks,
        less_is_better=shown.better == "lower",
        pretrained_once=row.pretrained_once,
    )
    if math.isfinite(row.margin):
        said += _equivalence(row)
    if 1 < row.seeds < ENOUGH:
        said += (
            f" How much another pretraining would change is not estimable from {row.seeds}: "
            "the interval is over people alone."
        )
    if row.seeds == 1 and clear(row):
        said += " Each arm was trained from one seed; with another the difference may be another."
    return said + (
        ""
        if possible
        else " Not even the largest difference there can be would have been found in four of five such samples."
    )
