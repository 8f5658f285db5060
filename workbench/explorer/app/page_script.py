"""What acts on the whole page: the address that holds the state, and the keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import param
from panel.custom import JSComponent

from workbench.explorer.overlays import KINDS
from workbench.explorer.parts.state_view import MARKS
from workbench.explorer.session import address
from workbench.explorer.session.state import ExplorerState

# key → what it does; "n" and "p" move through the selection, or the cohort where nothing is selected
KEYS = {
    "n": "next case",
    "p": "previous case",
    "o": "overlays on or off",
    "+": "overlays more opaque",
    "-": "overlays less opaque",
    "1": "check: pass",
    "2": "check: doubtful",
    "3": "check: fail",
    "0": "check: no verdict",
    "u": "check: next without a verdict",
    "?": "what the keys do",
}
OVERLAYS = tuple(kind.shown_by for kind in KINDS)
_STEP = 0.1


class PageScript(JSComponent):
    """Writes the state into the address bar and hands the keys over."""

    search = param.String(default="", doc="The query that the address bar shows.")
    keys = param.List(default=[*KEYS, "="], item_type=str)  # "=" is "+" without the shift key

    beats = param.Boolean(default=False, doc="Ask the server again and again whether it is there.")
    answered = param.Number(default=0, doc="The last beat that the server has heard.")

    _esm = Path(__file__).parent / "page_script.js"

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(width=0, height=0, margin=0, beats=state.served, **params)
        self._state = state
        self.pressed = 0
        self.hidden: tuple[str, ...] = ()  # what "o" took away, to bring back the same
        state.param.watch(self._write, address.held(state), precedence=MARKS)
        self._write()

    def _write(self, *_: Any) -> None:
        self.search, self._state.address_lacks = address.write(self._state)

    def _handle_msg(self, key: Any) -> None:
        if isinstance(key, dict) and "beat" in key:
            self.answered = float(key["beat"])
        elif isinstance(key, dict) and isinstance(key.get("search"), str):
            problems = address.go(self._state, dict(parse_qsl(key["search"].lstrip("?"))))
            self._state.message = "\n".join(problems)
            self._write()
        else:
            press(self._state, key, self)


def press(state: ExplorerState, key: Any, memory: PageScript) -> None:
    """Do what a key stands for; anything else does nothing."""
    if key in ("n", "p"):
        state.step(1 if key == "n" else -1)
    elif key == "o":
        shown = tuple(name for name in OVERLAYS if getattr(state, name))
        state.param.update(**dict.fromkeys(shown, False) if shown else dict.fromkeys(memory.hidden, True))
        memory.hidden = shown or memory.hidden
    elif key in ("0", "1", "2", "3", "u"):
        memory.pressed += 1  # the same key twice is two verdicts
        state.pressed = f"{memory.pressed}:{key}"
    elif key == "?":
        state.message = "Keys: " + "; ".join(f"{name} {told}" for name, told in KEYS.items())
    elif key in ("+", "=", "-"):
        by = -_STEP if key == "-" else _STEP
        state.param.update(
            **{
                name: round(min(max(getattr(state, name) + by, 0.0), 1.0), 3)
                for name in ("attention_opacity", "label_opacity")
            }
        )
