"""What the run folders hold, for the app: which runs there are, and their tables, kept while unchanged."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workbench import columns
from workbench.columns import PROJECTIONS
from workbench.errors import WorkbenchError
from workbench.explorer.stored.places import without_places
from workbench.found.told import UNKNOWN
from workbench.runs import Run, find_runs, read_json, read_yaml
from workbench.runs.folder import from_there
from workbench.runs.tables import read_parquet
from workbench.runs.texts import printable

MERGED_KEPT = 4  # merged cohorts that are kept for all sessions
_MERGED: dict[tuple[Any, ...], pd.DataFrame] = {}
_MERGING = threading.Lock()
COORDINATES = tuple(column for pair in PROJECTIONS.values() for column in pair)


@dataclass(frozen=True)
class Catalog:
    """The runs below one folder. Ids from outside are looked up here and never joined to a path."""

    root: Path
    finished: dict[str, Run]
    unfinished: dict[str, str]  # id -> state

    @classmethod
    def scan(cls, root: str | Path) -> Catalog:
        """Look for runs; a run whose files cannot be read counts as unfinished, and the others are still shown."""
        finished, unfinished = {}, {}
        for name, run in find_runs(root).items():
            told = run.told()
            state = told["state"]
            if told["job"] == "batch" and (run.path / "results" / "runs.parquet").is_file():
                state = "ok"  # however its runs ended: its table says so of each
            if state == "damaged":
                state = without_places(f"damaged: {told['why']}", Path(root))
            if state == "ok":
                finished[name] = run
            else:
                unfinished[name] = state
        return cls(Path(root), finished, unfinished)

    def of_job(self, job: str) -> list[str]:
        """Ids of the finished runs of one job."""
        return [name for name in self.finished if self.config(name).get("job") == job]

    def run(self, name: str) -> Run:
        if name not in self.finished:
            raise WorkbenchError(
                f"'{name[:80]}': no such run",
                cause=f"not among the finished runs of {self.root}",
                remedy="choose one from the list",
            )
        return self.finished[name]

    def config(self, name: str) -> dict[str, Any]:
        """What the run was asked for; shared between sessions, so never change it in place."""
        path = self.run(name).path / "config.yaml"
        return _config(path, path.stat().st_mtime_ns) if path.is_file() else self.run(name).config  # its own error

    def provenance(self, name: str) -> dict[str, Any]:
        """What the run says of how it was made; shared between sessions, so never change it in place."""
        path = self.run(name).path / "provenance.json"
        return _provenance(path, path.stat().st_mtime_ns) if path.is_file() else {}

    def table(self, name: str, table: str) -> pd.DataFrame:
        """A results table; shared between sessions, so never change it in place."""
        path = self.run(name).path / "results" / f"{table}.parquet"
        if not path.is_file():
            return self.run(name).read_table(table)  # the error that says what there is
        return _read(path, path.stat().st_mtime_ns)

    def encoder(self, name: str) -> str:
        """The encoder that the run's configuration asks for, as a comparable string."""
        config = self.config(name)
        path = from_there(str(config.get("encoder", "")), self.run(name).path)
        return f"{path.resolve()} {config.get('init', 'pretrained')}"

    def encoder_name(self, name: str) -> str:
        """The same for a reader."""
        config = self.config(name)
        path = "/".join(Path(str(config.get("encoder", ""))).parts[-2:])
        return f"random weights, shape of {path}" if config.get("init") == "random" else path

    def pooling(self, name: str) -> str:
        """What stands for a scan in the run's encoder: "CLS", or in words what takes its place."""
        return str(self.provenance(name).get("pooling", "CLS"))

    def has_attention(self, name: str) -> bool:
        """Whether the run's encoder has attention that can be shown; earlier runs do not say."""
        return bool(self.provenance(name).get("has_attention", True))

    def encoder_limits(self, name: str) -> list[str]:
        """What must be said beside whatever comes of the run's encoder."""
        told = [] if (pooling := self.pooling(name)) == "CLS" else [f"no CLS: {pooling} is used"]
        unknown = self.provenance(name).get("people_unknown")
        return told + ([UNKNOWN] if unknown else [])

    def attend_runs_for(self, embed_run: str) -> list[str]:
        """Attention runs, those of the embedding's own encoder first."""
        encoder = self.encoder(embed_run) if embed_run else ""
        return sorted(self.of_job("attend"), key=lambda name: (self.encoder(name) != encoder, name))

    def shown_of(self, run: str) -> dict[str, str | None]:
        """The runs whose overlays belong to a run: itself, and attention of the same encoder; None where there is
        none."""
        encoder, job = self.encoder(run), self.config(run).get("job")
        attend = [name for name in self.of_job("attend") if self.encoder(name) == encoder]
        return {
            "segment_run": run if job == "segment" else None,
            "attend_run": run if job == "attend" else attend[0] if attend else None,
        }

    def shift_runs_for(self, embed_run: str) -> list[str]:
        """Runs of `shift` on this embedding; those of others would be figures of another picture."""
        embedded = self.run(embed_run).path.resolve()
        return [
            name
            for name in self.of_job("shift")
            if from_there(str(self.config(name).get("embed", "")), self.run(name).path).resolve() == embedded
        ]

    def store(self, embed_run: str) -> Path:
        """Folder of the prepared store that the embedding was made from; it may be on another machine."""
        if self.config(embed_run).get("job") == "prepare":
            return self.run(embed_run).path
        return from_there(str(self.config(embed_run).get("store", "")), self.run(embed_run).path)

    def with_scans(self) -> list[str]:
        """Runs whose scans can be looked at: embeddings; without one stores, then cohorts, then segmentations."""
        return self.of_job("embed") or [*self.of_job("prepare"), *self.of_job("cohort"), *self.of_job("segment")]

    def _scans_without_embedding(self, name: str) -> pd.DataFrame:
        job = self.config(name).get("job")
        if job == "segment":
            index = self.store(name) / "results" / "index.parquet"
            if not index.is_file():
                raise WorkbenchError(
                    f"run '{name}': its scans cannot be shown",
                    cause=f"there is no prepared store in {self.store(name)}",
                    remedy="put the store back, or run `workbench embed`",
                )
            scans = _read(index, index.stat().st_mtime_ns)
            return scans[scans["scan_id"].isin(self.dice(name)["scan_id"])]
        return self.table(name, "index" if job == "prepare" else "scans")

    def cohort(self, embed_run: str, segment_run: str | None = None) -> pd.DataFrame:
        """One row a scan: cohort columns, projections, and the mean Dice of ``segment_run`` with its split. Merged once
        for all sessions, so never change it in place."""
        own = self.run(embed_run).path
        files = [own / "results" / f"{name}.parquet" for name in ("scans", "projections", "index")]
        files += [own / "config.yaml", self.store(embed_run) / "results" / "index.parquet"]
        if segment_run:
            files.append(self.run(segment_run).path / "results" / "dice.parquet")
        stamps = tuple((file, file.stat().st_mtime_ns) for file in files if file.is_file())
        key = (self.root.absolute(), embed_run, segment_run, stamps)
        with _MERGING:
            if key not in _MERGED:
                table = self._merge(embed_run, segment_run)
                while len(_MERGED) >= MERGED_KEPT:
                    del _MERGED[next(iter(_MERGED))]
                _MERGED[key] = table
            return _MERGED[key]

    def _merge(self, embed_run: str, segment_run: str | None) -> pd.DataFrame:
        if self.config(embed_run).get("job") == "embed":
            scans, projections = self.table(embed_run, "scans"), self.table(embed_run, "projections")
        else:
            scans = self._scans_without_embedding(embed_run)
            projections = scans[["scan_id"]] if "scan_id" in scans else scans
        for table, needed in ((scans, ("scan_id", "participant", "path")), (projections, ("scan_id",))):
            lacking = [column for column in needed if column not in table]
            if lacking:
                raise WorkbenchError(
                    f"run '{embed_run}': its tables lack {', '.join(lacking)}",
                    cause="it was written by another version, or changed",
                    remedy="run `workbench embed` again",
                )
        own = [column for pair in PROJECTIONS.values() for column in pair if column in projections]
        odd = [c for c in ("scan_id", "participant") if _nested(scans[c])]
        odd += [c for c in own if not pd.api.types.is_numeric_dtype(projections[c])]
        if odd or _nested(projections["scan_id"]):
            raise WorkbenchError(
                f"run '{embed_run}': its tables cannot be used",
                cause=f"values of {', '.join(dict.fromkeys(odd or ['scan_id']))} are of another kind",
                remedy="run `workbench embed` again",
            )
        # what a table cannot show as it is becomes text, but for what is known to be a list (affines)
        shown = [c for c in scans if _nested(scans[c]) and columns.column(c).type != "list"]
        scans = scans.assign(**{c: [printable(v) for v in scans[c]] for c in shown})
        cohort = scans.drop(columns=[c for c in own if c in scans]).merge(
            projections[["scan_id", *own]].drop_duplicates("scan_id"), on="scan_id", how="inner"
        )
        cohort = cohort.drop_duplicates("scan_id")
        if segment_run:
            dice = self.dice(segment_run)
            mean = dice.groupby("scan_id", as_index=False).agg(
                dice_mean=("dice", "mean"), dice_split=("split", "first")
            )
            cohort = cohort.merge(mean, on="scan_id", how="left")
        return cohort.reset_index(drop=True)

    def dice(self, segment_run: str) -> pd.DataFrame:
        return self.table(segment_run, "dice")

    def structures(self, segment_run: str | None) -> list[str]:
        """Names of the codes 1..n of a segmentation run's label maps."""
        return [str(s) for s in self.config(segment_run).get("structures", [])] if segment_run else []

    def labels(self, embed_run: str) -> pd.DataFrame | None:
        """The cohort's table of label codes, which the embedding run keeps a copy of."""
        return self.table(embed_run, "labels") if "labels" in self.run(embed_run).tables() else None


def _nested(column: pd.Series) -> bool:
    """Whether its values are lists, mappings or bytes: nothing that can be a name, a colour or a cell."""
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in ("mixed", "bytes")


@functools.lru_cache(maxsize=64)
def _read(path: Path, mtime_ns: int) -> pd.DataFrame:
    """Kept for all sessions; the time of change is part of the key, so that a rewritten table is read again."""
    return read_parquet(path)


@functools.lru_cache(maxsize=1024)
def _config(path: Path, mtime_ns: int) -> dict[str, Any]:
    return read_yaml(path)


@functools.lru_cache(maxsize=256)
def _provenance(path: Path, mtime_ns: int) -> dict[str, Any]:
    return read_json(path)


def readable_columns(cohort: pd.DataFrame) -> list[str]:
    """The columns a person wants to see, the well-known ones first; empty ones are left out."""
    return [c for c in columns.shown(cohort.columns) if _has_content(cohort[c])]


def _has_content(column: pd.Series) -> bool:
    return not columns.holds_arrays(column) and bool(columns.has_value(column).any())
