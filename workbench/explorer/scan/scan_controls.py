"""The column of controls beside the viewer."""

from __future__ import annotations

from typing import Any

import panel as pn
import param

from workbench.explorer.overlays import KINDS
from workbench.explorer.parts.figures import figure_button
from workbench.explorer.parts.live import Live
from workbench.explorer.parts.state_view import MARKS
from workbench.explorer.parts.style import LIST
from workbench.explorer.parts.text import Text, hint
from workbench.explorer.scan.paper import TOLD, strips_of_page
from workbench.explorer.session.scan_state import MOST_BESIDE
from workbench.explorer.session.state import ExplorerState

NOTED = tuple(kind.key for kind in KINDS)
NAMES = {
    "attend_run": "Run of the attention",
    "attention_opacity": "Opacity of maps",
    "mass": "Strongest … % of the attention",
    "similar": "Most similar … % of the brain",
    "tokens_run": "Run of the tokens",
    "segment_run": "Run of the segmentation",
    "other_run": "Run B",
    "label_opacity": "Opacity of segmentations",
}
WHOLE = ("mass", "similar")  # sliders of whole numbers


def notes() -> dict[str, Text]:
    """A line of text for each overlay: what it is, or why there is none."""
    return {slot: hint(margin=(0, 10, 4, 10)) for slot in NOTED}


def controls(state: ExplorerState, notes: dict[str, Text], live: Live, slow: Any) -> pn.Column:
    """Widgets of the state's parameters; they know no viewer. ``slow``: bound to whether there may be no GPU.

    Of each overlay what the table of kinds names, once, and only while one that it is of use to is shown.
    """
    p, narrow = state.param, {"margin": (2, 10), "sizing_mode": "stretch_width"}

    def of(name: str, kind: Any, /, **more: Any) -> pn.widgets.Widget:
        return kind.from_param(p[name], **{**narrow, **more})

    def of_use(name: str) -> Any:
        switches = [kind.shown_by for kind in KINDS if name in kind.controls]
        return pn.bind(lambda *on: any(on), *(p[switch] for switch in switches))

    def several(_: Any) -> bool:
        return len(p.contrast.objects) > 1

    parts: list[Any] = []
    for kind in KINDS:
        for name in kind.controls:
            if not any(part.name == name for part in parts):
                parts.append(pn.Column(_widget(p[name], of), visible=of_use(name), name=name, margin=0, **FULL))
        parts.append(pn.Column(notes[kind.key], visible=p[kind.shown_by], name=f"note {kind.key}", margin=0, **FULL))
    number = {"step": 10, "placeholder": "auto", "width": 92, "sizing_mode": None, "margin": (2, 2, 2, 10)}
    small: dict[str, Any] = {"height": 28, "margin": (6, 10)}
    reset = pn.widgets.Button(name="Reset window", height=28, margin=(2, 10), button_style="outline")

    def automatic(*_: Any) -> None:
        state.param.update(window_low=None, window_high=None)

    reset.on_click(automatic)
    return pn.Column(
        *parts,
        live,
        pn.Column(of("contrast", pn.widgets.Select), visible=pn.bind(several, p.cohort), margin=0, **FULL),
        of("radiological", pn.widgets.Checkbox, margin=(6, 10)),
        of("whole", pn.widgets.Checkbox, margin=(0, 10, 6, 10)),
        of("every_voxel", pn.widgets.Checkbox, margin=(0, 10, 6, 10), visible=slow),
        pn.Row(
            of("window_low", pn.widgets.FloatInput, **number),
            of("window_high", pn.widgets.FloatInput, **number),
            margin=0,
        ),
        reset,
        _beside(state),
        _other_runs(state),
        figure_button(lambda: strips_of_page(state), "slices", label="Figure of slices", told=TOLD, width=150, **small),
        of("linked", pn.widgets.Checkbox),
        pn.Column(of("linked_by", pn.widgets.Select), _box_hint(state), visible=p.linked, margin=0, **FULL),
        width=236,
        sizing_mode="stretch_height",
        margin=0,
        css_classes=["controls"],
        scroll="y-auto",
    )


FULL: dict[str, Any] = {"sizing_mode": "stretch_width"}


def _widget(asked: Any, of: Any) -> Any:
    """By what the parameter is; sliders act when the mouse is let go: each step would recolour the whole volume."""
    name = NAMES.get(asked.name, asked.label)
    if isinstance(asked, param.Boolean):
        return of(asked.name, pn.widgets.Checkbox)
    if isinstance(asked, param.Selector):
        return of(asked.name, pn.widgets.Select, name=name)
    return of(
        asked.name, pn.widgets.FloatSlider, name=name, throttled=True, format="0" if asked.name in WHOLE else "0.00"
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
        options=list(state.param.runs_beside.objects),  # of none Panel makes one that is called "[]"
        size=3,
        margin=(6, 10),
        stylesheets=[LIST],
        sizing_mode="stretch_width",
    )
    return pn.Column(chosen, visible=pn.bind(bool, chosen.param.options), sizing_mode="stretch_width", margin=0)


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
