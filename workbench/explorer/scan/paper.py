"""Slices of several scans as a figure for a paper: what is laid over the scan on the page, in a column each."""

from __future__ import annotations

from typing import Any

from workbench import plots
from workbench.explorer.overlays import BY_KEY, RANDOM
from workbench.explorer.scan.strips import Column, strips
from workbench.explorer.session.state import ExplorerState

MOST = 6  # scans of a figure
TOLD = (
    "For a paper: the selected scans (the first 6; else this one and those beside it), and what lies over them, as "
    "PDF, SVG and PNG of 300 dpi, with a caption and its Python lines"
)
NO_STRIP = ("similarity", "rgb", "error", "against")  # they are asked of one scan, or have a legend of their own


def strips_of_page(state: ExplorerState) -> tuple[Any, str, str]:
    """Figure, caption and Python lines of the scans that are selected, else of the case and the scans beside it."""
    chosen = [str(i) for i in state.cohort["scan_id"].iloc[state.walked_rows()]] if state.selection else []
    ids = (chosen or list(dict.fromkeys([state.case, *state.scans_beside])))[:MOST]
    columns = columns_of_page(state)
    left_out = [BY_KEY[key].title for key in state.shown() if key in NO_STRIP]
    count = f"{len(ids)} of the {len(chosen)} selected scans" if len(chosen) > len(ids) else f"{len(ids)} scans"
    plane = state.layout if state.layout in ("axial", "coronal", "sagittal") else state.plane
    said = count + (f" (not drawn: {', '.join(left_out)})" if left_out else "")
    return drawn(state, ids, columns, said, plane)


def columns_of_page(state: ExplorerState) -> list[Column]:
    """What is switched on, and the runs that stand beside; the scan alone where that is nothing."""
    out: list[Column] = []
    on = state.shown()
    if "attention" in on and state.attend_run:
        out.append(("attention", state.attend_run))
    if "beside" in on and state.attend_run:
        out.append(("random", state.attend_run) if state.beside == RANDOM else ("attention", state.beside))
    if {"prediction", "truth"} & set(on) and state.segment_run:
        out.append(("segmentation", state.segment_run))
    if "other" in on and state.other_run:
        out.append(("segmentation", state.other_run))
    for run in state.runs_beside:
        job = state.catalog.config(run).get("job")
        if job in ("attend", "segment"):
            out.append(("attention" if job == "attend" else "segmentation", run))
    return list(dict.fromkeys(out)) or [("scan", "")]


def drawn(state: ExplorerState, ids: list[str], columns: list[Column], said: str, plane: str) -> tuple[Any, str, str]:
    """The figure of these cases and columns; ``said`` begins its caption."""
    how: dict[str, Any] = {"plane": plane, "radiological": state.radiological}
    kinds = {what for what, _ in columns}
    if kinds & {"attention", "random"}:
        how |= {"head": state.head, "mass": state.mass}
    figure = plots.strips_figure(**strips(state.catalog, state.embed_run, ids, columns, **how))
    caption = f"{said}: "
    if kinds & {"attention", "random"}:
        whose = "mean of heads" if state.head == "mean" else f"head {state.head}; of random weights the mean"
        caption += (
            f"attention ({whose}) in one range of colours for all, from the lowest threshold (of a map's sum the "
            f"strongest {state.mass:g} % lie above its own) to the highest top; "
        )
    if "segmentation" in kinds:
        runs = ", ".join(run for what, run in columns if what == "segmentation")
        caption += f"what {runs} gave, filled, and the truth as an outline; "
    where = "most of the truth" if "segmentation" in kinds else "most of the strongest attention"
    caption += f"one {plane} slice each" + (f", where {where} lies" if kinds != {"scan"} else " through the middle")
    caption += "; one scale in millimetres."
    if plane != "sagittal":
        caption += f" The patient's left is on the {'right' if state.radiological else 'left'}."
    caption += " Simulated data." if state.simulated else ""
    settings = ", ".join(f"{name}={value!r}" for name, value in how.items())
    code = (
        "from workbench.explorer.scan.strips import strips\n\n"
        f"what = strips(Catalog.scan({str(state.runs_folder)!r}), {state.embed_run!r}, {ids!r}, {columns!r}, "
        f"{settings})\n"
        "figure = plots.strips_figure(**what)"
    )
    return figure, caption, code
