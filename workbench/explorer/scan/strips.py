"""Slices of some cases in rows, and in columns what lies over them: for a figure, with one range of colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from workbench import plots
from workbench.errors import WorkbenchError
from workbench.explorer.overlays import BY_KEY
from workbench.explorer.overlays.kinds import sidecar
from workbench.explorer.overlays.segmentations import predicted, true_codes
from workbench.explorer.stored import files
from workbench.explorer.stored.catalog import Catalog
from workbench.volumes import Volume, read_volume

Column = tuple[str, str]
"""What lies over the scan, and of which run: ``("scan", "")`` nothing, ``("segmentation", run)`` what the run gave,
filled, and the truth as an outline, ``("attention", run)``, ``("random", run)`` the map of random weights that this run
wrote beside its own."""

TITLES = {"scan": "scan", "segmentation": "{}", "attention": "attention, {}", "random": "random weights, {}"}
RAMP = BY_KEY["attention"].ramp
Labels = tuple[Volume, dict[int, list[int]]]


@dataclass
class _Case:
    """What of a case is known before anything is drawn: labels are small, maps are read again when they are drawn."""

    scan_id: str
    row: dict[str, Any]
    truth: Labels | None = None
    labels: dict[str, Labels | None] = field(default_factory=dict)
    maps: dict[Column, Path | None] = field(default_factory=dict)
    strongest: np.ndarray | None = None  # where the first map is densest, in world mm


def strips(
    catalog: Catalog,
    embed_run: str,
    scan_ids: Sequence[str],
    columns: Sequence[Column],
    *,
    plane: str = "axial",
    radiological: bool = True,
    head: str = "mean",
    mass: float = 25,
) -> dict[str, Any]:
    """What ``plots.strips_figure`` draws.

    Args:
        catalog: Of the runs.
        embed_run: Whose cohort holds the scans.
        scan_ids: The cases, a row each, in this order.
        columns: See ``Column``. Segmentations are drawn with the structures of the first of them; maps in one range of
            colours, from the lowest of their thresholds to the highest of their tops.
        plane: Of the slices; each is where most of the truth (else of the first prediction, else of the strongest part
            of the first map) lies.
        radiological: The patient's left on the right.
        head: Of the attention; of random weights there is the mean alone.
        mass: Percent of a map's sum that lies above its threshold.

    Raises:
        WorkbenchError: a scan is not in the cohort, a file of it cannot be read, or maps are in different units.
    """
    if not columns or not scan_ids:
        raise WorkbenchError("nothing to draw", remedy="choose a run or an overlay, and a case")
    cohort = catalog.cohort(embed_run)
    first = next((run for what, run in columns if what == "segmentation"), None)
    structures = catalog.structures(first)
    cases, lows, highs, units = [], [], [], set()
    for scan_id in scan_ids:
        case = _Case(scan_id, files.case_row(cohort, scan_id))
        if first is not None:
            case.truth = _truth(catalog, embed_run, case.row, structures)
        for what, run in columns:
            if what == "segmentation":
                case.labels[run] = _labels(catalog, run, scan_id, structures)
            elif what != "scan":
                path = case.maps[what, run] = _map_file(catalog, what, run, scan_id, head)
                if path is not None:
                    units.add(str(sidecar(path).get("unit", "")))
                    volume = read_volume(path)
                    low, high = plots.strongest(volume.data, mass)
                    if low > high:
                        continue  # nothing above 0 in it
                    lows.append(low)
                    highs.append(high)
                    if case.strongest is None:
                        case.strongest = plots.densest_point(Volume(volume.data >= low, volume.affine), [1])
        cases.append(case)
    if len(units) > 1:
        raise WorkbenchError(
            "these maps cannot have one colour bar",
            cause=f"they are in different units: {', '.join(sorted(unit or 'none' for unit in units))}",
            remedy="draw them in figures of their own, or run `workbench attend` again for the older one",
        )
    range_ = (min(lows), max(highs)) if lows else (0.0, 1.0)
    rows = [(case.scan_id, _pictures(case, columns, range_, plane, radiological)) for case in cases]
    unit = next(iter(units), "")
    return {
        "strips": rows,
        "columns": [TITLES[what].format(run) for what, run in columns],
        "legend": _legend(structures) if first is not None else None,
        "bar": (f"attention ({unit})" if unit else "attention", *range_, RAMP) if lows else None,
    }


def _pictures(
    case: _Case, columns: Sequence[Column], range_: tuple[float, float], plane: str, radiological: bool
) -> list[np.ndarray | None]:
    scan = read_volume(files.scan_file(case.row))
    known = [case.truth, *case.labels.values()]
    at = next((place for one in known if one is not None and (place := _densest(*one)) is not None), case.strongest)
    if at is None:
        at = scan.grid.to_world((np.array(scan.data.shape) - 1) / 2)
    how: dict[str, Any] = {"at": [float(v) for v in at], "plane": plane, "radiological": radiological}
    out: list[np.ndarray | None] = []
    for what, run in columns:
        path = case.maps.get((what, run))
        if what == "scan":
            out.append(plots.strip_picture(scan, **how))
        elif what == "segmentation":
            fill = case.labels[run]  # none is not the same as one that is empty
            out.append(plots.strip_picture(scan, fill, case.truth, **how) if fill is not None else None)
        else:
            heat = None if path is None else (read_volume(path), *range_, RAMP)
            out.append(plots.strip_picture(scan, heat=heat, **how) if heat is not None else None)
    return out


def _map_file(catalog: Catalog, what: str, run: str, scan_id: str, head: str) -> Path | None:
    if what == "attention":
        heads = files.attention_heads(catalog, run)
        return files.attention_file(catalog, run, scan_id, head if head in heads else "mean")
    return files.random_attention_file(catalog, run, scan_id)


def _legend(structures: list[str]) -> dict[str, list[int]]:
    drawn = zip(structures, plots.label_colors(len(structures), "prediction"), strict=True)
    true = zip(structures, plots.label_colors(len(structures), "truth"), strict=True)
    return {
        **{f"{name.replace('_', ' ')}, predicted": color for name, color in drawn},
        **{f"{name.replace('_', ' ')}, true (outline)": color for name, color in true},
    }


def _truth(catalog: Catalog, embed_run: str, row: dict[str, Any], structures: list[str]) -> Labels | None:
    path = files.truth_file(row)
    codes = true_codes(SimpleNamespace(catalog=catalog, embed_run=embed_run), row, structures)
    if path is None or not any(codes):
        return None
    shades = plots.label_colors(len(structures), "truth")
    return read_volume(path, labels=True), {code: shades[i] for i, some in enumerate(codes) for code in some}


def _labels(catalog: Catalog, run: str, scan_id: str, structures: list[str]) -> Labels | None:
    """A run's label map and the colours of its codes, by the names of the first run's structures."""
    path = predicted(SimpleNamespace(catalog=catalog), run, scan_id)
    if path is None:
        return None
    shades = dict(zip(structures, plots.label_colors(len(structures), "prediction"), strict=True))
    own = catalog.structures(run)
    return read_volume(path, labels=True), {i + 1: shades[name] for i, name in enumerate(own) if name in shades}


def _densest(labels: Volume, colors: dict[int, Any]) -> np.ndarray | None:
    return plots.densest_point(labels, colors) if np.isin(labels.data, list(colors)).any() else None
