"""The table of overlay kinds. A new kind is a look-up function and a row here: its switch, its place in the address,
the key ``o``, the viewer and its legend come from the table, and the viewer's bundle stays as it is.
"""

from __future__ import annotations

from typing import Any

from workbench.explorer.overlays.against import against, other
from workbench.explorer.overlays.attention import RANDOM, attention, beside
from workbench.explorer.overlays.kinds import Kind, Made, Overlay, Shown, nothing
from workbench.explorer.overlays.segmentations import error, prediction, truth
from workbench.explorer.overlays.tokens import colours, similarity

KINDS = (
    Kind(
        key="attention",
        title="Attention",
        draws="map",
        look_up=attention,
        ramp=((102, 3, 39), (139, 38, 120), (205, 24, 77), (170, 112, 141), (224, 202, 217)),
        controls=("attend_run", "head", "attention_opacity", "mass"),
        on=True,
        help="Where the encoder's summary of the scan (CLS, or what stands for it) takes its information from.",
    ),
    Kind(
        key="beside",
        title="Compare",
        draws="map",
        look_up=beside,
        ramp=((0, 70, 70), (0, 115, 105), (20, 165, 140), (95, 210, 180), (205, 250, 235)),
        controls=("beside", "flicker"),
        help="The same map of random weights, or of another run: what a map shows without having learnt anything.",
    ),
    Kind(
        key="similarity",
        title="Where else?",
        draws="map",
        look_up=similarity,
        ramp=((68, 1, 84), (90, 60, 130), (125, 120, 170), (170, 180, 205), (225, 240, 240)),
        controls=("similar",),
        help="Click a voxel: the places that the encoder describes most like it (cosine of their tokens).",
    ),
    Kind(
        key="rgb",
        title="Tokens as colours",
        draws="colours",
        look_up=colours,
        controls=("tokens_run",),
        switch="show_colours",
        help="Places of the same colour are described alike by the encoder.",
    ),
    Kind(
        key="prediction",
        title="Predicted",
        draws="labels",
        look_up=prediction,
        outline="asked",
        controls=("segment_run", "label_opacity", "outline"),
        help="The segmentation that a fine-tuned run gave, filled.",
    ),
    Kind(
        key="truth",
        title="True",
        draws="labels",
        look_up=truth,
        outline="always",
        controls=("label_opacity", "flicker"),
        help="The segmentation of the cohort, as an outline over what was predicted.",
    ),
    Kind(
        key="error",
        title="Errors",
        draws="labels",
        look_up=error,
        made=True,
        controls=("segment_run", "label_opacity"),
        help="Where the prediction is correct, too much, or missed, in millilitres.",
    ),
    Kind(
        key="other",
        title="Run B",
        draws="labels",
        look_up=other,
        outline="always",
        controls=("other_run", "label_opacity", "flicker"),
        help="The segmentation of a second run, as an outline beside that of the first.",
    ),
    Kind(
        key="against",
        title="A against B",
        draws="labels",
        look_up=against,
        made=True,
        controls=("segment_run", "other_run", "label_opacity"),
        help="Two segmentation runs held against the truth: where only A is right, and where only B, in millilitres.",
    ),
)
BY_KEY = {kind.key: kind for kind in KINDS}
_DRAWN, _OUTLINED = ("colours", "map", "labels"), ("never", "asked", "always")
# bottom first: no fill lies over an outline
LAYERS = tuple(sorted(KINDS, key=lambda kind: (_DRAWN.index(kind.draws), _OUTLINED.index(kind.outline))))
SLOTS = ("base", *(kind.key for kind in LAYERS))


def overlays(state: Any, row: dict[str, Any], runs: Shown | None = None) -> dict[str, Overlay]:
    """All slots for one scan of the cohort; a slot that is switched off has no source.

    Args:
        state: Which overlays are on, and how they look.
        row: Of the scan.
        runs: In place of the runs that the state names.
    """
    runs = runs or chosen(state)
    out = {"base": _scan(state, row)}
    for kind in LAYERS:
        out[kind.key] = kind.look_up(state, row, runs, bool(getattr(state, kind.shown_by)))
    return out


def files_of(state: Any, row: dict[str, Any]) -> dict[str, Overlay]:
    """The scan, and those of the overlays that are switched on which only have to be read; nothing is told to the page.

    Raises:
        WorkbenchError: the scan has no file to show.
    """
    state, runs = _Silent(state), chosen(state)
    shown = [kind for kind in LAYERS if getattr(state, kind.shown_by) and not kind.made]
    return {"base": _scan(state, row), **{kind.key: kind.look_up(state, row, runs, True) for kind in shown}}


class _Silent:
    """The state, read; what is said to it is not heard."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)


def _scan(state: Any, row: dict[str, Any]) -> Overlay:
    from workbench.explorer.stored import files

    return Overlay(files.scan_file(row, getattr(state, "contrast", None)), {"title": "Intensity"})


def chosen(state: Any) -> Shown:
    """The runs that the page's selectors name."""
    return Shown(state.attend_run, state.segment_run, state.other_run)


def for_viewer() -> list[dict[str, Any]]:
    """What the viewer in the browser is told of the kinds."""
    return [
        {"key": kind.key, "draws": kind.draws, "outline": kind.outline, "ramp": [list(c) for c in kind.ramp]}
        for kind in LAYERS
    ]


__all__ = [
    "BY_KEY",
    "KINDS",
    "LAYERS",
    "RANDOM",
    "SLOTS",
    "Kind",
    "Made",
    "Overlay",
    "Shown",
    "chosen",
    "files_of",
    "for_viewer",
    "nothing",
    "overlays",
]
