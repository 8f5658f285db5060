"""Pictures of scans to choose from."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import param
from panel.custom import JSComponent

from workbench.explorer.cohort import pictures
from workbench.explorer.session.state import ExplorerState
from workbench.plots import category_colors
from workbench.plots.palette import as_categories

MOST = 24  # pictures at once
PATIENCE = 1.5  # seconds of reading files; from a prepared store all of them take a tenth of it


class Gallery(JSComponent):
    """A grid of pictures; a click calls ``chose`` with the id."""

    items = param.List(
        default=[],
        doc="{id, src (a data: address or empty), mm: [width, height], title, note, color (of the dot)}.",
    )
    sides = param.List(default=["", ""], doc="What is on the left and the right of each picture.")
    chosen = param.String(default="", doc="The id that is marked.")

    _esm = Path(__file__).parent / "gallery.js"

    def __init__(self, chose: Callable[[str], None], **params: Any) -> None:
        super().__init__(**params)
        self._chose = chose

    def _handle_msg(self, scan_id: Any) -> None:
        self._chose(str(scan_id))


def gallery_items(state: ExplorerState, rows: pd.DataFrame, notes: list[str] | None = None) -> list[dict[str, Any]]:
    """What a gallery of these rows of the cohort shows: participant, and site or ``notes``."""
    store = state.catalog.store(state.embed_run)
    colors = category_colors(state.cohort["site"]) if "site" in state.cohort else {}
    sites = as_categories(rows["site"]) if "site" in rows else [""] * len(rows)
    items, began = [], time.monotonic()
    for k, (scan_id, person, path, site) in enumerate(
        zip(rows["scan_id"], rows["participant"], rows["path"], sites, strict=True)
    ):
        late = time.monotonic() - began > PATIENCE  # files of another machine's disk must not hold up the session
        src, size = (
            ("", (0.0, 0.0))
            if late
            else pictures.picture(
                store, Path(str(path)), str(scan_id), state.plane, state.radiological, pictures.changed(Path(str(path)))
            )
        )
        items.append(
            {
                "id": str(scan_id),
                "src": src,
                "mm": list(size),
                "title": str(person),
                "note": notes[k] if notes else site,
                "color": colors.get(site, ""),
            }
        )
    return items
