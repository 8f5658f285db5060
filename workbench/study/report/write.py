"""The report: one HTML file that opens anywhere and asks nothing of any network, and its numbers as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from html import escape

import pandas as pd

from workbench.measures import measure
from workbench.runs import Run, replacing
from workbench.stats.sentence import counted
from workbench.study.cells.cell import CELLS
from workbench.study.cells.execute import Outcome
from workbench.study.cells.plan import Plan
from workbench.study.evidence.flow import set_aside
from workbench.study.evidence.intervals import clear
from workbench.study.report.flowchart import flowchart, left_out
from workbench.study.report.markdown import as_markdown
from workbench.study.report.page import folded, page, paragraph, table
from workbench.study.report.rows import sentences, short_rows
from workbench.study.report.section import TaskTables, section
from workbench.study.report.words import arm_words, caveats, lead, methods
from workbench.study.settings.fair import Setting

SENTENCES = 8  # verdicts on the first screen; of more a table is read faster


def write_report(run: Run, plan: Plan, outcome: Outcome, fair: list[Setting]) -> None:
    """``report.html`` and ``results.md``, from the tables of ``run`` and the plan."""
    study, tables = plan.study, {name: run.read_table(name) for name in run.tables()}
    tasks = [_tables_of(name, run, plan, tables) for name in study.tasks]
    parts = [
        f"<h1>{escape(study.title)}</h1>",
        *(f"<p><span class=badge>{escape(badge)}</span></p>" for badge in badges(run, tasks)),
        paragraph(lead(plan, tables["people"]), "lead"),
        "<p class=note>"
        + " · ".join(f"<b>{escape(name)}</b>: {escape(told)}" for name, told in arm_words(plan))
        + "</p>",
    ]
    if outcome.failed:
        parts.append(
            f"<p><b>{len(outcome.failed)} of {len(plan.nodes)} cells failed; the rest is reported.</b></p>"
            + table(pd.DataFrame({"cell": outcome.failed.keys(), "why": outcome.failed.values()}))
        )
    if outcome.left:
        parts += [paragraph(not_run(plan, outcome)), folded("Cells that were not run", _left(plan, outcome))]
    parts += _found(tasks)
    parts += [
        "<ul class=note>",
        *(f"<li>{escape(told)}</li>" for told in caveats(plan, tables["arms"])),
        "</ul>",
        _contents(tasks),
    ]
    for one in tasks:
        parts += section(one, list(study.each_arm()), study.worst)
    parts.append('<h2 id="who">Who was used, who was not, and why</h2>')
    for name, store in plan.stores.items():
        rows = tables["flow"][tables["flow"]["data"] == name]
        parts += [f"<h3>{escape(name)}</h3>", flowchart(rows), left_out(set_aside(store))]
    parts += ['<h2 id="methods">Methods, to paste into a paper</h2>', paragraph(methods(plan))]
    parts += ['<h2 id="fair">What the arms share, and what is compared</h2>', *_fairness(fair)]
    if len(study.seeds) > 1:
        parts.append(folded("Each pretraining by itself", table(_by_seed(tables["people"]))))
    parts += ['<h2 id="again">How to run it again</h2>', *_provenance(run, plan)]
    with replacing(run.path / "report.html") as partial:
        partial.write_text(page(study.title, parts))
    with replacing(run.path / "results.md") as partial:
        partial.write_text(
            as_markdown(
                study.title,
                badges(run, tasks),
                lead(plan, tables["people"]),
                dict(arm_words(plan)),
                [*([not_run(plan, outcome)] if outcome.left else []), *caveats(plan, tables["arms"])],
                tasks,
                tables["flow"],
                methods(plan),
                facts(run, plan),
            )
        )


def not_run(plan: Plan, outcome: Outcome) -> str:
    minutes = plan.study.minutes
    given = "" if minutes is None else f" ({minutes:g} minutes)"
    return (
        f"{len(outcome.left)} of {len(plan.nodes)} cells were not run: the time that was given{given} was over. What a "
        "report needs first was run first; the same command goes on where this one stopped."
    )


def _left(plan: Plan, outcome: Outcome) -> str:
    """How many of each task and arm."""
    about = pd.DataFrame([plan.nodes[node].about for node in outcome.left])
    names = [name for name in ("stage", "task", "data", "arm") if name in about]
    return table(about[names].fillna("").value_counts(sort=False).rename("cells").reset_index())


def badges(run: Run, tasks: list[TaskTables]) -> Iterator[str]:
    simulated = [one.name for one in tasks if one.store.simulated]
    where = "" if len(simulated) == len(tasks) else f" in {', '.join(simulated)}"
    for name, on in (
        (f"SIMULATED DATA{where}", simulated),
        ("TRANSDUCTIVE: pretraining has seen people who are tested", run.provenance.get("transductive")),
    ):
        if on:
            yield name


def _tables_of(name: str, run: Run, plan: Plan, tables: dict[str, pd.DataFrame]) -> TaskTables:
    mine = {
        key: table[table["task"] == name]
        for key, table in tables.items()
        if key in ("people", "arms", "differences", "reached", "rates", "flow")
    }
    times = tables["time_to_dice"]
    task = plan.study.tasks[name]
    return TaskTables(
        name,
        task,
        {d.name: d for d in plan.directions[name]},
        times=times[times["task"] == name],
        root=run.path,
        store=plan.stores[task.data],
        classes=_classes(run, mine["people"]),
        **mine,
    )


def _classes(run: Run, people: pd.DataFrame) -> tuple[str, ...]:
    cells = list(dict.fromkeys(people["cell"]))
    return tuple(Run(run.path / CELLS / cells[0]).provenance.get("classes") or ()) if cells else ()


def _found(tasks: list[TaskTables]) -> Iterator[str]:
    """The verdicts, all of them: what shows a difference is not picked out of the rest."""
    main = pd.concat([one.main for one in tasks], ignore_index=True)
    yield "<div class=found><h2>What was found</h2>"
    if not len(main):
        yield paragraph("There is nothing to compare: no pair of arms has ended in the same place.")
    else:
        found = sum(clear(row) for row in main.itertuples())
        yield paragraph(
            f"{found} of {counted(len(main), 'comparison')} {'shows' if found == 1 else 'show'} a "
            "difference (the interval excludes 0 and the corrected test rejects)."
        )
    for one in tasks:
        if len(one.main):
            yield (
                f"<h3>{escape(one.name)}, {escape(measure(str(one.metric)).words)}</h3>"
                + (sentences(one.main) if len(main) <= SENTENCES else table(short_rows(one.main)))
            )
    yield "</div>"


def _contents(tasks: list[TaskTables]) -> str:
    names = [(f"task-{one.name}", one.name) for one in tasks] + [
        ("who", "who was used"),
        ("methods", "methods"),
        ("fair", "what the arms share"),
        ("again", "how to run it again"),
    ]
    return "<nav>" + "".join(f'<a href="#{escape(anchor)}">{escape(told)}</a>' for anchor, told in names) + "</nav>"


def _by_seed(people: pd.DataFrame) -> pd.DataFrame:
    rows = people[(people["structure"] == "mean") & people["metric"].isin(["dice", "absolute_error", "correct"])]
    mean = rows.groupby(["task", "direction", "fraction", "metric", "arm", "seed"], sort=False)["value"].mean()
    wide = mean.unstack("seed").add_prefix("seed ")
    return wide.round(4).reset_index().rename_axis(columns=None)


def _fairness(fair: list[Setting]) -> Iterator[str]:
    def rows(of: list[Setting]) -> str:
        return table(
            pd.DataFrame(
                [
                    {
                        "job": s.group,
                        "setting": s.name,
                        "shared": _value(s.shared),
                        **{a: _value(v) for a, v in s.arms.items()},
                    }
                    for s in of
                ]
            ).fillna("as shared"),
            "none: what sets the arms apart is whether they were pretrained",
        )

    other = [s for s in fair if s.arms]
    both = [s for s in other if s.shared is not None and None not in s.arms.values()]
    yield rows(both)
    if len(other) > len(both):
        yield folded("Settings that only some of the arms have", rows([s for s in other if s not in both]))
    yield folded(
        "All shared settings",
        table(pd.DataFrame([{"job": s.group, "setting": s.name, "value": str(s.shared)} for s in fair if not s.arms])),
    )


def _value(value: object) -> str:
    return "–" if value is None else str(value)


def facts(run: Run, plan: Plan) -> dict[str, str]:
    """What it was made with: command, code, packages, machine, seeds, minutes."""
    made, cells, study = run.provenance, run.read_table("cells"), plan.study
    minutes = pd.to_numeric(cells["seconds"], errors="coerce").sum() / 60
    code = made["code"] if isinstance(made["code"], dict) else {"commit": made["code"]}
    return {
        "command": f"workbench compare --config {run.path.name}/config.yaml --out {run.path.name}",
        "code": f"workbench {made['workbench']}, commit {code.get('commit')}"
        + (", with changes that are not committed" if code.get("modified") else ""),
        "Python": made["python"],
        "packages": ", ".join(f"{k} {v}" for k, v in made["packages"].items()),
        "machine": f"{platform.machine()}, " + ", ".join(f"{k} {v}" for k, v in made["machine"].items()),
        "seeds": f"pretraining {', '.join(map(str, study.seeds))}; fine-tuning "
        f"{', '.join(map(str, study.finetune_seeds))}; split {study.split_seed}",
        "work": f"{counted(len(cells), 'cell')}, {minutes:.1f} minutes of work in all",
    }


def _provenance(run: Run, plan: Plan) -> Iterator[str]:
    told, cells = facts(run, plan), run.read_table("cells")
    yield paragraph(
        "Every number of this page, and every person's, is in results/ beside it, as CSV and as parquet: "
        "people, arms, differences, time_to_dice, reached, rates, flow, cells."
    )
    yield table(pd.DataFrame({"": told.keys(), "what": list(told.values())}))
    yield f"<details><summary>Configuration</summary><pre>{escape((run.path / 'config.yaml').read_text())}</pre>"
    yield "</details>" + folded("Cells", table(cells))
