"""Looking into an encoder: what stands out, with its interval, and what random weights or chance give."""

from __future__ import annotations

import pandas as pd

from workbench.found.found import Found, named, numbers
from workbench.runs import Run
from workbench.stats import Interval, bootstrap_interval
from workbench.stats.sentence import counted, estimate

BESIDE = "random"  # what names of random weights beside begin with


def attend(run: Run) -> Found:
    """The share of attention outside the brain, and what random weights give."""
    table = run.read_table("outside_summary")
    table = table[table["site"] == "all"]
    own = table[(table["weights"] == run.config["init"])]
    first = (own if len(own) else table).iloc[0]
    others = [
        row
        for _, row in table.iterrows()
        if row["weights"] != first["weights"] and str(row["weights"]).startswith(BESIDE)
    ]
    interval = _percent(first, "outside_brain")
    return Found(
        estimate(interval, "attention outside the brain", digits=1, unit="%"),
        tuple(estimate(_percent(row, "outside_brain"), "random weights", digits=1, unit="%") for row in others),
        ({"measure": "attention_outside_brain_percent", **numbers(interval)},),
    )


def tokens(run: Run) -> Found:
    """How often the most alike token lies in the same structure of another person, and by position alone."""
    if "correspondence" not in run.tables():
        return Found(f"maps of {counted(int(run.provenance.get('mapped', 0)), 'scan')}")
    table = run.read_table("correspondence")
    own = table[table["weights"] == run.config["init"]]
    hits = own.groupby("participant")[["hit", "hit_by_position"]].mean().dropna()
    interval = bootstrap_interval(100 * hits["hit"].to_numpy())
    place = bootstrap_interval(100 * hits["hit_by_position"].to_numpy())
    beside = [estimate(place, "by position alone", digits=0, unit="%")]
    for weights, rows in table.groupby("weights"):
        if str(weights).startswith(BESIDE) and weights != run.config["init"]:
            other = bootstrap_interval(100 * rows.groupby("participant")["hit"].mean().dropna().to_numpy())
            beside.append(estimate(other, "random weights", digits=0, unit="%"))
    return Found(
        estimate(interval, "tokens found in the same structure of another person", digits=0, unit="%"),
        tuple(beside),
        ({"measure": "correspondence_percent", **numbers(interval)},),
    )


def probe(run: Run) -> Found:
    """How well a linear model finds a structure at another site, from the fewest labelled people, and what others give
    there."""
    table = run.read_table("in_short")
    sites = "between" if (table["sites"] == "between").any() else "within"
    rows = table[(table["sites"] == sites) & (table["labelled"] == table["labelled"].iloc[0])]
    own = rows["weights"] == run.provenance["first"]
    first, others = rows[own].iloc[0], rows[~own]
    interval = _percent(first, "average_precision")
    where = "at another site" if sites == "between" else "at the same site"
    return Found(
        estimate(interval, "average precision of a linear probe on tokens", digits=1, unit="%")
        + f" {where}, {first['labelled']} people labelled",
        tuple(
            estimate(_percent(row, "average_precision"), str(row["weights"]), digits=1, unit="%")
            for _, row in others.iterrows()
        ),
        ({"measure": "probe_average_precision_percent", **numbers(interval)},),
    )


def shift(run: Run) -> Found:
    """How well a site is named from an embedding of somebody who was not learnt from."""
    table = run.read_table("shift")
    rows = table[table["measure"].str.startswith("site predicted")]
    first = rows[rows["space"] == "as it is"].iloc[0]
    told = [(str(row["space"]), _row(row)) for _, row in rows.iterrows()]
    interval = _row(first)
    return Found(
        estimate(interval, "site named from the embedding (balanced accuracy)", digits=1, unit="%")
        + f" at {int(first['sites'])} sites, {100 * first['chance']:.0f} % by chance",
        tuple(estimate(found, space, digits=1, unit="%") for space, found in told if space != "as it is"),
        tuple({"measure": "site_named_percent", "space": space, **numbers(found)} for space, found in told),
    )


def reliability(run: Run) -> Found:
    """Whether repeated scans of a person are more alike than those of others; of numbers, their ICC."""
    summary, icc = run.read_table("summary"), run.read_table("icc")
    told, machine = [], []
    for name, rows in summary.groupby("run", sort=False):
        by = rows.set_index("measure")
        told += [f"{named(str(name))}: {line}" for line in _recognised(by)]
        for measure, row in by.iterrows():
            machine.append({"run": str(name), "measure": str(measure), **numbers(_plain(row))})
    for row in icc[~icc["kind"].isin(["dimension", "component"]) & icc["agreement"].notna()].itertuples():
        found = Interval(row.agreement, row.agreement_low, row.agreement_high, int(row.people))
        what = f"{named(str(row.run))}: {row.kind} of {row.name}, ICC(2,1) over {int(row.conditions)} {row.across}s"
        told.append(estimate(found, what, digits=2))
        machine.append({"run": str(row.run), "measure": f"ICC(2,1) of {row.kind}, {row.name}", **numbers(found)})
    if not told:
        return Found("no two people share two conditions: no ICC, see the notes")
    return Found(told[0], tuple(told[1:]), tuple(machine))


def _recognised(by: pd.DataFrame) -> list[str]:
    """Lines about an embedding, from its rows of ``summary`` by measure."""
    lines = []
    for measure, row in by.iterrows():
        chance = "" if pd.isna(row["chance"]) or not row["chance"] else f" ({row['chance']:.2f} by chance)"
        lines.append(f"{estimate(_plain(row), str(measure), digits=2)} over {int(row['conditions'])} {row['across']}s"
                     f"{chance}")  # fmt: skip
    return lines


def _plain(row: pd.Series) -> Interval:
    return Interval(float(row["value"]), float(row["low"]), float(row["high"]), int(row["people"]))


def whatif(run: Run) -> Found:
    """The change that moves scans furthest, in the spread of people within a site."""
    curves = run.read_table("curves")
    moved = curves[curves["measure"] == "moved"]
    if not len(moved):
        return Found("no change was asked for")
    most = moved.loc[moved["value"].idxmax()]
    interval = Interval(float(most["value"]), float(most["low"]), float(most["high"]), int(most["people"]))
    what = f"{str(most['change']).replace('_', ' ')} at strength {most['strength']:g} moves a scan furthest"
    return Found(
        estimate(interval, f"{what}, in spreads of people within a site:", digits=2),
        numbers=({"measure": "moved", "change": str(most["change"]), **numbers(interval)},),
    )


def _percent(row: pd.Series, name: str) -> Interval:
    low, high = 100 * float(row[f"{name}_low"]), 100 * float(row[f"{name}_high"])
    return Interval(100 * float(row[name]), low, high, int(row["people"]))


def _row(row: pd.Series) -> Interval:
    return Interval(100 * float(row["value"]), 100 * float(row["low"]), 100 * float(row["high"]), int(row["people"]))
