"""Tables that people make of scans while they look at them, kept as TSV beside a run.

A table is changed under a lock, from what the file holds at that moment, and written whole and then renamed: two people
at once lose nothing, and a reader never meets half a file.
"""

from __future__ import annotations

import csv
import datetime
import fcntl
import getpass
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.runs.folder import replacing

MAX_BYTES = 200_000_000  # of a million scans, each rated by a few


@dataclass(frozen=True)
class Beside:
    """One kind of such a table."""

    name: str
    """Of its file: ``RUN-<name>.tsv``."""
    columns: tuple[str, ...]
    """All of them text."""
    told: str
    """What it is a table of, in an error."""

    def file(self, run: Run) -> Path:
        """Beside the run's folder, never in it: a run is what a job wrote."""
        return run.path.with_name(f"{run.path.name}-{self.name}.tsv")

    def read(self, path: Path) -> pd.DataFrame:
        """Its columns; empty where there is no file yet.

        Raises:
            WorkbenchError: the file is no such table.
        """
        if not path.is_file():
            return pd.DataFrame(columns=list(self.columns), dtype=str)
        try:
            if (size := path.stat().st_size) > MAX_BYTES:
                raise ValueError(f"it has {size / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f}")
            table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
        except (OSError, ValueError) as error:
            raise self.damaged(path, str(error).splitlines()[0][:200]) from error
        if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first of too many cells for a row's name
            raise self.damaged(path, "its rows have more cells than its header")
        if lacking := [c for c in self.columns if c not in table]:
            raise self.damaged(path, f"it has no column {', '.join(lacking)}")
        return table[list(self.columns)]

    def change(self, path: Path, work: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
        """Put what ``work`` makes of the table in its place, and return it.

        Raises:
            WorkbenchError: the folder cannot be written to, or the file is damaged; nothing is lost then.
        """
        try:
            with open(path.with_name(f".{path.name}.lock"), "a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                table = work(self.read(path))[list(self.columns)]
                with replacing(path) as partial:
                    lines = ["\t".join(self.columns), *("\t".join(row) for row in table.itertuples(index=False))]
                    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise WorkbenchError(
                f"{path}: the {self.told} could not be written", cause=str(error), remedy="make the folder writable"
            ) from error
        return table

    def damaged(self, path: Path, cause: str) -> WorkbenchError:
        """The error of a file that is no such table."""
        return WorkbenchError(
            f"{path}: not a table of {self.told}",
            cause=cause,
            remedy=f"it must be a TSV with the columns {', '.join(self.columns)}; move it away to begin a new one",
        )


def plain(text: str) -> str:
    """One field of a TSV: no tab, no line break, no half character (a browser can send one)."""
    return " ".join(str(text).encode("utf-8", "replace").decode("utf-8").split())


def now() -> str:
    """UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def login() -> str:
    """The name of who is at work, as the machine knows it; empty where it does not."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def refuse_unknown(asked: Sequence[str], known: Container[str], where: str, source: str) -> None:
    """Raises :class:`WorkbenchError` where a scan_id is not known; ``where`` the known ones are, ``source`` of more."""
    if lost := [one for one in asked if one not in known]:
        raise WorkbenchError(
            f"{', '.join(lost[:5])}: no such scan",
            cause=f"{len(lost)} of {len(asked)} are not {where}",
            remedy=f"take ids from the column scan_id of {source}",
        )
