"""The explorer's views in a notebook's cell, without a network: the same classes as on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.runs import Run

HEIGHT = 760


def show(run: str | Path | Run, *, height: int = HEIGHT) -> Any:
    """The explorer of a run, or of a folder of runs, for a cell of JupyterLab.

    Args:
        run: A finished run (or its folder): the explorer opens on it, with the runs beside it at hand. Or a folder
            that runs lie in.
        height: Of the view, in pixels.

    Returns:
        A Panel object: leave it as the last line of the cell. It lives as long as the kernel does. What is selected
        in it can be read and set: ``selection`` (scan_ids), ``selected`` (their rows), ``case``.

    Raises:
        WorkbenchError: there is no such folder.
    """
    import panel as pn

    # inline: all scripts go into the notebook's page, so that no network is asked for any of them
    pn.extension("tabulator", inline=True)
    from workbench.explorer.app.page import _tabs, layout
    from workbench.explorer.cells.held import Held
    from workbench.explorer.session.state import ExplorerState

    folder = run.path if isinstance(run, Run) else Path(run)
    if not folder.is_dir():
        raise WorkbenchError(f"{folder}: no such folder", remedy="give a run, or the folder that runs were written to")
    one = Run(folder) if (folder / "status.json").is_file() else None
    state = ExplorerState(folder.parent if one else folder)
    if one:
        choose(state, one)
    body = layout(state)
    body.styles = {**body.styles, "height": f"{height}px", "min-height": f"{height}px"}
    return Held(state, pn.Column(_tabs(state), body, sizing_mode="stretch_width", margin=0))


def choose(state: Any, run: Run) -> None:
    """Open the state on a run: the selector of its job takes it, and the page that shows it comes first."""
    name = next((n for n, r in state.catalog.finished.items() if r.path.resolve() == run.path.resolve()), None)
    selector = {
        "embed": "embed_run",
        "attend": "attend_run",
        "segment": "segment_run",
        "tokens": "tokens_run",
        "whatif": "whatif_run",
    }.get(run.job)
    if name is None:
        run.require_ok()
    if selector and name in state.param[selector].objects:
        setattr(state, selector, name)
        if run.job == "tokens":
            state.show_colours = True
