"""The report: one HTML file that opens anywhere and asks nothing of any network."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pandas as pd

from workbench.prepare.store import Store
from workbench.runs import Run, replacing
from workbench.study import figures
from workbench.study.config import TaskSettings
from workbench.study.evidence import GROUP, PRIMARY, SHOWN, measured
from workbench.study.execute import Outcome
from workbench.study.fair import Setting
from workbench.study.numbers import scored
from workbench.study.plan import Plan

STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2733}
table{border-collapse:collapse;margin:.6rem 0;font-size:13px}td,th{padding:.2rem .6rem;border-bottom:1px solid #ddd;
text-align:left}.badge{background:#f5b301;padding:.15rem .5rem;border-radius:.6rem;font-weight:700}
pre{background:#f4f6f8;padding:1rem;overflow:auto;font-size:12px}svg{max-width:100%;height:auto}summary{cursor:pointer;margin-top:1rem}"""


def write_report(run: Run, plan: Plan, outcome: Outcome, fair: list[Setting]) -> None:
    """``report.html``, from the tables of ``run`` and the plan."""
    study = plan.study
    badges = [name for name, on in (("SIMULATED DATA", run.simulated),
                                    ("TRANSDUCTIVE: pretraining has seen people who are tested",
                                     run.provenance.get("transductive"))) if on]
    people, arms, differences = (run.read_table(name) for name in ("people", "arms", "differences"))
    parts = [f"<h1>{escape(study.title)}</h1>", *(f"<p><span class=badge>{b}</span></p>" for b in badges)]
    if outcome.failed:
        parts.append(f"<p><b>{len(outcome.failed)} of {len(plan.nodes)} cells failed; the rest is reported.</b></p>"
                     + _html(pd.DataFrame({"cell": outcome.failed.keys(), "why": outcome.failed.values()})))
    for name, task in study.tasks.items():
        parts += _task(name, task, people, arms, differences, run.read_table("time_to_dice"), study.worst)
    parts.append("<h2>Who was used</h2>")
    parts += [_flow(name, store, plan, people) for name, store in plan.stores.items()]
    parts += ["<h2>Methods</h2>", f"<p>{escape(methods(plan))}</p>"]
    parts += ["<h2>What the arms share, and what is compared</h2>", *_fairness(fair)]
    parts += ["<h2>How to run it again</h2>", *_provenance(run)]
    page = (f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(study.title)}</title>"
            f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n")
    with replacing(run.path / "report.html") as partial:
        partial.write_text(page)


def _task(name: str, task: TaskSettings, people: pd.DataFrame, arms: pd.DataFrame, differences: pd.DataFrame,
          times: pd.DataFrame, count: int) -> Iterator[str]:
    yield f"<h2>{escape(name)}</h2>"
    mine, found = arms[arms["task"] == name], differences[differences["task"] == name]
    metrics = [m for m in PRIMARY if m in set(mine["metric"])]
    if not metrics:
        yield "<p>No cell of this task has ended.</p>"
        return
    metric = metrics[0]
    shown, main = SHOWN[metric], found[found["metric"] == metric]
    yield "".join(f"<p>{escape(row.direction)}, {100 * row.fraction:g} % of the labels: {escape(row.verdict)}</p>"
                  for row in main.itertuples())
    yield _html(_arms_by_place(mine))
    if len(main):
        yield figures.forest(main, shown.scale, shown.words)
    rows = mine[mine["metric"] == metric]
    values = measured(people[people["task"] == name])
    for direction, one in rows.groupby("direction", sort=False):
        if one["fraction"].nunique() > 1:
            yield f"<h3>By share of the labels: {escape(str(direction))}</h3>"
            yield figures.by_fraction(one, shown.scale, shown.words)
    if metric != "auroc":
        yield "<h3>Every person</h3>" + figures.people(values[values["metric"] == metric], shown.scale, shown.words)
        yield "<h3>Worst cases</h3>" + _html(_worst(people, name, metric, count))
    scores = scored(people)
    if len(scores := scores[scores["task"] == name]):
        yield "<h3>Calibration</h3>" + figures.calibration(scores)
    if len(here := times[times["task"] == name]):
        yield "<h3>Dice against steps</h3>" + figures.time_to_dice(here)
    if rows["direction"].nunique() > 1:
        whole = rows[rows["fraction"] == rows["fraction"].max()]
        yield "<h3>By direction of transfer</h3>" + whole.pivot_table(
            "estimate", "direction", "arm", sort=False).mul(shown.scale).round(shown.digits).to_html(border=0)


