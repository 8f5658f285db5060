"""One viewer and what it has been sent: a volume goes over only when another one is wanted in its slot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.explorer import files
from workbench.explorer.files import NiftiFile
from workbench.explorer.nifti_view import NiftiView
from workbench.explorer.overlays import SLOTS, Made, Overlay
from workbench.explorer.state import ExplorerState


class Pane:
    """Keeps a ``NiftiView`` in step with the overlays that are wanted."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        self.state = state
        self.view = NiftiView(sizing_mode="stretch_both", min_height=360, margin=0, **params)
        self._sent: dict[str, Any] = {}  # slot -> (path, time of change) or key of what the browser has
        self._affines: dict[str, tuple[float, ...]] = {}

    def show(self, wanted: dict[str, Overlay], **settings: Any) -> None:
        """Everything in one message: the volumes that are new, the looks of all, and settings of the view."""
        looks: dict[str, dict[str, Any]] = {}
        for slot in SLOTS:
            overlay = wanted.get(slot, Overlay())
            content = self._content(slot, overlay.source)
            if content is not _SAME:
                settings[slot] = content
            if self._sent.get(slot):
                looks[slot] = {**overlay.look, "affine": list(self._affines[slot])}
        self.view.param.update(looks=looks, **settings)

    def _content(self, slot: str, source: Path | Made | None) -> Any:
        """Bytes to send, None to clear the slot, or _SAME where the browser has them already."""
        if source is None:
            had, self._sent[slot] = self._sent.get(slot), None
            return None if had else _SAME
        try:
            stamp = source.key if isinstance(source, Made) else \
                (source, source.stat().st_mtime_ns) if source.is_file() else None
            if stamp is not None and self._sent.get(slot) == stamp:
                return _SAME
            nifti: NiftiFile = source.make() if isinstance(source, Made) else files.read_nifti(source)
        except (WorkbenchError, OSError) as error:
            self.state.message = str(error)
            self._sent[slot] = None
            return None
        self._sent[slot], self._affines[slot] = stamp, nifti.affine
        return nifti.content


_SAME = object()
