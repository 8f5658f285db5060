"""The layouts there are, the one that says most first: the first that recognises a source reads it."""

from __future__ import annotations

from pathlib import Path

from workbench.cohort.layouts import bids, csv_table, decathlon
from workbench.cohort.layouts.layout import Layout

LAYOUTS: tuple[Layout, ...] = (csv_table.LAYOUT, decathlon.LAYOUT, bids.LAYOUT)


def layout_of(path: Path) -> Layout | None:
    """The layout of a source, or None where none fits."""
    return next((layout for layout in LAYOUTS if layout.recognises(path)), None)
