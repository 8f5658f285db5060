"""The job "prepare": a cohort in, the prepared store out."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from workbench.cohort.contrasts import USUAL
from workbench.errors import ConfigError, WorkbenchError
from workbench.extras import require
from workbench.prepare.config import PrepareConfig
from workbench.prepare.fingerprint import preparation_fingerprint, settings_key
from workbench.prepare.mask import KINDS
from workbench.prepare.scan import CHANNEL, Outcome, ScanFiles, files_complete, prepare_scan, read_sidecar, safe_id
from workbench.runs import Run, replacing, start_run
from workbench.runs.parts import Parts, Rows
from workbench.runs.pool import KILLED, KILLED_REMEDY, available_cpus, in_processes
from workbench.runs.spread import ShardDone, shard, spread
from workbench.runs.tables import plain_memory, read_parquet

if TYPE_CHECKING:
    from workbench.cohort import Cohort

# of a scan's sidecar, what the tables tell: the whole, with its picture, is 6 KB, of which there are 300,000 in a lab
TOLD = {"shape", "affine", "source_shape", "source_affine", "has_seg", "mask", "brain_ml", "key", "missing"}
PICTURES = 500  # of so many scans at a time
OUTCOMES = "outcomes"  # of scans that were prepared in shards: a table among the run's parts
BRAIN_BOX_MM = (145.0, 180.0, 140.0)  # of an adult: for the estimate of --dry-run only


@plain_memory()
def run_prepare(config: PrepareConfig, *, overwrite: bool = False) -> Run:
    """Prepare every scan of the cohort into the run folder ``config.out``, which then is the store.

    Running it again does only what is missing or changed: a scan is redone iff its source files' contents or the
    settings differ. A scan that cannot be used, or is no longer the file that the cohort
    knows, is set aside with its cause and the rest goes on.

    Args:
        config: The settings.
        overwrite: Start from an empty folder.

    Returns:
        The finished run; ``open_store(run.path)`` reads it.

    Raises:
        ConfigError: the folder holds a store made with other settings.
        WorkbenchError: nothing could be prepared, or the disk is full. What is done is kept.
    """
    if config.n4:
        require("SimpleITK", extra="n4", instead="leave --n4 out")
    if config.mask == "deepbet":
        require("deepbet", extra="brain", instead="use --mask head")
    cohort = _load(config)
    config = with_contrasts(config, cohort)
    # no early return for a finished run: the source files may have changed since
    with start_run(
        config,
        overwrite=overwrite,
        cohort_fingerprint=cohort.fingerprint,
        preparation=preparation_fingerprint(config),
        simulated=bool(cohort.simulated),
    ) as run:
        folder = run.path / "scans"
        folder.mkdir(exist_ok=True)
        sources = _sources(cohort.table, config.contrasts)
        if config.executor == "here" and shard() is None:
            _clear_partials(run.path)
            outcomes = _prepare_all(config, sources, folder)
        else:
            outcomes = _prepare_spread(config, sources, run, cohort.fingerprint)
        _write_results(run, cohort, outcomes)
        run.note(workers=_workers(config), **_counts(outcomes))
        tqdm.write(describe(run), file=sys.stderr)
        if not any(o.sidecar for o in outcomes):
            raise WorkbenchError(
                f"{config.cohort}: no scan could be prepared",
                cause=outcomes[0].cause if outcomes else "the cohort is empty",
                remedy=f"see {run.path / 'results' / 'set_aside.parquet'}",
            )
    return run


def plan_prepare(config: PrepareConfig) -> str:
    """What ``run_prepare`` would do, in a few lines, without doing it (``--dry-run``)."""
    cohort = _load(config)
    config = with_contrasts(config, cohort)
    table, folder, settings = cohort.table, config.out / "scans", settings_key(config)
    done, voxels, done_bytes = 0, 0.0, 0
    for source, row in zip(_sources(table, config.contrasts), table.itertuples(), strict=True):
        sidecar = read_sidecar(folder, source.scan_id)
        if sidecar and sidecar["settings"] == settings and files_complete(folder, sidecar):
            done += 1
            done_bytes += sum(sidecar["files"].values())
            continue
        view = np.sort(np.array([row.x, row.y, row.z]) * np.array([row.sx, row.sy, row.sz], dtype=float))
        room = np.sort(np.array(BRAIN_BOX_MM)) + 2 * config.margin
        box = view if config.mask == "head" else np.minimum(view, room)
        voxels += float(np.prod(box / config.spacing)) * (2 if source.seg_path else 1 + len(source.channels))
    megabytes = (2 * voxels + done_bytes) / 1e6
    size = f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"
    return "\n".join(
        [
            f"prepare {len(table)} scans of {table['participant'].nunique()} participants from {config.cohort}",
            f"  into {config.out} at {config.spacing:g} mm, about {size} in all (a whole head takes more)",
            f"  {done} are there with these settings (their source files are checked when it runs), "
            f"{len(table) - done} to do, {_workers(config)} at a time",
        ]
    )


def describe(run: Run) -> str:
    """The outcome of a prepare run in a few lines: counts, kinds of masks, what was set aside."""
    facts = run.provenance
    lines = [
        f"prepared {facts['n']} scans ({facts['made']} now, {facts['kept']} were up to date)"
        + (", simulated" if facts.get("simulated") else "")
    ]
    lines += [f"  mask: {KINDS[kind]}: {n} scans" for kind, n in facts["masks"].items()]
    if facts["set_aside"]:
        lines.append(f"  set aside: {facts['set_aside']} (why: {run.path / 'results' / 'set_aside.parquet'})")
    return "\n".join(lines)


def _load(config: PrepareConfig) -> Cohort:
    from workbench.cohort import load_cohort

    cohort = load_cohort(config.cohort)
    bad = [s for s in cohort.table["scan_id"] if not safe_id(s)]
    if bad:
        raise ConfigError(
            f"{config.cohort}: scan ids that cannot be file names",
            cause=", ".join(bad[:5]),
            remedy="use only A-Z a-z 0-9 . _ - in scan_id",
        )
    twice = cohort.table["scan_id"][cohort.table["scan_id"].duplicated()].tolist()
    if twice:
        raise ConfigError(
            f"{config.cohort}: scan ids that occur twice", cause=", ".join(twice[:5]), remedy="a scan_id names one scan"
        )
    return cohort


def with_contrasts(config: PrepareConfig, cohort: Cohort) -> PrepareConfig:
    """The settings with the channels that the store will have.

    Raises:
        ConfigError: a contrast is asked for that the cohort has not.
    """
    if unknown := [name for name in config.contrasts if name not in cohort.contrasts]:
        raise ConfigError(
            f"contrasts: the cohort has no {' and no '.join(unknown)}",
            cause=f"it was made with --contrast {' '.join(cohort.contrasts)}",
            remedy="make the cohort with --contrast and all that are wanted, or choose of these",
        )
    if len(set(config.contrasts)) < len(config.contrasts):
        raise ConfigError("contrasts: one is given twice", cause=" ".join(config.contrasts), remedy="name each once")
    chosen = config.contrasts or cohort.contrasts
    # what was there before there were contrasts keeps its settings to the letter
    return config if chosen == USUAL and not config.contrasts else config.model_copy(update={"contrasts": chosen})


def _sources(table: pd.DataFrame, contrasts: tuple[str, ...] = ()) -> list[ScanFiles]:
    def text(value: Any) -> str | None:
        return value if isinstance(value, str) and value else None

    def column(name: str) -> Any:
        return table[name] if name in table else [None] * len(table)

    kinds = {"image": "fingerprint", "seg": "seg_fingerprint", "mask": "mask_fingerprint"}
    known = zip(*(map(text, column(name)) for name in kinds.values()), strict=True)
    found = [{kind: digest for kind, digest in zip(kinds, row, strict=True) if digest} for row in known]
    files = (column(name) for name in ("scan_id", "path", "seg_path", "mask_path"))
    sources = [ScanFiles(i, p, text(s), text(m), fingerprints=f) for i, p, s, m, f in zip(*files, found, strict=True)]
    if "channels" not in table:
        return sources
    rows = zip(sources, *(table[name] for name in ("channels", "channel_paths", "channel_fingerprints")), strict=True)
    return [_with_channels(one, names, paths, digests, contrasts) for one, names, paths, digests in rows]


def _with_channels(source: ScanFiles, names: str, paths: str, digests: str, contrasts: tuple[str, ...]) -> ScanFiles:
    """The files of the contrasts that are asked for; the first of them takes the place of the scan's own."""
    first, *others = names.split("+")
    path = {first: source.path, **dict(zip(others, json.loads(paths), strict=True))}
    digest = {first: source.fingerprints.get("image"), **dict(zip(others, json.loads(digests), strict=True))}
    own = {kind: value for kind, value in source.fingerprints.items() if kind != "image"}
    known = {"image": digest[contrasts[0]], **{f"{CHANNEL}{name}": digest[name] for name in contrasts[1:]}}
    return replace(
        source,
        path=path[contrasts[0]] or "",
        channels=tuple((name, path[name]) for name in contrasts[1:]),
        fingerprints=own | {kind: value for kind, value in known.items() if value},
    )


