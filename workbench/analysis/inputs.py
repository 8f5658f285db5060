"""What each job of the room is made from: fingerprints by name, read without loading a model."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from workbench.analysis.config import (
    AttendConfig,
    ChangeConfig,
    EmbedConfig,
    GroupConfig,
    ProbeConfig,
    ReliabilityConfig,
    ShiftConfig,
    TokensConfig,
    WhatifConfig,
)
from workbench.cohort.splits import load_sides, split_fingerprint
from workbench.errors import ConfigError, WorkbenchError
from workbench.model.inputs import encoder_digest, fingerprints
from workbench.prepare.content import store_content
from workbench.runs import Run, digest_file, digest_text
from workbench.runs.folder import from_there

TABLES = {"embed": "embeddings", "segment": "dice", "classify": "predictions"}
"""Where the numbers of a run are, by its job."""


def numbers_of(run: Run) -> Path:
    """The file of a run's numbers."""
    return run.path / "results" / f"{TABLES[run.job]}.parquet"


def embed(config: EmbedConfig) -> dict[str, str]:
    inputs = fingerprints(config.store, config.encoder)
    if config.reference is not None:
        inputs["reference"] = digest_file(config.reference / "reference" / "reference.safetensors")
    return inputs


def looked_at(config: AttendConfig | TokensConfig) -> dict[str, str]:
    return {**fingerprints(config.store, config.encoder), **_split(config.split)}


def probe(config: ProbeConfig) -> dict[str, str]:
    inputs = fingerprints(config.store, config.encoder)
    inputs |= {f"against_{i}": encoder_digest(other) for i, other in enumerate(config.against)}
    return {**inputs, **_split(config.split)}


def shift(config: ShiftConfig) -> dict[str, str]:
    inputs = {"embed": digest_file(numbers_of(Run(config.embed).require_job("embed", "an embed run")))}
    if config.task is not None:
        task = Run(config.task).require_ok()
        table = TABLES["segment" if task.job == "segment" else "classify"]
        inputs["task"] = digest_file(task.path / "results" / f"{table}.parquet")
    return inputs


def whatif(config: WhatifConfig) -> dict[str, str]:
    inputs = fingerprints(config.store, config.encoder)
    for job, path in (("embed", config.embed), ("segment", config.segment), ("classify", config.classify)):
        if path is not None:
            inputs[job] = digest_file(numbers_of(Run(path).require_job(job, f"a {job} run")))
    return inputs


def reliability(config: ReliabilityConfig) -> dict[str, str]:
    inputs = of_runs(config)
    if config.store is not None and config.encoder is not None:
        inputs |= fingerprints(config.store, config.encoder)
    return {**inputs, **_split(config.split)}


def change(config: ChangeConfig) -> dict[str, str]:
    inputs = of_runs(config)
    if config.table is not None:
        if not config.table.is_file():
            raise ConfigError(f"{config.table}: there is no such table", remedy="choose another --table")
        inputs["table"] = digest_file(config.table)
    return {**inputs, **_split(config.split)}


def group(config: GroupConfig) -> dict[str, str]:
    attend = Run(config.attend).require_job("attend", "an attend run")
    inputs = {"store": store_content(config.store or from_there(str(attend.config["store"]), attend.path))}
    runs = {"attend": attend}
    if config.against is not None:
        runs["against"] = Run(config.against).require_job("attend", "an attend run")
    for role, run in runs.items():
        made_from = run.provenance.get("inputs") or {}
        tables = [digest_file(run.path / "results" / f"{t}.parquet") for t in run.tables() if t.startswith("attention")]
        inputs[role] = digest_text(*tables, *(f"{k} {v}" for k, v in sorted(made_from.items())))
    if config.template is not None:
        inputs["template"] = digest_file(config.template)
    return inputs


class OfRuns(Protocol):
    """A job about runs that are there."""

    @property
    def runs(self) -> tuple[Path, ...]: ...


def of_runs(config: OfRuns) -> dict[str, str]:
    """Fingerprints of what the given runs hold.

    Raises:
        WorkbenchError: a run of another job.
    """
    found = {}
    for path in config.runs:
        run = Run(path).require_ok()
        if run.job not in TABLES:
            raise WorkbenchError(
                f"{path}: has no numbers to compare between scans",
                cause=f"it is a run of '{run.job}'",
                remedy=f"give runs of {', '.join(TABLES)}",
            )
        found[str(path)] = digest_file(numbers_of(run))
    return found


def _split(path: Path | None) -> dict[str, str]:
    return {} if path is None else {"split": split_fingerprint(load_sides(path))}
