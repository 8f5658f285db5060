"""The switches of the overlays above the viewer: one component, made from the table of kinds."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from workbench.explorer.overlays import BY_KEY, KINDS, Overlay
from workbench.explorer.session.state import ExplorerState


class Chips(JSComponent):
    """A button a kind; pressed while it is shown, dashed where the scan has none of it."""

    items = param.List(default=[], doc="{key, title, help, on, has} each.")

    _esm = Path(__file__).with_name("chips.js")

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self._state = state
        self._told: dict[str, Overlay] = {}
        state.param.watch(lambda *_: self._draw(), [kind.shown_by for kind in KINDS])
        self._draw()

    def tell(self, overlays: dict[str, Overlay]) -> None:
        """What the scan has, and why it has not."""
        self._told = {key: replace(overlay, source=None) for key, overlay in overlays.items()}  # volumes are not kept
        self._draw()

    def _draw(self) -> None:
        items = []
        for kind in KINDS:
            overlay = self._told.get(kind.key, Overlay())
            note = unescape(re.sub("<[^>]+>", "", overlay.note))
            items.append(
                {
                    "key": kind.key,
                    "title": kind.title,
                    "help": " ".join(filter(None, (kind.help, note))),
                    "on": bool(getattr(self._state, kind.shown_by)),
                    "has": overlay.there,
                }
            )
        if items != self.items:
            self.items = items

    def _handle_msg(self, key: Any) -> None:
        if key in BY_KEY:  # it comes from a browser
            switch = BY_KEY[key].shown_by
            setattr(self._state, switch, not getattr(self._state, switch))
