"""The layouts there are, the one that says most first: the first that recognises a source reads it."""

from __future__ import annotations

from pathlib import Path

from workbench.cohort.layouts import (
    adni,
    aibl,
    bids,
    brats,
    csv_table,
    decathlon,
    fomo,
    freesurfer,
    harp,
    ixi,
    nnunet,
    oasis,
    oasis3,
)
from workbench.cohort.layouts.layout import Layout

LAYOUTS: tuple[Layout, ...] = (
    csv_table.LAYOUT,
    nnunet.LAYOUT,
    decathlon.LAYOUT,
    harp.LAYOUT,  # its scans may lie in ADNI's own tree
    ixi.LAYOUT,
    brats.LAYOUT,
    adni.LAYOUT,
    aibl.LAYOUT,
    oasis3.LAYOUT,
    freesurfer.LAYOUT,  # its folders may be named as OASIS-1 and BIDS name theirs
    oasis.LAYOUT,
    fomo.LAYOUT,
    bids.LAYOUT,
)


def layout_of(path: Path) -> Layout | None:
    """The layout of a source, or None where none fits."""
    return next((layout for layout in LAYOUTS if layout.recognises(path)), None)
