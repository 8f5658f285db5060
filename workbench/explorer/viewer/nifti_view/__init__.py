"""NiiVue as a Panel component: a NIfTI scan in three planes and 3D, with overlays. Works with the network cut.

The bundle beside this file is built from ``nifti_view.js`` by ``make nifti-view`` (esbuild, NiiVue inside).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from workbench.explorer.overlays import LAYERS, for_viewer

BUNDLE = Path(__file__).parent / "nifti_view.bundle.js"
LAYOUTS = ("multiplanar", "all", "axial", "coronal", "sagittal", "render", "mosaic")


class NiftiView(JSComponent):
    """What is shown is a function of these parameters. Each volume is the content of a ``.nii`` or ``.nii.gz`` file;
    they are separate parameters so that switching an overlay never sends the scan again.

    The element carries its state as data attributes for tests: ``data-state`` (empty, loading, ready, error),
    ``data-volumes`` (slots on screen, JSON), ``data-scan`` (``scan``, once its volumes are on screen), ``data-mm`` and
    ``data-value`` (crosshair, world mm, and the scan there), ``data-window`` (black and white level) and
    ``data-flicker`` (the slot that is on).
    """

    base = param.Bytes(default=None, doc="The scan.")
    for _kind in LAYERS:  # a volume for each row of the table of overlays
        vars()[_kind.key] = param.Bytes(default=None, doc=_kind.help)
    del _kind

    ahead = param.Dict(
        default={},
        doc="""
        What will probably be asked for next: slot → {name: str, bytes, look: as in ``looks``}. The browser makes it
        ready aside; then the slot's own parameter is set to the name alone, which begins with ``ahead:``.""",
    )
    kinds = param.List(
        default=for_viewer(),
        doc="How slots are drawn, bottom first: {key, draws (map, labels, colours), outline, ramp: [[r, g, b], …]}.",
    )
    looks = param.Dict(
        default={},
        doc="""
        How each volume is drawn: slot → {title: str, unit: str, affine: 16 floats row by row (replaces the header's),
        opacity: 0–1, mass: % of the map's sum that stays visible (maps), range: [low, high] in its place,
        labels: [{code, name, color: [r, g, b]}] to keep, None for every code (labels)}.""",
    )
    radiological = param.Boolean(default=True, doc="The patient's left on the right of the screen.")
    layout: Any = param.Selector(default="multiplanar", objects=list(LAYOUTS))
    empty = param.String(default="", doc="What to say while there is no scan.")
    caption = param.String(default="", doc="Stands in the picture, and under it where it is saved.")
    scan = param.String(default="", doc="Name of the scan that the volumes belong to.")
    step = param.Integer(default=1, bounds=(1, None), doc="The volumes hold every ``step``-th voxel of their files.")
    drawn_by: Any = param.Selector(
        default="",
        objects=["", "gpu", "software"],
        doc="Written by the browser once it can draw; software is slow with large volumes.",
    )
    ticket = param.Integer(default=0, doc="Number of a message; ``shown`` becomes the same when it is on screen.")
    shown = param.Integer(default=0, doc="Written by the browser.")
    window = param.List(
        default=[],
        doc="Black and white level; empty: as NiiVue chooses. The browser writes it after "
        "a drag with the right button.",
    )
    outline = param.Boolean(default=False, doc="Of true and predicted labels only the voxels at the surface.")
    flicker = param.List(default=[], item_type=str, doc="Two slots that are shown by turns.")
    group = param.String(default="", doc="Viewers of one group share the crosshair's world mm, in the browser alone.")
    linked = param.Boolean(default=False, doc="Takes part in its group.")
    box = param.List(
        default=[],
        doc="""
        16 numbers row by row, from shares of the brain's box to world mm: where viewers of a group both have one, they
        share the place in the brain and not the mm.""",
    )
    frame = param.List(
        default=[],
        doc="As ``box``: what the planes are zoomed to; empty: what is bright.",
    )
    whole = param.Boolean(default=False, doc="Not zoomed: all of the scan.")
    legend = param.Boolean(default=True, doc="Under the picture; off where several viewers share one.")
    pick = param.Boolean(default=False, doc="Tell the server where a click went (``picked``).")
    picked = param.List(default=[], doc="World mm of the last click, written by the browser while ``pick``.")

    _bundle = BUNDLE
