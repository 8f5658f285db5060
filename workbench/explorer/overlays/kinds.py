"""What a kind of overlay is: a row of the table in this package's ``__init__``."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.explorer.stored.files import NiftiFile

Ramp = tuple[tuple[int, int, int], ...]
"""Colours (0–255) at equal steps from the threshold to the top of a map."""


@dataclass(frozen=True)
class Made:
    """Content that is no file of a run: made when it is asked for, and the same as long as its key is the same."""

    key: Hashable
    make: Callable[[], NiftiFile]


@dataclass(frozen=True)
class Overlay:
    """What one kind shows of one scan."""

    source: Path | Made | None = None
    look: dict[str, Any] = field(default_factory=dict)
    """How it is drawn; see ``NiftiView.looks``."""
    note: str = ""
    """Escaped HTML that tells what is shown, or why nothing is."""
    there: bool = True
    """Whether the scan has it, shown or not: the switch of what it has not is dashed."""


def nothing(note: str) -> Overlay:
    """Of a scan that has none of it; ``note`` says why, and what would make one."""
    return Overlay(note=note, there=False)


@dataclass(frozen=True)
class Shown:
    """The runs whose overlays are meant."""

    attend_run: str | None
    segment_run: str | None
    other_run: str | None = None
    """A second segmentation, held against the first."""


LookUp = Callable[[Any, dict[str, Any], Shown, bool], Overlay]
"""(state of the session, row of the scan, runs, whether it is switched on) → what to show. Switched off, it still says
in its note whether there is anything."""


@dataclass(frozen=True)
class Kind:
    """One kind of overlay. Switch, key, viewer and legend are made from it; the viewer's bundle knows none by name."""

    key: str
    """Slot of the viewer, and in the address (``show_key=1``)."""
    title: str
    """On its switch."""
    draws: Literal["colours", "map", "labels"]
    """Voxels that are colours; values on a ramp; codes of structures. They lie over each other in this order."""
    look_up: LookUp
    ramp: Ramp = ()
    """Of a map; no label has one of these hues."""
    outline: Literal["never", "asked", "always"] = "never"
    """Of labels: only the voxels at the surface, when the visitor asks for outlines, or always."""
    controls: tuple[str, ...] = ()
    """Parameters of the state that are of use while it is on."""
    on: bool = False
    """On the first screen: one alone, or nothing can be read."""
    made: bool = False
    """Worked out of other files when it is asked for, which takes a while."""
    switch: str = ""
    """Name of its switch in the state; ``show_key`` where it is empty."""
    help: str = ""
    """In plain words, for somebody who has never heard of it."""

    @property
    def shown_by(self) -> str:
        return self.switch or f"show_{self.key}"


def sidecar(path: Path | None) -> dict[str, Any]:
    """The facts that a job wrote beside a map; empty where there are none."""
    if path is None:
        return {}
    beside = path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")
    try:
        facts = json.loads(beside.read_text()) if beside.is_file() and beside.stat().st_size < 1e6 else {}
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def attempt(state: Any, look_up: Any, *args: Any) -> Path | None:
    """A file, or None and a message on the page where its table is damaged."""
    try:
        path: Path | None = look_up(state.catalog, *args)
    except (WorkbenchError, KeyError) as error:
        state.message = str(error)
        return None
    return path
