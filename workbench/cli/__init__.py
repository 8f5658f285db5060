"""The command line: one subcommand a job, made from the job's configuration class. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NamedTuple

import workbench
from workbench.cli.flags import job_parser, put, split_words, underscored
from workbench.cli.others import OTHERS, tell_batch
from workbench.errors import WorkbenchError, of_the_disk
from workbench.face import merged, settings_from
from workbench.jobs import JOBS

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
