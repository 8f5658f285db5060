"""The command line: one subcommand a job, made from the job's configuration class. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import workbench
from workbench import shipped
from workbench.errors import ConfigError, WorkbenchError, of_the_disk
from workbench.face import merged, settings_from
from workbench.jobs import JOBS
from workbench.lab import lab, notebooks

# Idle OpenMP threads sleep instead of spinning: two jobs on the same cores (an explorer, a loader, a neighbour) else
# slow each other down tenfold. Must be said before torch is loaded; the user's own word goes first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(argv: list[str] | None = None) -> int:
    """Entry point. Exit status: 0 done, 1 done but with failures, 2 refused with a reason, 130 stopped by the user (and
    resumable)."""
    argv = sys.argv[1:] if argv is None else argv
    parser = top_parser()
    args, _ = parser.parse_known_args(argv[:1])
    if not args.command:
        parser.print_help()
        return 0
    try:
        if args.command == "batch" and argv[1:2] and argv[1] in ("status", "collect"):
            return tell_batch(argv[1], argv[2:])
        if args.command in JOBS:
            return run_job(args.command, argv[1:])
        return OTHERS[args.command][1](argv[1:])
    except WorkbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except OSError as error:
        if (refusal := of_the_disk(error, "a file")) is None:
            raise
        print(f"error: {refusal}", file=sys.stderr)
        return refusal.exit_status
    except KeyboardInterrupt:
        print("stopped. What was finished is kept: run the same command again to continue.", file=sys.stderr)
        return 130


def top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="Self-supervised learning on brain MRI: a BIDS folder in, evidence out. "
        "A research tool, not for diagnosis.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="jobs, in the order of the data:\n"
        + "\n".join(f"  {n:<12}{j.help}" for n, j in JOBS.items())
        + "\n\nthen:\n"
        + "\n".join(f"  {n:<12}{told}" for n, (told, _) in OTHERS.items())
        + "\n\n`workbench JOB --help` lists the settings of a job.",
    )
    parser.add_argument("--version", action="version", version=f"workbench {workbench.__version__}")
    parser.add_argument("command", nargs="?", choices=[*JOBS, *OTHERS], metavar="JOB")
    return parser


def run_job(name: str, argv: list[str]) -> int:
    """Validate the settings of a job and run it, or say what it would do."""
    job = JOBS[name]
    asked = config_from(name, argv)
    config, overwrite = asked.config, asked.overwrite
    if asked.quiet or asked.json:
        os.environ["TQDM_DISABLE"] = "1"  # read when the bar is made; the processes of a study and a batch take it over
    if asked.dry_run:
        print(config.to_yaml(), end="")
        if plan := job.planner():
            print(plan(config))
        return 0
    run = job.do(config, overwrite=overwrite)
    # of several processes of one training, the first speaks
    if not asked.quiet and all(os.environ.get(rank, "0") == "0" for rank in ("RANK", "LOCAL_RANK", "SLURM_PROCID")):
        from workbench.found import as_json, as_text

        print(as_json(run) if asked.json else as_text(run))
    return 0


class Asked(NamedTuple):
    """What a command line asks of a job."""

    config: Any
    overwrite: bool
    dry_run: bool
    quiet: bool
    json: bool


def config_from(name: str, argv: list[str]) -> Asked:
    """The validated configuration of a job from a file and flags, and how to run it."""
    config_class = JOBS[name].config_class()
    if argv and argv[0].endswith((".yaml", ".yml")):  # `workbench batch grid.yaml`
        argv = ["--config", *argv]
    parser, given = job_parser(name, config_class), [underscored(a) for a in argv]
    args = vars(parser.parse_intermixed_args(given) if JOBS[name].words else parser.parse_args(given))
    how = {word: args.pop(word) for word in ("overwrite", "dry_run", "quiet", "json")}
    values: dict[str, Any] = {}
    for source in (args.pop("preset", None), args.pop("config")):
        if source is not None:
            values = merged(values, settings_from(name, source))
    for path, value in split_words(name, config_class, args.pop("words", [])).items():
        put(values, [path], value)
    for path, value in args.items():
        if value is not None:
            put(values, path.split("."), value)
    return Asked(config_class.build(values), **how)


def job_parser(name: str, config_class: type) -> argparse.ArgumentParser:
    """Flags from the fields of a configuration class; nested settings are dotted (``--encoder.preset``)."""
    parser = argparse.ArgumentParser(
        prog=f"workbench {name}", description=(config_class.__doc__ or "").strip(), argument_default=None
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="YAML",
        help="read settings from a file (a run's config.yaml); flags given here win",
    )
    if known := shipped.presets(name):
        parser.add_argument(
            "--preset", metavar="|".join(known), help="settings that come with the package; --config and flags win"
        )
    if words := JOBS[name].words:
        parser.add_argument(
            "words",
            nargs="*",
            metavar=" ".join(w.upper() for w in words),
            help=f"as {' and '.join(f'--{w}' for w in words)}",
        )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--overwrite", action="store_true", help="replace a run with other settings at --out")
    parser.add_argument("--quiet", action="store_true", help="no progress and no result; errors are still told")
    parser.add_argument("--json", action="store_true", help="no progress; the result as one line of JSON")
    settings: dict[str, list[Leaf]] = {}
    for leaf in leaves(config_class):
        settings.setdefault(leaf.path, []).append(leaf)
    for path, told in settings.items():
        annotation = told[0].annotation
        several = typing.get_origin(annotation) in (tuple, list) or _holds_tuple(annotation)
        choices = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else None
        text = " ".join(_help(leaf) for leaf in told).replace("%", "%%")
        flag: dict[str, Any] = {}
        if several:  # `int | tuple` takes one number or one an axis; a list may be given empty: `--structures`
            flag = {"nargs": "*", "action": JoinOrOne if _holds_tuple(annotation) else Join}
        elif annotation is bool:
            flag = {"nargs": "?", "const": "true"}
        parser.add_argument(
            f"--{path}",
            dest=path,
            help=text,
            metavar="|".join(choices) if choices else path.rsplit(".", 1)[-1].upper(),
            **flag,
        )
    return parser


def split_words(job: str, config_class: type, words: list[str]) -> dict[str, Any]:
    """``MODEL SCAN SCAN …`` → settings by name, in the order of the job's words; one that is a list takes the rest.

    Raises:
        ConfigError: there are more words than settings.
    """
    several = {leaf.path for leaf in leaves(config_class) if typing.get_origin(leaf.annotation) in (tuple, list)}
    values: dict[str, Any] = {}
    left = list(words)
    for name in JOBS[job].words:
        if left:
            values[name], left = (left, []) if name in several else (left[0], left[1:])
    if left:
        raise ConfigError(
            f"{job}: do not know what to do with {' '.join(left)}",
            remedy=f"give {' '.join(w.upper() for w in JOBS[job].words)}, and the rest with its flag",
        )
    return values


class Join(argparse.Action):
    """A list; a repeated flag adds to it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        before = getattr(namespace, self.dest) or []
        setattr(namespace, self.dest, [*before, *values])


