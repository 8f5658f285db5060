"""Jobs that make something: how many scans and people, and what was left out."""

from __future__ import annotations

from typing import Any

from workbench.found.found import Found, numbers
from workbench.runs import Run
from workbench.stats import bootstrap_interval
from workbench.stats.sentence import counted, estimate


def simulate(run: Run) -> Found:
    people, sites = int(run.provenance["participants"]), int(run.config["sites"])
    scans = int(run.provenance.get("scans", people))
    told = counted(people, "person", "people") if scans == people else _scans_of(scans, people)
    return Found(f"{told} at {counted(sites, 'site')}", numbers=({"people": people, "sites": sites, "scans": scans},))


def labelmaps(run: Run) -> Found:
    people = int(run.provenance["participants"])
    return Found(
        f"{counted(people, 'person', 'people')} of label maps, intensities simulated", numbers=({"people": people},)
    )


def cohort(run: Run) -> Found:
    scans, aside = run.read_table("scans"), run.read_table("set_aside")
    people, sites = scans["participant"].nunique(), scans["site"].nunique()
    return Found(
        f"{_scans_of(len(scans), people)} at {counted(sites, 'site')}" + _aside(len(aside), "file"),
        numbers=({"scans": len(scans), "people": people, "sites": sites, "set_aside": len(aside)},),
    )


def predict(run: Run) -> Found:
    scans = int(run.provenance["scans"])
    return Found(f"{counted(scans, 'scan')} asked", numbers=({"scans": scans},))


def split(run: Run) -> Found:
    sides = run.read_table("split")["split"].value_counts()
    people = {side: int(sides.get(side, 0)) for side in ("train", "validation", "test")}
    return Found("people: " + ", ".join(f"{n} {side}" for side, n in people.items()), numbers=(people,))


def prepare(run: Run) -> Found:
    index = run.read_table("index")
    people, aside = index["participant"].nunique(), int(run.provenance.get("set_aside", 0))
    return Found(
        f"{_scans_of(len(index), people)} at {run.config['spacing']:g} mm" + _aside(aside, "scan"),
        numbers=({"scans": len(index), "people": people, "set_aside": aside},),
    )


def pretrain(run: Run) -> Found:
    """How long, on whom, and whether it collapsed: a loss is no result."""
    steps = run.metrics()
    facts = run.provenance
    seen = facts.get("participants")
    people = len(seen.get("train", [])) if isinstance(seen, dict) else len(seen or [])
    last = int(steps["step"].max()) if "step" in steps else 0
    losses = steps["loss"].dropna().tolist() if "loss" in steps else []
    alarm = facts.get("alarm")
    words = counted(last, "step") + (f" on {counted(people, 'person', 'people')}" if people else "")
    if len(losses):
        words += f", loss {losses[0]:.3g} → {losses[-1]:.3g}"
    return Found(
        words + (f"; COLLAPSED at step {alarm['step']}" if alarm else ""),
        beside=(str(alarm["why"]),) if alarm else (),
        numbers=({"steps": last, "people": people, "collapsed": bool(alarm)},),
    )


def imported(run: Run) -> Found:
    """How much of the checkpoint was taken, and what to know of the encoder."""
    keys = run.read_table("keys")
    counts = {fate: int((keys["fate"] == fate).sum()) for fate in ("taken", "left")}
    return Found(
        f"{run.provenance['format']}: {counted(counts['taken'], 'tensor')} taken, {counts['left']} left",
        beside=tuple(run.provenance["told"]),
        numbers=({**counts, "people_known": bool(run.provenance["people_known"])},),
    )


def exported(run: Run) -> Found:
    """What was written, and how far its features are from the encoder's."""
    apart = float(run.provenance["largest_difference"])
    return Found(
        f"{run.path / run.provenance['file']}, features at most {apart:.1g} from the encoder's",
        numbers=({"largest_difference": apart},),
    )


def embed(run: Run) -> Found:
    """How many scans, and how often the nearest one of another person is of the same site."""
    scans = run.read_table("scans")
    people, words = scans["participant"].nunique(), _scans_of(len(scans), scans["participant"].nunique())
    if "seen_in_pretraining" in scans:
        seen = scans.loc[scans["seen_in_pretraining"].astype(bool), "participant"].nunique()
        words += f", {counted(seen, 'person', 'people')} seen in pretraining"
    told: list[dict[str, Any]] = [{"scans": len(scans), "people": people}]
    table = run.read_table("neighbours")
    sites = scans["site"].fillna("unknown").astype(str)
    if "same_participant" not in table or sites.nunique() < 2:
        return Found(words, numbers=tuple(told))
    of = dict(zip(scans["scan_id"], sites, strict=True))
    others = table[~table["same_participant"].astype(bool)].sort_values("rank").drop_duplicates("scan_id")
    same = others["scan_id"].map(of) == others["neighbour"].map(of)
    whose = others["scan_id"].map(dict(zip(scans["scan_id"], scans["participant"], strict=True)))
    interval = bootstrap_interval(100 * same.to_numpy(float), whose.to_numpy(str))
    by_site = scans.assign(site=sites).drop_duplicates("participant")["site"].value_counts()
    chance = float(100 * (by_site * (by_site - 1)).sum() / (len(by_site) and people * max(1, people - 1)))
    nearest = estimate(interval, "nearest scan of another person from the same site", digits=0, unit="%")
    return Found(
        words,
        beside=(f"{nearest}; {chance:.0f} % by chance",),
        numbers=(
            *told,
            {"measure": "same_site_percent", **numbers(interval), "chance": chance},
        ),
    )


def compare(run: Run) -> Found:
    """How many of the comparisons show a difference; the sentences are in the report."""
    from workbench.measures import main_rows

    table, facts = main_rows(run.read_table("differences")), run.provenance
    clear = ((table["low"] > 0) | (table["high"] < 0)) & (table["p_holm"] < 0.05)
    failed, left = len(facts.get("failed") or {}), int(facts.get("not_run") or 0)
    return Found(
        f"{int(clear.sum())} of {counted(len(table), 'comparison')} show a difference"
        + (f"; {counted(failed, 'cell')} failed" if failed else "")
        + (f"; {counted(left, 'cell')} not run, the time given was over" if left else ""),
        beside=tuple(f"{r.task}, {r.direction}: {r.verdict}" for r in table.head(3).itertuples())
        + ((f"and {len(table) - 3} more in report.html",) if len(table) > 3 else ()),
        numbers=tuple(
            {
                "task": r.task,
                "direction": r.direction,
                "measure": r.metric,
                "a": r.a,
                "b": r.b,
                "estimate": float(r.difference),
                "low": float(r.low),
                "high": float(r.high),
                "n": int(r.n),
            }
            for r in table.itertuples()
        ),
    )


def notebook(run: Run) -> Found:
    recorded = run.provenance.get("recorded") or {}
    plain = {k: v for k, v in recorded.items() if isinstance(v, int | float | str) and len(str(v)) < 40}
    told = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in list(plain.items())[:6])
    return Found(f"recorded: {told}" if told else "nothing was recorded", numbers=(plain,) if plain else ())


def batch(run: Run) -> Found:
    runs = run.read_table("runs")
    well = int((runs["state"] == "ok").sum())
    return Found(f"{well} of {counted(len(runs), 'run')} well", numbers=({"runs": len(runs), "ok": well},))


def _scans_of(scans: int, people: int) -> str:
    return f"{counted(scans, 'scan')} of {counted(people, 'person', 'people')}"


def _aside(number: int, what: str) -> str:
    return f"; {counted(number, what)} set aside" if number else ""
