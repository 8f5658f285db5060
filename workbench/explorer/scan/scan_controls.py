"""The column of controls beside the viewer."""

from __future__ import annotations

from typing import Any

import panel as pn

from workbench.explorer.parts.live import Live
from workbench.explorer.parts.style import CHECKBOX
from workbench.explorer.parts.text import Text, hint
from workbench.explorer.parts.views import MARKS
from workbench.explorer.session.scan_state import MOST_BESIDE
from workbench.explorer.session.state import ExplorerState

NOTED = ("attention", "beside", "similarity", "rgb", "truth", "prediction", "error")


def notes() -> dict[str, Text]:
    """A line of text for each overlay: what it is, or why there is none."""
    return {slot: hint(margin=(0, 10, 4, 10)) for slot in NOTED}


def controls(state: ExplorerState, notes: dict[str, Text], live: Live, slow: Any) -> pn.Column:
    """Widgets of the state's parameters; they know no viewer. ``slow``: bound to whether there may be no GPU."""
    p, narrow = state.param, {"margin": (2, 10), "sizing_mode": "stretch_width"}

    def of(name: str, kind: Any, /, **more: Any) -> pn.widgets.Widget:
        return kind.from_param(p[name], **{**narrow, **more})

    def heading(name: str) -> pn.widgets.Widget:
        return of(
            name, pn.widgets.Checkbox, css_classes=["overlay-heading"], stylesheets=[CHECKBOX], margin=(10, 10, 2, 10)
        )

    def only(name: str, *parts: Any) -> pn.Column:
        """Settings of an overlay, seen while it is on: the column is long enough."""
        return pn.Column(*parts, visible=p[name], sizing_mode="stretch_width", margin=0)

    # sliders act when the mouse is let go: each step would recolour the whole volume
    slider = {"throttled": True, "format": "0.00"}
    number = {"step": 10, "placeholder": "auto", "width": 88, "sizing_mode": None, "margin": (2, 2, 2, 10)}
    reset = pn.widgets.Button(name="Reset window", height=28, margin=(2, 10), button_style="outline")

    def automatic(*_: Any) -> None:
        state.param.update(window_low=None, window_high=None)

    reset.on_click(automatic)
    return pn.Column(
        of("layout", pn.widgets.Select, name="View"),
        of("radiological", pn.widgets.Checkbox, margin=(6, 10)),
        of("every_voxel", pn.widgets.Checkbox, margin=(0, 10, 6, 10), visible=slow),
        pn.Row(
            of("window_low", pn.widgets.FloatInput, **number),
            of("window_high", pn.widgets.FloatInput, **number),
            margin=0,
        ),
        reset,
        heading("show_attention"),
        of("attend_run", pn.widgets.Select, name="Run"),
        of("head", pn.widgets.Select),
        of("attention_opacity", pn.widgets.FloatSlider, **slider),
        of("mass", pn.widgets.FloatSlider, name="Strongest … % of attention", throttled=True, format="0"),
        notes["attention"],
        heading("show_beside"),
        only("show_beside", of("beside", pn.widgets.Select)),
        notes["beside"],
        heading("show_similarity"),
        only(
            "show_similarity",
            of("similar", pn.widgets.FloatSlider, name="Most similar … % of the brain", throttled=True, format="0"),
            notes["similarity"],
            live,
        ),
        heading("show_colours"),
        only("show_colours", of("tokens_run", pn.widgets.Select, name="Run"), notes["rgb"]),
        heading("show_truth"),
        notes["truth"],
        heading("show_prediction"),
        of("segment_run", pn.widgets.Select, name="Run"),
        notes["prediction"],
        heading("show_error"),
        only("show_error", notes["error"]),
        of("outline", pn.widgets.Checkbox, margin=(8, 10, 2, 10)),
        of("label_opacity", pn.widgets.FloatSlider, name="Opacity of segmentations", **slider),
        of("flicker", pn.widgets.Checkbox, margin=(8, 10, 2, 10)),
        hint("Attention and what it is held against, while both are on; else truth and prediction."),
        _beside(state),
        _other_runs(state),
        of("linked", pn.widgets.Checkbox),
        only("linked", of("linked_by", pn.widgets.Select), _box_hint(state)),
        width=225,
        sizing_mode="stretch_height",
        margin=0,
        css_classes=["controls"],
        scroll="y-auto",
    )


def _beside(state: ExplorerState) -> pn.Column:
    """Choose scans to stand beside the case; the selection's come first."""
    # a plain <select>: its options are text, and ids come from data
    add = pn.widgets.Select(
        name=f"Compare with (up to {MOST_BESIDE} scans)", margin=(10, 10, 2, 10), sizing_mode="stretch_width"
    )
    none = pn.widgets.Button(name="Compare with none", height=28, margin=(2, 10), button_style="outline")

    def offer(*_: Any) -> None:
        some = state.cohort["scan_id"].iloc[:MOST_OFFERED].astype(str) if len(state.cohort) else []
        taken = {state.case, *state.scans_beside}
        free = [i for i in dict.fromkeys([*state.selection[:MOST_OFFERED], *some]) if i not in taken]
        add.param.update(options=["", *free[:MOST_OFFERED]], value="", disabled=len(state.scans_beside) >= MOST_BESIDE)
        none.visible = bool(state.scans_beside)

    def take(event: Any) -> None:
        if event.new:
            state.scans_beside = [*state.scans_beside, str(event.new)]

    def clear(*_: Any) -> None:
        state.scans_beside = []

    add.param.watch(take, "value")
    none.on_click(clear)
    state.param.watch(offer, ["cohort", "selection", "scans_beside", "case"], precedence=MARKS)
    offer()
    return pn.Column(add, none, sizing_mode="stretch_width", margin=0)


def _other_runs(state: ExplorerState) -> pn.Column:
    """Choose runs under which the same case stands beside itself."""
    # a plain <select> again: names of folders are data
    chosen = pn.widgets.MultiSelect.from_param(
        state.param.runs_beside,
        name=f"This case under other runs (up to {MOST_BESIDE})",
        size=3,
        margin=(6, 10),
        sizing_mode="stretch_width",
    )
    return pn.Column(chosen, sizing_mode="stretch_width", margin=0)


def _box_hint(state: ExplorerState) -> Text:
    """What the second way of linking is, and for whom it works; said only when it is chosen."""

    def told(by: str, cohort: Any) -> str:
        if by != "box":
            return ""
        known = len(cohort) and {"affine", "px", "py", "pz"} <= set(cohort)
        return (
            "No registration: a place is a share of the box around each brain."
            if known
            else "This embedding does not know its brains' boxes: linked by mm. Run <code>workbench embed</code> again."
        )

    return hint(pn.bind(told, state.param.linked_by, state.param.cohort))


MOST_OFFERED = 500  # ids in one list: a browser's drop-down is no index of a hundred thousand