class JoinOrOne(argparse.Action):
    """One value stays a value, several are a list."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values[0] if len(values) == 1 else values)


def underscored(argument: str) -> str:
    """``--batch-size 8`` means ``--batch_size 8``."""
    if not argument.startswith("--") or argument == "--dry-run":
        return argument
    flag, equals, value = argument.partition("=")
    return "--" + flag[2:].replace("-", "_") + equals + value


@dataclass(frozen=True)
class Leaf:
    """One setting: dotted name, type, pydantic's field, and of which variants it is one ("" for a plain setting).

    Variants may mean different things by one name, or have other defaults: then there are several of that path.
    """

    path: str
    annotation: Any
    field: Any
    variants: str = ""


def leaves(model: Any, prefix: str = "") -> Iterator[Leaf]:
    """Every setting, groups opened. A group with variants (objectives) gives the settings of all of them."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if hasattr(annotation, "variants"):
            yield from variant_leaves(annotation.variants(), f"{prefix}{name}.")
        elif hasattr(annotation, "model_fields"):
            yield from leaves(annotation, f"{prefix}{name}.")
        else:
            yield Leaf(f"{prefix}{name}", annotation, field)


def variant_leaves(variants: dict[str, Any], prefix: str) -> Iterator[Leaf]:
    """``name`` chooses the variant; a setting that several have is listed once where it is the same in all of them."""
    yield Leaf(f"{prefix}name", typing.Literal[tuple(variants)], next(iter(variants.values())).model_fields["name"])
    found: dict[str, tuple[Leaf, list[str]]] = {}
    for variant, model in variants.items():
        for leaf in leaves(model, prefix):
            if leaf.path != f"{prefix}name":
                found.setdefault(f"{leaf.path} {leaf.annotation} {_help(leaf)}", (leaf, []))[1].append(variant)
    for leaf, owners in found.values():
        yield Leaf(leaf.path, leaf.annotation, leaf.field, ", ".join(owners))


def put(values: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
    if isinstance(value, str) and value.lower() == "none":
        value = None
    values[path[-1]] = value


def _holds_tuple(annotation: Any) -> bool:
    union = isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union
    return union and any(typing.get_origin(a) in (tuple, list) for a in typing.get_args(annotation))


def _help(leaf: Leaf) -> str:
    """What a setting is, whose, its bounds and its default."""
    field = leaf.field
    of = f"[{leaf.variants}] " if leaf.variants else ""
    default = "" if field.is_required() else f" [{_shown(field.get_default(call_default_factory=True))}]"
    return f"{of}{(field.description or '').strip()}{_bounds(field)}{default}"


def _bounds(field: Any) -> str:
    """What the field's constraints say, as in `` (above 0, at most 5)``."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    said = [f"{word} {getattr(c, key):g}" for c in field.metadata for key, word in words.items() if hasattr(c, key)]
    return f" ({', '.join(said)})" if said else ""


def _shown(default: Any) -> str:
    if isinstance(default, tuple | list):
        return " ".join(str(v) for v in default) or "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


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

if __name__ == "__main__":
    sys.exit(main())
