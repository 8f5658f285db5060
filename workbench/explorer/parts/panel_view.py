"""A view of which one is open at a time."""

from __future__ import annotations

from typing import Any

from workbench.explorer.parts.state_view import MARKS, StateView
from workbench.explorer.parts.text import hint
from workbench.explorer.session.state import ExplorerState


class PanelView(StateView):
    """A view below the scatter: it works only while it is open, so that a lasso waits for no hidden picture."""

    panel = ""
    depends: tuple[str, ...] = ()

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(state, **params)
        self._stale = True
        self.hint = hint()
        state.param.watch(self._changed, [*self.depends, "panel"], precedence=MARKS)

    def _changed(self, *events: Any) -> None:
        self._stale = self._stale or any(event.name != "panel" for event in events)
        self.refresh()

    def refresh(self) -> None:
        if self._stale and self.state.panel == self.panel:
            self._stale = False
            with self.state.guarded():
                self.draw()

    def draw(self) -> None:
        raise NotImplementedError
