"""The cohort's table while it grows: a list a column, since of a large cohort a dict a scan would weigh the most."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd

from workbench.cohort.check import Checked
from workbench.cohort.cohort import OPTIONAL
from workbench.cohort.contrasts import USUAL
from workbench.cohort.source import Candidate
from workbench.columns import written_by

COLUMNS = written_by("cohort")
CHECKED = written_by("check")
CHANNELS = written_by("channels")  # only where another contrast than T1w, or several, were asked for


class Rows:
    """Rows of the cohort's table; `table` ends it.

    Args:
        contrasts: That were asked for.
    """

    def __init__(self, contrasts: tuple[str, ...]) -> None:
        self.contrasts = contrasts
        self._columns: dict[str, list[Any]] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def text(self, column: str, row: int) -> str:
        return str(self._columns[column][row])

    def add(self, candidate: Candidate, found: Checked, scan_id: str) -> None:
        for name, value in _row(candidate, found, scan_id, self.contrasts).items():
            told = self._columns.setdefault(name, [])
            if len(told) < self._n:
                told.extend([None] * (self._n - len(told)))
            told.append(value)
        self._n += 1

    def table(self) -> pd.DataFrame:
        """Known columns first, the data sets' own between; a column of numbers becomes numeric, any other stays text.
        The rows are gone from here after it."""
        ours = [*COLUMNS, *CHECKED, *CHANNELS]
        own = [name for name in self._columns if name not in ours]
        several = CHANNELS if "channels" in self._columns else []
        columns: dict[str, pd.Series] = {}
        for name in [*COLUMNS, *own, *CHECKED, *several]:
            told = self._columns.pop(name, [])
            told.extend([None] * (self._n - len(told)))
            columns[name] = _typed(name, pd.Series(told), own=name in own)
            del told
        return pd.DataFrame(columns, copy=False)


def _typed(name: str, column: pd.Series, *, own: bool) -> pd.Series:
    if own:
        values = column.dropna().astype(str)
        # "007" is a name, not a number
        if len(values) and values.map(lambda v: bool(re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE]-?\d+)?", v))).all():
            return pd.to_numeric(column)
    if own or name in OPTIONAL:
        return column.astype(object).where(column.notna(), None)
    return column.astype({"age": float, "simulated": bool}.get(name, column.dtype))


def _row(candidate: Candidate, found: Checked, scan_id: str, contrasts: tuple[str, ...]) -> dict[str, Any]:
    assert found.grid is not None
    several: dict[str, Any] = {}
    if contrasts != USUAL:
        paths = {**candidate.channels, **found.written}
        files = [str(paths[name]) if name in found.channels else None for name in contrasts[1:]]
        several = {
            "channels": "+".join(contrasts),
            "channels_missing": "+".join(name for name in contrasts[1:] if name not in found.channels),
            "channel_paths": json.dumps(files),
            "channel_fingerprints": json.dumps([found.channels.get(name) for name in contrasts[1:]]),
        }
    (x, y, z), (sx, sy, sz) = found.grid.shape, found.grid.spacing
    return {
        "scan_id": scan_id,
        "participant": candidate.person,
        "session": candidate.session,
        "dataset": candidate.dataset,
        "path": str(found.written.get("", candidate.path)),
        "seg_path": str(found.seg_path) if found.seg_path else None,
        "mask_path": str(found.mask_path) if found.mask_path else None,
        **candidate.values,
        "simulated": candidate.simulated,
        "x": x,
        "y": y,
        "z": z,
        "sx": round(sx, 6),
        "sy": round(sy, 6),
        "sz": round(sz, 6),
        "axcodes": found.grid.axcodes,
        "fingerprint": found.fingerprint,
        "seg_fingerprint": found.seg_fingerprint,
        "mask_fingerprint": found.mask_fingerprint,
        **several,
    }
