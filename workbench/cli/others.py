"""The commands that are no job: a parser and a few lines each; what they do lies in the rooms."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import shipped
from workbench.errors import WorkbenchError
from workbench.lab import lab, notebooks


def list_runs(argv: list[str]) -> int:
    """``workbench runs FOLDER``: one line a run, with what it found."""
    parser = argparse.ArgumentParser(prog="workbench runs", description="List the runs below a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="one line of JSON a run")
    parser.add_argument(
        "--by-site", action="store_true", help="as a table, Dice by site of each pretrained run and its random twin"
    )
    asked = parser.parse_args(argv)
    from workbench.found import as_json, as_line, by_site
    from workbench.runs import find_runs

    runs = find_runs(asked.folder)
    if not runs:
        raise WorkbenchError(f"{asked.folder}: no runs here", remedy="give the folder in which --out folders lie")
    if asked.by_site:
        print(by_site(runs.values()))
        return 0
    for name, run in runs.items():
        print(as_json(run) if asked.json else as_line(name, run))
    return 0


def tell_status(argv: list[str]) -> int:
    """``workbench status RUN``: how a run stands; 1 where it has not ended well."""
    asked = _one_folder("status", "Say how a run stands: its scans, its shards, its jobs in Slurm.", argv)
    from workbench.runs import Run
    from workbench.runs.folder import is_run
    from workbench.standing import told

    if is_run(asked) and Run(asked).job == "batch":
        return tell_batch("status", [str(asked)])
    lines, well = told(asked)
    print(lines)
    return 0 if well else 1


def collect_run(argv: list[str]) -> int:
    """``workbench collect RUN``: join what the shards of a run have done."""
    asked = _one_folder("collect", "Join what the shards of a run have done, where they have done all.", argv)
    from workbench.found import as_text
    from workbench.runs import Run
    from workbench.runs.folder import is_run
    from workbench.standing import collect

    if is_run(asked) and Run(asked).job == "batch":
        return tell_batch("collect", [str(asked)])
    print(as_text(collect(asked)))
    return 0


def _one_folder(command: str, description: str, argv: list[str]) -> Path:
    parser = argparse.ArgumentParser(prog=f"workbench {command}", description=description)
    parser.add_argument("folder", type=Path, metavar="RUN", help="the --out of a job")
    return parser.parse_args(argv).folder


def tell_batch(what: str, argv: list[str]) -> int:
    """``workbench batch status FOLDER`` and ``workbench batch collect FOLDER``; 1 where not every run is well."""
    parser = argparse.ArgumentParser(
        prog=f"workbench batch {what}",
        description="Say how the runs of a batch are."
        if what == "status"
        else "Write all runs of a batch into one table (Parquet, CSV): parameters, state, minutes, recorded results.",
    )
    parser.add_argument("folder", type=Path, help="the --out of the batch")
    if what == "collect":
        parser.add_argument(
            "--table",
            help="in place of one row a run: all rows of this table (such as dice) of the "
            "run folders that the notebooks made",
        )
    args = parser.parse_args(argv)
    from workbench.batch import collect, plan

    status = collect.batch_status(args.folder)
    if what == "collect":
        rows = len(collect.collect_batch(args.folder, table=args.table))
        print(f"{rows} rows: {args.folder / 'results' / (args.table or plan.RUNS)}.parquet (and .csv)")
    else:
        print(collect.told(status))
    return 0 if (status["state"] == "ok").all() else 1


def list_encoders(argv: list[str]) -> int:
    """``workbench encoders``: the pretrained encoders that the package carries, and what each wants."""
    argparse.ArgumentParser(
        prog="workbench encoders", description="List the encoders in the box: names that --encoder takes."
    ).parse_args(argv)
    from workbench.model.box import boxed, facts

    for name, folder in boxed().items():
        told = facts(folder)
        print(f"{name}: {told['objective']}; {told['steps']} steps, seen {len(told['participants'])} people")
        wants = f"wants scans prepared at {told['spacing']:g} mm (preparation {told['preparation']})"
        print(f"  {wants}; its card: {folder / 'README.md'}")
    return 0


def doctor(argv: list[str]) -> int:
    """``workbench doctor``: what is installed and what is missing; 1 where something needed is."""
    parser = argparse.ArgumentParser(
        prog="workbench doctor",
        description="Say what is installed here, which devices there are, and what to do about what is missing.",
    )
    parser.add_argument(
        "--clean", action="store_true", help="remove temporary files that killed workers left more than a day ago"
    )
    asked = parser.parse_args(argv)
    from workbench.doctor import clean, examine

    if asked.clean:
        removed = clean()
        print("\n".join([*(f"removed {path}" for path in removed), f"{len(removed)} left-over files removed"]))
        return 0
    findings = examine()
    print("\n".join(str(finding) for finding in findings))
    return 1 if any(finding.kind == "missing" for finding in findings) else 0


def power(argv: list[str]) -> int:
    """``workbench power``: how many people and pretrainings show a difference, before they are run."""
    parser = argparse.ArgumentParser(
        prog="workbench power",
        description="How many people show a paired difference between two arms, and with which power so many do.",
    )
    parser.add_argument("--difference", type=float, required=True, help="the true difference, in the measure's unit")
    parser.add_argument("--spread", type=float, help="standard deviation of the paired difference between people")
    parser.add_argument("--study", type=Path, help="in place of --spread: a finished study, of which each is taken")
    parser.add_argument("--people", type=int, nargs="*", default=[], help="also the power with so many people")
    parser.add_argument("--seeds", type=int, default=1, help="pretrainings of each arm")
    parser.add_argument(
        "--seed-spread",
        type=float,
        default=0.0,
        help="standard deviation of the difference between pretrainings; without it the power is for these alone",
    )
    parser.add_argument("--margin", type=float, help="also the power to show equivalence within it")
    asked = parser.parse_args(argv)
    if (asked.spread is None) == (asked.study is None):
        parser.error("give --spread or --study, one of them")
    from workbench.study.evidence.power import of_study, told

    spreads = [("", asked.spread)] if asked.study is None else list(of_study(asked.study))
    for name, spread in spreads:
        if name:
            print(name)
        for line in told(
            asked.difference,
            spread,
            people=asked.people,
            seeds=asked.seeds,
            seed_spread=asked.seed_spread,
            margin=asked.margin,
        ):
            print(line)
    return 0


def look(argv: list[str]) -> int:
    """``workbench look FOLDER``: from the scans of a folder to the explorer, filled while it is open."""
    parser = argparse.ArgumentParser(
        prog="workbench look",
        description="From a folder of scans (BIDS) to the explorer: cohort, store, embedding, attention, tokens and "
        "shift are computed while the page is open. The same command continues where it was stopped.",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, help="where the runs go; by default FOLDER-look beside the folder")
    parser.add_argument("--encoder", default=None, help="folder of an exported encoder, or the name of one in the box")
    parser.add_argument("--port", type=int, default=5006, help="wanted port; the next free one is taken if it is busy")
    parser.add_argument("--open", action="store_true", help="open a browser")
    args = parser.parse_args(argv)
    from workbench import look as work

    try:
        from workbench.explorer.app.page import serve
    except ImportError as error:
        raise WorkbenchError(
            "the explorer is not installed", cause=str(error), remedy="pip install 'volta-workbench[app]'"
        ) from error
    folder = args.folder.resolve()
    out = args.out or folder.with_name(f"{folder.name}-look")

    def show(runs: Path, told: Any) -> None:
        serve(runs, port=args.port, open=args.open, told=told)

    work.look(folder, out, args.encoder or work.ENCODER, show)
    return 0


def explore(argv: list[str]) -> int:
    """``workbench explore FOLDER``: serve the explorer."""
    parser = argparse.ArgumentParser(prog="workbench explore", description="Open the explorer on a folder of runs.")
    parser.add_argument("folder", type=Path, nargs="?", help="folder of runs")
    parser.add_argument("--app", action="store_true", help="print the path of the app for `panel serve`, and end")
    parser.add_argument("--port", type=int, default=5006, help="wanted port; the next free one is taken if it is busy")
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on; only this machine by default")
    parser.add_argument("--open", action="store_true", help="open a browser")
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="further address under which a reverse proxy shows the page",
    )
    args = parser.parse_args(argv)
    if args.app:
        print(shipped.folder("apps") / "explorer.py")
        return 0
    if args.folder is None:
        parser.error("give the folder of runs")
    try:
        from workbench.explorer.app.page import serve
    except ImportError as error:
        raise WorkbenchError(
            "the explorer is not installed", cause=str(error), remedy="pip install 'volta-workbench[app]'"
        ) from error
    serve(args.folder, port=args.port, address=args.address, open=args.open, allow_origin=args.allow_origin)
    return 0


OTHERS: dict[str, tuple[str, Callable[[list[str]], int]]] = {
    "look": ("go from a BIDS folder to the explorer in one command", look),
    "runs": ("list the runs below a folder", list_runs),
    "status": ("say how a run stands that is spread over processes or Slurm", tell_status),
    "collect": ("join what the shards of such a run have done", collect_run),
    "explore": ("open the explorer on a folder of runs", explore),
    "encoders": ("list the encoders in the box", list_encoders),
    "lab": ("open JupyterLab on the notebooks", lab),
    "notebooks": ("list the notebooks, or copy them", notebooks),
    "power": ("say how many people and pretrainings show a difference", power),
    "doctor": ("say what is installed here, what is missing, and what to do about it", doctor),
}
"""What is no job: a line of help, and the function."""
