"""What a cell holds: the explorer's views, with what is selected in them to be read and set from Python."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import panel as pn

from workbench.cohort.beside import refuse_unknown
from workbench.explorer.session.state import ExplorerState


class Held(pn.viewable.Viewer):
    """The explorer in a cell. What is set here is seen there at once, and the other way round."""

    def __init__(self, state: ExplorerState, body: Any, **params: Any) -> None:
        super().__init__(**params)
        self.state, self._body = state, body

    def __panel__(self) -> pn.viewable.Viewable:
        return self._body

    @property
    def selection(self) -> list[str]:
        """scan_ids of the selected scans; empty where nothing is selected, which means all of them.

        Setting it raises:
            WorkbenchError: a scan is not among those on the page.
        """
        return list(self.state.selection)

    @selection.setter
    def selection(self, scan_ids: Iterable[str]) -> None:
        asked = list(dict.fromkeys(map(str, scan_ids)))
        self._known(asked)
        self.state.select_ids(asked)

    @property
    def selected(self) -> pd.DataFrame:
        """The rows of the cohort's table that are selected, or all of them; a copy."""
        return self.state.selected().copy()

    @property
    def case(self) -> str:
        """scan_id of the scan in the viewer. Setting it raises as ``selection`` does."""
        return str(self.state.case)

    @case.setter
    def case(self, scan_id: str) -> None:
        self._known([str(scan_id)])
        self.state.select_case(str(scan_id))

    def _known(self, asked: list[str]) -> None:
        here = set(self.state.cohort["scan_id"].astype(str)) if len(self.state.cohort) else set()
        refuse_unknown(asked, here, f"among the {len(here)} scans on the page", "`selected`")