def _workers(config: PrepareConfig) -> int:
    return config.workers or available_cpus()


def _prepare_all(
    config: PrepareConfig, sources: list[ScanFiles], folder: Path, tell: Callable[[str, Rows], None] | None = None
) -> list[Outcome]:
    work = functools.partial(prepare_scan, config=config, folder=folder)
    workers = max(1, min(_workers(config), len(sources)))
    outcomes = []
    with tqdm(total=len(sources), desc="prepare", unit="scan", dynamic_ncols=True) as bar:
        for outcome in in_processes(work, sources, workers, _name, lost=_killed, apart=shard() is not None):
            if outcome.cause:
                bar.write(f"set aside {outcome.scan_id}: {outcome.cause}", file=sys.stderr)
            outcome = replace(outcome, sidecar={k: v for k, v in outcome.sidecar.items() if k in TOLD})
            if tell is not None:
                tell(
                    outcome.scan_id, {OUTCOMES: [{"scan_id": outcome.scan_id, "outcome": json.dumps(asdict(outcome))}]}
                )
            outcomes.append(_packed(outcome))
            bar.update()
    return outcomes


def _packed(outcome: Outcome) -> Outcome:
    """Its matrices as arrays: a list of numbers weighs six times as much, and outcomes are as many as scans."""
    matrices = {k: np.asarray(v, float) for k, v in outcome.sidecar.items() if k in ("affine", "source_affine")}
    return replace(outcome, sidecar=outcome.sidecar | matrices)


