"""What a layout is: by what it is known, and how its scans are listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.cohort.source import Source


@dataclass(frozen=True)
class Options:
    """What the user asks of every reader.

    Attributes:
        segmentations: The derivative (folder below ``derivatives/``) whose segmentations are taken; None: the reader's
            own choice, which it tells in a note.
    """

    segmentations: str | None = None


@dataclass(frozen=True)
class Layout:
    """One way in which scans lie on disk.

    Attributes:
        name: As a user calls it ("BIDS").
        known_by: What is looked for, to be told where nothing fits ("sub-*/anat").
        recognises: Whether a path (a folder or a file) is of this layout; looks at names and small text files only.
        read: Lists the scans, as written: ``values`` hold the data set's own columns, ``Source.described`` what it says
            of them. ``gather`` makes the columns of the cohort of them, once for all layouts.
    """

    name: str
    known_by: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, str, Options], Source]