def _arms_by_place(rows: pd.DataFrame) -> pd.DataFrame:
    """A row an arm and place, a column a metric: estimate [low, high]."""
    rows = rows[rows["metric"].isin(list(SHOWN))].copy()
    rows["told"] = [f"{r.estimate * SHOWN[r.metric].scale:.{SHOWN[r.metric].digits}f} "
                    f"[{r.low * SHOWN[r.metric].scale:.{SHOWN[r.metric].digits}f}, "
                    f"{r.high * SHOWN[r.metric].scale:.{SHOWN[r.metric].digits}f}]" for r in rows.itertuples()]
    rows["metric"] = rows["metric"].map(lambda m: SHOWN[m].words)
    rows["fraction"] = rows["fraction"].map(lambda f: f"{100 * f:g} %")
    wide = rows.pivot_table("told", [*GROUP[1:], "arm", "n", "seeds"], "metric", aggfunc="first", sort=False)
    return wide.reset_index().rename_axis(columns=None).rename(columns={"fraction": "labels", "n": "people"})


def _worst(people: pd.DataFrame, task: str, metric: str, count: int) -> pd.DataFrame:
    rows = people[(people["task"] == task) & (people["metric"] == metric) & (people["structure"] == "mean")]
    ordered = rows.sort_values("value", ascending=SHOWN[metric].better == "higher")
    return ordered.groupby("arm", sort=False).head(count)[["arm", "direction", "participant", "site", "value"]].round(3)


def _flow(name: str, store: Store, plan: Plan, people: pd.DataFrame) -> str:
    """Who came in, who was set aside and why, who was tested: by person."""
    rows: list[tuple[str, int | None, int | None]] = [(f"prepared in '{name}'", store.index["participant"].nunique(),
                                                       len(store.index))]
    aside = [table for table in (_set_aside(store.path), _set_aside(Path(str(Run(store.path).config["cohort"]))))
             if table is not None]
    for table in aside:
        rows += [(f"set aside: {cause}", None, len(one)) for cause, one in table.groupby("cause")]
    for task, one in people.groupby("task"):
        if plan.study.tasks[str(task)].data == name:
            rows.append((f"tested in '{task}'", one["participant"].nunique(), None))
    return _html(pd.DataFrame(rows, columns=["", "people", "scans"]).astype({"people": "Int64", "scans": "Int64"}))


def _set_aside(folder: Path) -> pd.DataFrame | None:
    """None where the folder is not there any more, as with a store that was moved to this machine."""
    if not (folder / "results" / "set_aside.parquet").is_file():
        return None
    return pd.read_parquet(folder / "results" / "set_aside.parquet")


def methods(plan: Plan) -> str:
    """A paragraph to paste into a paper."""
    study = plan.study
    arms = ", ".join(study.arms)
    told = [f"Arms ({arms}) were compared on the same people under the same settings, except "
            f"{', '.join(study.compares)}.",
            f"People, not scans, were split ({study.folds} folds, {study.run_folds or study.folds} of them run, seed "
            f"{study.split_seed}); no person whom pretraining had seen was tested"
            + (" unless marked (transductive)." if study.transductive else "."),
            f"Pretraining was repeated with {len(study.seeds)} seed(s) and fine-tuning with "
            f"{len(study.finetune_seeds)}; repeats and folds count as the same people."]
    if rates := {name: t.learning_rates for name, t in study.tasks.items() if len(t.learning_rates) > 1}:
        each = "; ".join(f"{name}: {', '.join(f'{r:g}' for r in values)}" for name, values in rates.items())
        told.append(f"Learning rates were chosen per arm on the same validation people: {each}.")
    told.append("Intervals are 95 % bootstrap intervals over people (with several seeds, over people and seeds); "
                "paired differences were tested by permutation of signs, AUROC by DeLong's test, with Holm's "
                "correction over those of a task and metric. Each person's metrics were computed in mm in the "
                "scan's own space.")
    return " ".join(told)


def _fairness(fair: list[Setting]) -> Iterator[str]:
    yield _html(pd.DataFrame([{"job": s.group, "setting": s.name, "shared": str(s.shared),
                               **{a: str(v) for a, v in s.arms.items()}} for s in fair if s.arms]).fillna("as shared"))
    yield "<details><summary>All shared settings</summary>" + _html(pd.DataFrame(
        [{"job": s.group, "setting": s.name, "value": str(s.shared)} for s in fair if not s.arms])) + "</details>"


def _provenance(run: Run) -> Iterator[str]:
    facts, cells = run.provenance, run.read_table("cells")
    minutes = pd.to_numeric(cells["seconds"], errors="coerce").sum() / 60
    yield (f"<p>workbench {facts['workbench']}, code {escape(str(facts['code']))}; Python {facts['python']}; "
           f"{escape(platform.machine())}, {escape(str(facts['machine']))}; {len(cells)} cells, "
           f"{minutes:.1f} minutes of work in all.</p><p>{escape(str(facts['packages']))}</p>")
    yield f"<details open><summary>Configuration</summary><pre>{escape((run.path / 'config.yaml').read_text())}</pre>"
    yield "</details><details><summary>Cells</summary>" + _html(cells) + "</details>"


def _html(table: pd.DataFrame) -> str:
    return table.to_html(index=False, border=0, na_rep="") if len(table) else "<p>none</p>"
