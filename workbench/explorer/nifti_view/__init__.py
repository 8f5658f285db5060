"""NiiVue as a Panel component: a NIfTI scan in three planes and 3D, with overlays. Works with the network cut.

The bundle beside this file is built from ``nifti_view.js`` by ``make nifti-view`` (esbuild, NiiVue inside).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

BUNDLE = Path(__file__).parent / "nifti_view.bundle.js"
LAYOUTS = ("multiplanar", "axial", "coronal", "sagittal", "render")


class NiftiView(JSComponent):
    """What is shown is a function of these parameters. Each volume is the content of a ``.nii`` or ``.nii.gz`` file;
    they are separate parameters so that switching an overlay never sends the scan again.

    The element carries its state as data attributes for tests: ``data-state`` (empty, loading, ready, error),
    ``data-volumes`` (slots on screen, JSON), ``data-mm`` and ``data-value`` (crosshair, world mm, and the scan there).
    """

    base = param.Bytes(default=None, doc="The scan.")
    attention = param.Bytes(default=None, doc="A map of values ≥ 0, drawn in colours that start at 0.")
    truth = param.Bytes(default=None, doc="A label map drawn by a person or taken for the truth.")
    prediction = param.Bytes(default=None, doc="A label map from a model.")

    looks = param.Dict(default={}, doc="""
        How each volume is drawn: slot → {title: str, affine: 16 floats row by row (replaces the header's),
        opacity: 0–1, mass: % of the map's sum that stays visible (attention),
        labels: [{code, name, color: [r, g, b]}] to keep, None for every code (truth, prediction)}.""")
    radiological = param.Boolean(default=True, doc="The patient's left on the right of the screen.")
    layout: Any = param.Selector(default="multiplanar", objects=list(LAYOUTS))
    empty = param.String(default="", doc="What to say while there is no scan.")

    _bundle = BUNDLE
