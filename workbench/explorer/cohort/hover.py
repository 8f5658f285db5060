"""The picture of the scan whose point the mouse is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from workbench.explorer.cohort.gallery import gallery_items
from workbench.explorer.cohort.selection_views import sides
from workbench.explorer.session.state import ExplorerState


class HoverPicture(JSComponent):
    """Beside the mouse, over any plot of the page whose points are scans; asks for one picture at a time. Where the
    server draws the points itself (very many) there is none."""

    shown = param.Dict(default={}, doc="As an item of ``Gallery``; ``sides``: what is on its left and right.")

    _esm = Path(__file__).parent / "hover.js"

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(width=0, height=0, margin=0, **params)
        self._state = state
        # what was shown is of another plane then, or of another scan by that name
        state.param.watch(lambda *_: self.param.update(shown={}), ["plane", "radiological", "cohort"])

    def _handle_msg(self, scan_id: Any) -> None:
        state = self._state
        row = state.cohort[state.cohort["scan_id"].astype(str) == str(scan_id)].head(1)
        if len(row):
            with state.guarded():
                self.shown = gallery_items(state, row)[0] | {"sides": sides(state)}
