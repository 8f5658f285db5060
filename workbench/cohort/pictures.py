"""The coarse pictures of a cohort's scans while it is made, on disk: in memory they would be most of what it holds."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from workbench.volumes.thumbnail import CELLS

VALUES = CELLS**3
ROW = 2 * VALUES  # bytes: float16


class Pictures:
    """Rows of a file without a name in ``folder``, gone when it is closed. What ``alike_pairs`` asks for is read."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._places = np.zeros(0, np.int64)
        self._added = 0

    def __enter__(self) -> Pictures:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, picture: bytes) -> int:
        """Keep a ``coarse_thumbnail`` (float16), and say in which place."""
        self._file.seek(self._added * ROW)
        self._file.write(picture)
        self._added += 1
        return self._added - 1

    def choose(self, places: Sequence[int]) -> None:
        """Make those in ``places`` the rows, in this order."""
        self._places = np.array(places, np.int64)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Rows ``(n,)`` of those chosen → their pictures ``(n, 12³)``, float16."""
        out = np.empty((len(rows), VALUES), np.float16)
        for picture, place in zip(out, self._places[rows], strict=True):
            self._file.seek(int(place) * ROW)
            picture[:] = np.frombuffer(self._file.read(ROW), np.float16)
        return out
