"""The part of the state that says what lies over the scan, and how it is looked at."""

from __future__ import annotations

from typing import Any

import param


class ScanState(param.Parameterized):
    """Overlays and the viewer. Each public parameter here is also in the address (see ``address``)."""

    attend_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Attention run")
    head: Any = param.Selector(default="mean", objects=["mean"], label="Head")
    segment_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Segmentation run")
    show_attention = param.Boolean(default=True, label="Attention")
    show_truth = param.Boolean(default=True, label="True segmentation")
    show_prediction = param.Boolean(default=True, label="Predicted segmentation")
    attention_opacity = param.Number(default=0.5, bounds=(0, 1), step=0.05, label="Opacity")
    mass = param.Number(default=25, bounds=(1, 100), step=1, label="Show the strongest … % of the attention")
    label_opacity = param.Number(default=0.7, bounds=(0, 1), step=0.05, label="Opacity")
    radiological = param.Boolean(default=True, label="Radiological convention")
    layout: Any = param.Selector(default="multiplanar", objects={
        "3 planes + 3D": "multiplanar", "Axial": "axial", "Coronal": "coronal", "Sagittal": "sagittal", "3D": "render"})
