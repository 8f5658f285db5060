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
        contrast: Of the scans that are listed, by its name in ``contrasts``.
        first: Whether it is the first of those that are wanted, whose scan and labels the others follow.
    """

    segmentations: str | None = None
    contrast: str = "T1w"
    first: bool = True


@dataclass(frozen=True)
class Layout:
    """One way in which scans lie on disk.

    Attributes:
        name: As a user calls it ("BIDS").
        known_by: What is looked for, to be told where nothing fits ("sub-*/anat").
        recognises: Whether a path (a folder or a file) is of this layout; looks at names and small text files only.
        read: Lists the scans, as written: ``values`` hold the data set's own columns, ``Source.described`` what it says
            of them. ``gather`` makes the columns of the cohort of them, once for all layouts.
        contrasts: Whether ``read`` finds other contrasts than T1w.
    """

    name: str
    known_by: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, str, Options], Source]
    contrasts: bool = False