def _prepare_spread(config: PrepareConfig, sources: list[ScanFiles], run: Run, cohort: str) -> list[Outcome]:
    """The same in shards, each in a process of its own: what became of each scan comes back through the run's parts.

    Of parts that were made of another cohort none is taken: a scan may be another since.
    """
    mine = shard()
    if mine is not None:
        with Parts(run, of=mine) as parts:
            todo = [s for s in sources if s.scan_id in set(mine.scans) - parts.done]
            for outcome in _prepare_all(config, todo, run.path / "scans", tell=parts.add) if todo else []:
                assert outcome.scan_id in mine.scans
        raise ShardDone
    parts = Parts(run)
    parts.require_of(cohort)
    names = [source.scan_id for source in sources]
    spread(run, names, parts.look, config, desc="prepare")
    _clear_partials(run.path, nobody_writes=True)
    file = parts.collect(OUTCOMES)
    rows = [] if file is None else read_parquet(file)["outcome"]
    found = {one.scan_id: one for one in (_packed(Outcome(**json.loads(text))) for text in rows)}
    if file is not None:
        file.unlink()
    parts.remove()
    return [found[name] for name in names]


def _name(source: ScanFiles) -> str:
    return source.scan_id


def _killed(source: ScanFiles) -> Outcome:
    return Outcome(source.scan_id, cause=KILLED, remedy=KILLED_REMEDY)


