"""One viewer and what it has been sent: a volume goes over only when another one is wanted in its slot."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.explorer.overlays import SLOTS, Made, Overlay
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import files
from workbench.explorer.stored.files import NiftiFile
from workbench.explorer.viewer.nifti_view import NiftiView


class Pane:
    """Keeps a ``NiftiView`` in step with the overlays that are wanted."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        self.state = state
        self.view = NiftiView(sizing_mode="stretch_both", min_height=360, margin=0, **params)
        self._sent: dict[str, Any] = {}  # slot -> (path, time of change) or key of what the browser has
        # slot -> (as in _sent, name, file) of what it has besides
        self._ahead: dict[str, tuple[Any, str, NiftiFile]] = {}
        self._later: dict[str, Overlay] | None = None
        self._affines: dict[str, tuple[float, ...]] = {}
        self.view.param.watch(self._follow, "shown")

    @property
    def waits(self) -> bool:
        """The browser has not said yet how it draws. On the served page nothing large goes before that: the rest of it
        is there first."""
        return self.view.drawn_by == "" and self.state.served

    @property
    def coarse(self) -> bool:
        return self.view.drawn_by == "software" and not self.state.every_voxel

    def show(self, wanted: dict[str, Overlay], **settings: Any) -> None:
        """The volumes that are new, the looks of all, and settings of the view, in one message; in two where drawing is
        slow and the scan is another one: it is seen before its overlays are there, unless they were sent ahead."""
        if self.waits:
            return
        base, self._later = wanted.get("base"), None
        if base and base.source and self._step(base.source) > 1 and self._stamp(base.source) != self._sent.get("base"):
            settings["ticket"] = self.view.ticket + 1
            if not all(self._is_ahead(slot, wanted[slot]) for slot in SLOTS if slot in wanted and wanted[slot].source):
                self._later, wanted = wanted, {"base": base}
        self._update(wanted, settings)

    def send_ahead(self, wanted: dict[str, Overlay]) -> None:
        """What will probably be wanted next: the browser makes it ready, and then it only has to be named.

        Raises:
            WorkbenchError: a file cannot be shown.
        """
        sources = {slot: one.source for slot, one in wanted.items() if isinstance(one.source, Path)}
        read: dict[str, tuple[Any, str, NiftiFile]] = {}
        for slot, path in sources.items():
            stamp = self._stamp(path)
            if stamp is not None and stamp != self._sent.get(slot):
                read[slot] = (stamp, f"ahead:{uuid.uuid4().hex}", self._read(path))
        ahead: dict[str, dict[str, Any]] = {
            slot: {
                "name": name,
                "bytes": nifti.content,
                "look": {**wanted[slot].look, "affine": list(nifti.affine)},
            }
            for slot, (_, name, nifti) in read.items()
        }
        self._ahead, self.view.ahead = read, ahead

    def _is_ahead(self, slot: str, overlay: Overlay) -> bool:
        source = overlay.source
        return source is not None and slot in self._ahead and self._ahead[slot][0] == self._stamp(source)

    def _follow(self, *_: Any) -> None:
        """The overlays of a scan that is on screen; of none that was left meanwhile."""
        if self._later is not None and self.view.shown == self.view.ticket:
            wanted, self._later = self._later, None
            self._update(wanted, {"ticket": self.view.ticket + 1})

    def _update(self, wanted: dict[str, Overlay], settings: dict[str, Any]) -> None:
        looks: dict[str, dict[str, Any]] = {}
        for slot in SLOTS:
            overlay = wanted.get(slot, Overlay())
            content = self._content(slot, overlay.source)
            if content is not _SAME:
                settings[slot] = content
            if self._sent.get(slot):
                looks[slot] = {**overlay.look, "affine": list(self._affines[slot])}
        base = wanted["base"].source if self._sent.get("base") else None
        self.view.param.update(looks=looks, step=self._step(base) if base else 1, **settings)

    def _content(self, slot: str, source: Path | Made | None) -> Any:
        """Bytes to send, None to clear the slot, or _SAME where the browser has them already."""
        if source is None:
            had, self._sent[slot] = self._sent.get(slot), None
            return None if had else _SAME
        try:
            stamp = self._stamp(source)
            if stamp is not None and self._sent.get(slot) == stamp:
                return _SAME
            if slot in self._ahead and self._ahead[slot][0] == stamp:
                _, name, nifti = self._ahead[slot]
                self._sent[slot], self._affines[slot] = stamp, nifti.affine
                return name.encode()
            nifti = source.make() if isinstance(source, Made) else self._read(source)
        except (WorkbenchError, OSError) as error:
            self.state.message = str(error)
            self._sent[slot] = None
            return None
        self._sent[slot], self._affines[slot] = stamp, nifti.affine
        return nifti.content

    def _read(self, path: Path) -> NiftiFile:
        step = self._step(path)
        return files.read_coarse(path, step) if step > 1 else files.read_nifti(path)

    def _stamp(self, source: Path | Made) -> Any:
        """What tells one content from another; None of a file that is not there."""
        if isinstance(source, Made):
            return source.key
        return (source, source.stat().st_mtime_ns, self._step(source)) if source.is_file() else None

    def _step(self, source: Path | Made) -> int:
        if not self.coarse or isinstance(source, Made) or source.name.endswith("_rgb.nii.gz"):
            return 1
        try:
            return files.coarse_step(source) if source.is_file() else 1
        except WorkbenchError:
            return 1  # a damaged file: told when it is read


_SAME = object()
