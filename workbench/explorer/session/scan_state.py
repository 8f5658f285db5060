"""The part of the state that says what lies over the scan, and how it is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import param

from workbench.analysis.whatif.measures import MOVES
from workbench.explorer.overlays import KINDS, RANDOM

MOST_BESIDE = 3  # viewers beside the first: a browser keeps few WebGL contexts, and a screen has room for four


class ScanState(param.Parameterized):
    """Overlays and the viewer. Each public parameter here is also in the address (see ``address``)."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # the switches

    attend_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Attention run")
    head: Any = param.Selector(default="mean", objects=["mean"], label="Head")
    segment_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Segmentation run")
    other_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Run B")
    tokens_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Tokens run")
    beside: Any = param.Selector(
        default=RANDOM,
        objects=[RANDOM],
        label="Compare with",
        doc="""
        Whose attention is held against that of the run: random weights of the same architecture, or another run.""",
    )
    for _kind in KINDS:  # a switch for each row of the table of overlays
        vars()[_kind.shown_by] = param.Boolean(default=_kind.on, label=_kind.title, doc=_kind.help)
    del _kind
    attention_opacity = param.Number(default=0.5, bounds=(0, 1), step=0.05, label="Opacity")
    mass = param.Number(default=25, bounds=(1, 100), step=1, label="Show the strongest … % of the attention")
    similar = param.Number(default=10, bounds=(1, 100), step=1, label="Show the most similar … % of the brain")
    label_opacity = param.Number(default=0.7, bounds=(0, 1), step=0.05, label="Opacity")
    outline = param.Boolean(default=False, label="Predictions as outlines too")
    flicker = param.Boolean(default=False, label="Flicker between the two")
    contrast: Any = param.Selector(
        default=None,
        objects=[None],
        allow_None=True,
        label="Contrast",
        doc="""
        Of several contrasts of a scan the one that is shown; the encoder is given all of them.""",
    )
    radiological = param.Boolean(default=True, label="Radiological convention")
    every_voxel = param.Boolean(
        default=False,
        label="Every voxel (slow without a GPU)",
        doc="""
        A browser without a GPU is sent every second or third voxel of a large scan; here all of them.""",
    )
    window_low = param.Number(default=None, allow_None=True, label="Black at", doc="None: as the viewer chooses.")
    window_high = param.Number(default=None, allow_None=True, label="White at")
    whole = param.Boolean(default=False, label="Whole scan (not zoomed to the brain)")
    layout: Any = param.Selector(
        default="multiplanar",
        label="View",
        objects={
            "Planes": "multiplanar",
            "Planes + 3D": "all",
            "Axial": "axial",
            "Coronal": "coronal",
            "Sagittal": "sagittal",
            "3D": "render",
            "Mosaic of axial slices": "mosaic",
        },
    )
    side: Any = param.Selector(default="none", objects=["none", "settings", "facts"], doc="Open beside the viewer.")
    scans_beside = param.List(default=[], item_type=str, label="Scans beside this one", doc="scan_ids, at most three.")
    whatif_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="What-if run")
    whatif_measure: Any = param.Selector(
        default="moved",
        label="What moves",
        objects={one.title: one.column for one in MOVES},
    )
    linked = param.Boolean(default=True, label="Crosshairs linked")
    linked_by: Any = param.Selector(
        default="box",
        label="Linked by",
        objects={"The same share of the brain's box": "box", "The same world mm": "mm"},
        doc="Heads of different people are not registered: the same millimetres are another place in another head.",
    )
    runs_beside: Any = param.ListSelector(default=[], objects=[], label="The case under other runs")

    def shown(self) -> list[str]:
        """Keys of the overlays that are switched on, in the order of the table."""
        return [kind.key for kind in KINDS if getattr(self, kind.shown_by)]

    def window(self) -> list[float]:
        """Black and white level in the scan's own units; empty where the viewer chooses."""
        low, high = self.window_low, self.window_high
        return [float(low), float(high)] if low is not None and high is not None and low < high else []

    def offer_overlays(self, attend: list[str], tokens: list[str], whatif: list[str]) -> None:
        """New choices after the runs were looked for again; what is chosen stays where it still exists."""
        others = [RANDOM, *(name for name in attend if name != self.attend_run)]
        self.param["beside"].objects = others
        self.param["tokens_run"].objects = tokens if tokens else [None]
        self.param["whatif_run"].objects = whatif if whatif else [None]
        self.whatif_run = self.whatif_run if self.whatif_run in whatif else (whatif[0] if whatif else None)
        kept = self.tokens_run if self.tokens_run in tokens else (tokens[0] if tokens else None)
        self.param.update(beside=self.beside if self.beside in others else RANDOM, tokens_run=kept)