def _write_results(run: Run, cohort: Cohort, outcomes: list[Outcome]) -> None:
    by_id = {o.scan_id: o for o in outcomes}
    # sorted by the bytes of scan_id: the store finds a scan by bisection
    table = cohort.table.sort_values("scan_id", ignore_index=True)
    usable = table[[bool(by_id[s].sidecar) for s in table["scan_id"]]].reset_index(drop=True)
    sidecars = [by_id[s].sidecar for s in usable["scan_id"]]
    shapes = np.array([s["shape"] for s in sidecars], dtype=np.int64).reshape(-1, 3)
    added = {
        "px": shapes[:, 0],
        "py": shapes[:, 1],
        "pz": shapes[:, 2],
        "affine": [np.ravel(s["affine"]) for s in sidecars],
        "source_shape": [list(s["source_shape"]) for s in sidecars],
        "source_affine": [np.ravel(s["source_affine"]) for s in sidecars],
        "has_seg": np.array([s["has_seg"] for s in sidecars], dtype=bool),
        "mask_kind": [s["mask"] for s in sidecars],
        "brain_ml": [float(s["brain_ml"]) for s in sidecars],
        "key": [s["key"] for s in sidecars],
    }
    if "channels" in usable:  # of the cohort's contrasts perhaps only some were asked for
        named = run.config.get("contrasts") or [*cohort.contrasts]
        usable = usable.assign(
            channels="+".join(named), channels_missing=["+".join(s.get("missing", [])) for s in sidecars]
        )
    usable = usable.rename(columns={c: f"cohort_{c}" for c in added})  # should somebody's participants.tsv have a "key"
    run.write_table("index", pd.concat([usable, pd.DataFrame(added)], axis=1))
    run.write_table("labels", cohort.labels)
    _write_pictures(run, usable["scan_id"].tolist())
    aside = [by_id[s] for s in table["scan_id"] if not by_id[s].sidecar]
    now = pd.DataFrame(
        {
            "scan_id": [o.scan_id for o in aside],
            "cause": [o.cause for o in aside],
            "remedy": [o.remedy for o in aside],
            "stage": "prepare",
            "kind": "scan",
        }
    )
    now = now.merge(table[["scan_id", "path", "dataset", "participant"]], on="scan_id")
    columns = ["scan_id", "path", "dataset", "participant", "kind", "cause", "remedy", "stage"]
    before = cohort.set_aside.assign(stage="cohort").reindex(columns=columns)
    parts = [part for part in (before, now[columns]) if len(part)]
    run.write_table("set_aside", (pd.concat(parts, ignore_index=True) if parts else before).astype("string"))


def _write_pictures(run: Run, scan_ids: list[str]) -> None:
    """The table of thumbnails out of the sidecars, some at a time; scans of an earlier version have none."""
    schema = pa.schema([("scan_id", pa.large_string()), ("thumbnail", pa.large_string())])
    path = run.path / "results" / "thumbnails.parquet"
    with replacing(path) as partial, pq.ParquetWriter(partial, schema, write_page_checksum=True) as writer:
        for start in range(0, max(1, len(scan_ids)), PICTURES):
            some = [(i, read_sidecar(run.path / "scans", i) or {}) for i in scan_ids[start : start + PICTURES]]
            rows = [{"scan_id": i, "thumbnail": s["thumbnail"]} for i, s in some if "thumbnail" in s]
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _counts(outcomes: list[Outcome]) -> dict[str, Any]:
    usable = [o for o in outcomes if o.sidecar]
    return {
        "n": len(usable),
        "made": sum(not o.kept for o in usable),
        "kept": sum(o.kept for o in usable),
        "set_aside": len(outcomes) - len(usable),
        "masks": dict(Counter(o.sidecar["mask"] for o in usable)),
    }


def _clear_partials(folder: Path, *, nobody_writes: bool = False) -> None:
    """Remove the half-written files of processes that are gone (`.partial-<pid>-<name>`); all, where nobody writes: a
    process of another node has a number that means nothing here."""
    for partial in [*folder.glob(".partial-*"), *folder.glob("*/.partial-*")]:
        pid = partial.name.split("-")[1]
        if nobody_writes:
            partial.unlink(missing_ok=True)
        elif pid.isdigit():
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                partial.unlink(missing_ok=True)
            except PermissionError:
                pass
