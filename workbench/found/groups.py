"""Groups of people: where two of them are attended to otherwise, and what else they differ in."""

from __future__ import annotations

import pandas as pd

from workbench.found.found import Found, numbers
from workbench.runs import Run
from workbench.stats import Interval
from workbench.stats.sentence import counted, estimate


def group(run: Run) -> Found:
    """The first pair that can be estimated, what random weights give of it, and what else the two differ in; without a
    pair, what half of the brain a group is attended to in."""
    pairs, confounds = run.read_table("differences"), run.read_table("confounds")
    own = run.provenance["weights"][0]
    machine = [
        {
            "measure": "found_ml",
            **{k: row[k] for k in ("by", "group", "other", "weights")},
            "ml": _number(row["found_ml"]),
            "p": _number(row["p_smallest"]),
            "n": int(row["people"]),
            "n_other": int(row["people_other"]),
        }
        for _, row in pairs.iterrows()
    ]
    mine = pairs[pairs["weights"] == own]
    if not len(mine):
        return _of_one(run, own)
    first = (mine[mine["estimable"]] if mine["estimable"].any() else mine).iloc[0]
    beside = []
    same = _same(pairs, first)
    for _, row in same[same["weights"] != own].iterrows():
        beside.append(f"{row['weights']}: {_short(row)}")
    others = mine[(mine["group"] != first["group"]) | (mine["other"] != first["other"]) | (mine["by"] != first["by"])]
    beside += [pair_sentence(run, row) for _, row in others.iterrows()]
    beside += [
        str(row["words"])
        if row["kind"] == "wholly"
        else f"{row['group']}, {row['other']}: {row['words']}"  # it names both
        for _, row in confounds.iterrows()
    ]
    return Found(pair_sentence(run, first), tuple(beside), tuple(machine))


def pair_sentence(run: Run, row: pd.Series, *, turned: bool = False) -> str:
    """What may be said of a row of ``differences``, with its place, interval and n; ``turned``: of its second group
    minus the first."""
    groups, people = ["group", "other"][:: -1 if turned else 1], ["people", "people_other"][:: -1 if turned else 1]
    who = "{} − {} ({})".format(*(row[g] for g in groups), row["by"])
    n = "n = {} and {} people".format(*(int(row[p]) for p in people))
    if not row["estimable"]:
        return f"attention of {who}: not estimable, {row['why']}"
    places = _same(run.read_table("places"), row)
    places = places[places["weights"] == row["weights"]]
    if not len(places):
        return f"attention of {who}: no difference shown at any place ({_short(row)}), {n}"
    top = places.iloc[0]
    low, high = float(top["low"]), float(top["high"])
    value, ends = float(top["difference"]), (low, high)
    if turned:
        value, ends = -value, (-high, -low)
    peak = Interval(value, *ends, int(row["people"] + row["people_other"]))
    at = f"x {top['x']:.0f}, y {top['y']:.0f}, z {top['z']:.0f} mm ({top['side']})".replace("-", "−")
    return (
        f"attention of {who} differs in {_short(row)}; "
        + estimate(peak, f"most at {at}:", digits=2, unit="times the brain's mean").rpartition(", n =")[0]
        + f", where it is largest, {n}"
    )


def _short(row: pd.Series) -> str:
    """ "12 of 1,210 ml, p = 0.002 corrected"."""
    if not row["estimable"]:
        return f"not estimable, {row['why']}"
    p = row["p_smallest"]
    return (
        f"{_ml(row['found_ml'])} of {row['brain_ml']:,.0f} ml, smallest corrected p "
        f"{'is not known' if pd.isna(p) else '< 0.001' if p < 0.001 else f'= {p:.3f}'}"
    )


def _ml(value: float) -> str:
    return f"{value:,.0f}" if value == 0 or value >= 10 else f"{value:.2g}"


def _of_one(run: Run, own: str) -> Found:
    groups, table = run.read_table("groups"), run.read_table("structures")
    first = groups.iloc[0]
    rows = table[(table["weights"] == own) & (table["by"] == first["by"]) & (table["group"] == first["group"])]
    rows = rows[rows["other"].fillna("") == ""].sort_values("times", ascending=False)
    top = rows[rows["kind"] == rows["kind"].iloc[0]].iloc[0]
    found = Interval(float(top["share"]), float(top["share_low"]), float(top["share_high"]), int(top["people"]))
    name = str(top["structure"]).replace("_", " ")
    notes = [
        f"{row['group']} ({row['by']}): {counted(int(row['people']), 'person', 'people')}"
        for _, row in groups.iterrows()
    ]
    return Found(
        estimate(found, f"{first['group']}: of the attention in the brain, {name} holds", digits=1, unit="%"),
        tuple(notes[1:]),
        ({"measure": "share_percent", "structure": str(top["structure"]), **numbers(found)},),
    )


def _same(table: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    return table[(table["by"] == row["by"]) & (table["group"] == row["group"]) & (table["other"] == row["other"])]


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
