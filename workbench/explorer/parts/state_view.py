"""What every view of the explorer has in common."""

from __future__ import annotations

from typing import Any

import panel as pn

from workbench.cohort.beside import login
from workbench.explorer.session.state import ExplorerState

SIMULATED = '<span class="simulated" title="These scans were made by a computer">SIMULATED DATA</span>'
# who is told first of a change that many look at: texts and the table, then the scan, then what only marks
SCAN, MARKS = 1, 2


def visitor() -> str:
    """Who is at the page: by a proxy's login where there is one, else by this machine's."""
    return str(pn.state.user or login())


class StateView(pn.viewable.Viewer):
    """A view of one session's state: it draws a part of it, and writes what the user does back to it."""

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(**params)
        self.state = state
