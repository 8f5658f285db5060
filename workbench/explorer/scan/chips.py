"""The switches of the overlays above the viewer: one component, made from the table of kinds."""

from __future__ import annotations

import re
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
        self._notes: dict[str, str] = {}
        state.param.watch(lambda *_: self._draw(), [kind.shown_by for kind in KINDS])
        self._draw()

    def tell(self, overlays: dict[str, Overlay]) -> None:
        """What the scan has, and why it has not."""
        self._notes = {key: overlays[key].note if key in overlays else "" for key in BY_KEY}
        self._draw()

    def _draw(self) -> None:
        items = []
        for kind in KINDS:
            note = unescape(re.sub("<[^>]+>", "", self._notes.get(kind.key, "")))
            lacking = any(word in note for word in LACKING)
            items.append(
                {
                    "key": kind.key,
                    "title": kind.title,
                    "help": " ".join(filter(None, (kind.help, note))),
                    "on": bool(getattr(self._state, kind.shown_by)),
                    "has": not lacking,
                }
            )
        if items != self.items:
            self.items = items

    def _handle_msg(self, key: Any) -> None:
        if key in BY_KEY:  # it comes from a browser
            switch = BY_KEY[key].shown_by
            setattr(self._state, switch, not getattr(self._state, switch))


LACKING = ("No ", "no map", "no segmentation", "no colours", "did not segment", "Needs a true")
