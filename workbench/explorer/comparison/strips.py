"""Slices of some cases under several runs, for a figure: what each run gave, filled, and the truth as an outline."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from workbench import plots
from workbench.errors import WorkbenchError
from workbench.explorer.overlays.segmentations import predicted, true_codes
from workbench.explorer.stored import files
from workbench.explorer.stored.catalog import Catalog
from workbench.volumes import Volume, read_volume


def strips(
    catalog: Catalog,
    embed_run: str,
    scan_ids: Sequence[str],
    runs: Sequence[str],
    *,
    plane: str = "axial",
    radiological: bool = True,
) -> dict[str, Any]:
    """What ``plots.strips_figure`` draws.

    Args:
        catalog: Of the runs.
        embed_run: Whose cohort holds the scans.
        scan_ids: The cases, a row each, in this order.
        runs: Segmentation runs, a column each; all of the structures of the first.
        plane: Of the slices; each is where most of the truth (else of the first prediction) lies.
        radiological: The patient's left on the right.

    Raises:
        WorkbenchError: a scan is not in the cohort, or a file of it cannot be read.
    """
    if not runs or not scan_ids:
        raise WorkbenchError("nothing to draw", remedy="choose one segmentation run or more, and a case")
    cohort, structures = catalog.cohort(embed_run), catalog.structures(runs[0])
    rows = [
        _strip(catalog, embed_run, files.case_row(cohort, scan_id), list(runs), structures, plane, radiological)
        for scan_id in scan_ids
    ]
    drawn = zip(structures, plots.label_colors(len(structures), "prediction"), strict=True)
    true = zip(structures, plots.label_colors(len(structures), "truth"), strict=True)
    legend = {
        **{f"{name.replace('_', ' ')}, predicted": color for name, color in drawn},
        **{f"{name.replace('_', ' ')}, true (outline)": color for name, color in true},
    }
    return {"strips": rows, "columns": list(runs), "legend": legend}


def _strip(
    catalog: Catalog,
    embed_run: str,
    row: dict[str, Any],
    runs: list[str],
    structures: list[str],
    plane: str,
    radiological: bool,
) -> tuple[str, list[np.ndarray]]:
    scan_id, state = str(row["scan_id"]), SimpleNamespace(catalog=catalog, embed_run=embed_run)
    scan = read_volume(files.scan_file(row))
    path, codes = files.truth_file(row), true_codes(state, row, structures)
    truth = None
    if path is not None and any(codes):
        shades = plots.label_colors(len(structures), "truth")
        colors = {code: shades[i] for i, some in enumerate(codes) for code in some}
        truth = read_volume(path, labels=True), colors
    maps = {run: _labels(catalog, run, scan_id, structures) for run in runs}
    known = [truth, *maps.values()]
    at = next((place for one in known if one is not None and (place := _densest(*one)) is not None), None)
    if at is None:
        at = scan.grid.to_world((np.array(scan.data.shape) - 1) / 2)
    pictures = [
        plots.strip_picture(scan, maps[run], truth, at=[float(v) for v in at], plane=plane, radiological=radiological)
        for run in runs
    ]
    return scan_id, pictures


def _labels(
    catalog: Catalog, run: str, scan_id: str, structures: list[str]
) -> tuple[Volume, dict[int, list[int]]] | None:
    """A run's label map and the colours of its codes, by the names of the first run's structures."""
    path = predicted(SimpleNamespace(catalog=catalog), run, scan_id)
    if path is None:
        return None
    shades = dict(zip(structures, plots.label_colors(len(structures), "prediction"), strict=True))
    own = catalog.structures(run)
    return read_volume(path, labels=True), {i + 1: shades[name] for i, name in enumerate(own) if name in shades}


def _densest(labels: Volume, colors: dict[int, Any]) -> np.ndarray | None:
    return plots.densest_point(labels, colors) if np.isin(labels.data, list(colors)).any() else None
