"""What is shown of a group or of two: volumes on the mean brain, rows of the tables, and words."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.explorer.stored import files
from workbench.explorer.stored.catalog import Catalog
from workbench.explorer.stored.files import NiftiFile, nifti_bytes
from workbench.volumes import Volume, read_grid

UNIT = "times the brain's mean"
OUTSIDE = -4.0  # standard deviations: darker than any brain
LEAST_COMMON = 0.5  # as `workbench group` takes a voxel for brain
SLOTS = ("base", "attention", "beside")


@dataclass(frozen=True)
class Chosen:
    """What the page's selectors name; ``b`` is empty for the mean of ``a`` alone."""

    run: str
    by: str
    a: str
    b: str
    weights: str
    found: str


@dataclass(frozen=True)
class Picture:
    """Volumes by slot of the viewer, and their looks."""

    volumes: dict[str, NiftiFile] = field(default_factory=dict)
    looks: dict[str, dict[str, Any]] = field(default_factory=dict)
    note: str = ""
    """Why nothing lies on the brain; ours, no HTML."""


def picture(catalog: Catalog, chosen: Chosen) -> Picture:
    """The mean brain with the mean attention of a group, or with the difference of two: where the first is higher, and
    where the second is, in two colours of one range."""
    brain, common = (_read(catalog, chosen.run, f"volumes/{name}.nii.gz") for name in ("brain", "common"))
    inside = common.data >= LEAST_COMMON
    base = nifti_bytes(Volume(np.where(inside, brain.data, OUTSIDE).astype(np.float32), brain.affine))
    out = Picture({"base": base}, {"base": {"title": "Mean brain", "unit": "SD", "affine": list(base.affine)}})
    if not chosen.b:
        mean = _map(catalog, chosen, "mean")
        if mean is None:
            return Picture(out.volumes, out.looks, "This run has no mean map of this group.")
        if " - " in chosen.weights:  # a difference of two kinds of weights
            return _two(out, mean, inside, "Higher with the first weights", "Higher with the weights beside")
        top = float(np.percentile(mean.data[inside], 99.9))
        low = 1.0 if top > 1.02 else float(mean.data[inside].min())
        return _with(out, "attention", mean, inside, f"Mean attention, {chosen.a}", [low, max(top, low + 1e-3)])
    apart, sign = _map(catalog, chosen, "difference"), 1.0
    if apart is None:
        apart, sign = _map(catalog, _turned(chosen), "difference"), -1.0
    if apart is None:
        return Picture(out.volumes, out.looks, "These two groups were not compared.")
    seen = inside
    if chosen.found != "all":
        p = _map(catalog, chosen if sign > 0 else _turned(chosen), chosen.found)
        seen = inside & (p.data <= level(catalog, chosen.run)) if p is not None else inside & False
    if not seen.any():
        return Picture(out.volumes, out.looks, "No place is found: no difference is shown on the brain.")
    return _two(out, Volume(sign * apart.data, apart.affine), seen, f"Higher in {chosen.a}", f"Higher in {chosen.b}")


def _two(out: Picture, apart: Volume, seen: np.ndarray, first: str, second: str) -> Picture:
    top = max(float(np.abs(apart.data[seen]).max()), 1e-6)
    for slot, sign, title in (("attention", 1, first), ("beside", -1, second)):
        here = seen & (sign * apart.data > 0)
        if here.any():
            out = _with(out, slot, Volume(sign * apart.data, apart.affine), here, title, [top / 50, top])
    return out


def _with(out: Picture, slot: str, volume: Volume, seen: np.ndarray, title: str, ends: list[float]) -> Picture:
    shown = nifti_bytes(Volume(np.where(seen, volume.data, 0).astype(np.float32), volume.affine))
    look = {"title": title, "unit": UNIT, "affine": list(shown.affine), "opacity": 0.75, "range": ends}
    return Picture({**out.volumes, slot: shown}, {**out.looks, slot: look}, out.note)


def _turned(chosen: Chosen) -> Chosen:
    return Chosen(chosen.run, chosen.by, chosen.b, chosen.a, chosen.weights, chosen.found)


def _map(catalog: Catalog, chosen: Chosen, what: str) -> Volume | None:
    table = catalog.table(chosen.run, "maps")
    rows = _of(table, chosen, weights=chosen.weights)
    rows = rows[rows["what"] == what]
    return _read(catalog, chosen.run, str(rows["file"].iloc[0])) if len(rows) else None


def _of(table: pd.DataFrame, chosen: Chosen, *, weights: str | None = None) -> pd.DataFrame:
    keep = (table["by"] == chosen.by) & (table["group"] == chosen.a) & (table["other"].fillna("") == chosen.b)
    return table[keep & (table["weights"] == weights)] if weights is not None else table[keep]


def _read(catalog: Catalog, run: str, relative: str) -> Volume:
    """A map of the run; its header is checked before its voxels are read. A map may be one number everywhere."""
    path: Path = files.inside(catalog.run(run), relative)
    if not path.is_file():
        raise WorkbenchError(f"{path}: is not there", remedy="run `workbench group` again")
    grid = read_grid(path)
    return Volume(np.asarray(nib.load(path).dataobj, np.float32), grid.affine)  # type: ignore[attr-defined]


def level(catalog: Catalog, run: str) -> float:
    return float(catalog.config(run).get("level", 0.05))


def box(catalog: Catalog, run: str) -> list[float]:
    """16 numbers from shares of the frame's brain box to its mm; empty where the run does not tell."""
    ends = catalog.run(run).provenance.get("frame_mm")
    try:
        low, high = (np.array(e, float).reshape(3) for e in ends)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        return []
    matrix = np.diag([*(high - low), 1.0])
    matrix[:3, 3] = low
    return [float(v) for v in matrix.ravel()]


# words and tables ------------------------------------------------------------------------------------------------


def finding_html(catalog: Catalog, chosen: Chosen) -> str:
    """What may be said of the choice: n, the finding of a pair, and what else its groups differ in."""
    from workbench.found.groups import pair_sentence

    groups = catalog.table(chosen.run, "groups")
    mine = groups[groups["by"] == chosen.by].set_index("group")
    known = [g for g in (chosen.a, chosen.b) if g in mine.index]
    n = "; ".join(
        f"{escape(g)}: n = {int(mine.loc[g, 'people'])} people, {int(mine.loc[g, 'scans'])} scans" for g in known
    )
    out = f"<p>{n}.</p>"
    if not chosen.b:
        return out + f"<p>1 is what a place of the brain gets if all get the same ({UNIT}).</p>"
    if chosen.a == chosen.b:
        return out + "<p>Choose two groups, or one.</p>"
    table = catalog.table(chosen.run, "differences")
    rows, turned = _of(table, chosen), False
    if not len(rows):
        rows, turned = _of(table, _turned(chosen)), True
    if not len(rows):
        return out + "<p>These two were not compared: <b>not estimable</b>, see the notes below.</p>"
    for _, row in rows.iterrows():
        strong = str(row["weights"]) == chosen.weights
        told = f"{escape(str(row['weights']))}: {escape(pair_sentence(catalog.run(chosen.run), row, turned=turned))}"
        pairs = int((table["by"] == chosen.by).sum() / max(table["weights"].nunique(), 1))
        if pairs > 1 and pd.notna(row["p_over_pairs"]):
            told += f" (corrected for {pairs} pairs: p = {row['p_over_pairs']:.3f})"
        out += f"<p>{'<b>' + told + '</b>' if strong else told}.</p>"
    confounds = catalog.table(chosen.run, "confounds")
    both = pd.concat([_of(confounds, chosen), _of(confounds, _turned(chosen))])
    return out + "".join(f"<p class='message'>{escape(str(w))}.</p>" for w in both["words"])


def places_html(catalog: Catalog, chosen: Chosen, most: int = 8) -> str:
    """Where a difference is found; empty without one."""
    if not chosen.b:
        return ""
    table = catalog.table(chosen.run, "places")
    rows, sign = _of(table, chosen, weights=chosen.weights), 1
    if not len(rows):
        rows, sign = _of(table, _turned(chosen), weights=chosen.weights), -1
    if not len(rows):
        return ""
    lines = ""
    for r in rows.head(most).itertuples():
        ends = sorted((sign * r.low, sign * r.high))
        interval = f"{sign * r.difference:+.2f} [{ends[0]:+.2f}, {ends[1]:+.2f}]" if np.isfinite(ends).all() else ""
        lines += (
            f"<tr><td>{r.x:+.0f}, {r.y:+.0f}, {r.z:+.0f}</td><td>{escape(str(r.side))}</td><td>{r.ml:.1f}</td>"
            f"<td>{interval}</td><td>{_p(r.p)}</td></tr>"
        ).replace("-", "−")
    more = (
        f"<p class='hint'>and {len(rows) - most} more in the table <code>places</code>.</p>" if len(rows) > most else ""
    )
    return (
        "<h2>Where<small>peaks, which other people will show less</small></h2><table class='dice'><thead><tr>"
        f"<th>x, y, z mm</th><th>side</th><th>ml</th><th>difference [95 %]</th><th>p corrected</th></tr></thead>{lines}"
        f"</table>{more}"
    )


def shares_html(catalog: Catalog, chosen: Chosen) -> str:
    """The table of shares: of one group by its weights, or of two groups and their difference."""
    table = catalog.table(chosen.run, "structures")
    table = table[table["by"] == chosen.by].assign(other=table["other"].fillna(""))
    out = ""
    for kind, title in (("structure", "Structure"), ("octant", "Octant of the box")):
        rows = table[table["kind"] == kind]
        if len(rows):
            out += _pair_table(rows, chosen, title) if chosen.b else _one_table(rows, chosen, title)
    return f"<h2>Share of the attention in the brain, %<small>mean over people [95 % interval]</small></h2>{out}"


def _one_table(rows: pd.DataFrame, chosen: Chosen, title: str) -> str:
    mine = rows[(rows["group"] == chosen.a) & (rows["other"] == "")]
    weights = list(mine["weights"].unique())
    body = ""
    for structure, some in mine.groupby("structure", sort=False):
        by = some.set_index("weights")
        cells = "".join(f"<td>{_ends(by.loc[w], 'share') if w in by.index else '–'}</td>" for w in weights)
        times = by["times"].iloc[0]
        body += f"<tr><td>{_name(structure)}</td>{cells}<td>{times:.2f}</td><td>{int(by['people'].iloc[0])}</td></tr>"
    head = "".join(f"<th>{escape(str(w))}</th>" for w in weights)
    return (
        f"<table class='dice'><thead><tr><th>{title}</th>{head}<th>times its<br>share of brain</th><th>n</th></tr>"
        f"</thead>{body}</table><br>"
    )


def _pair_table(rows: pd.DataFrame, chosen: Chosen, title: str) -> str:
    rows = rows[rows["weights"] == chosen.weights]
    of = {g: rows[(rows["group"] == g) & (rows["other"] == "")].set_index("structure") for g in (chosen.a, chosen.b)}
    apart, sign = rows[(rows["group"] == chosen.a) & (rows["other"] == chosen.b)], 1
    if not len(apart):
        apart, sign = rows[(rows["group"] == chosen.b) & (rows["other"] == chosen.a)], -1
    apart = apart.set_index("structure")
    body = ""
    for structure in of[chosen.a].index:
        cells = "".join(
            f"<td>{_ends(t.loc[structure], 'share') if structure in t.index else '–'}</td>" for t in of.values()
        )
        if structure in apart.index:
            row = apart.loc[structure]
            cells += f"<td>{_ends(row, 'share', sign)}</td><td>{_p(row['p_holm'])}</td>"
            cells += f"<td>{int(row['people'])}/{int(row['people_other'])}</td>"
        else:
            cells += "<td>not estimable</td><td>–</td><td>–</td>"
        body += f"<tr><td>{_name(structure)}</td>{cells}</tr>"
    return (
        f"<table class='dice'><thead><tr><th>{title}</th><th>{escape(chosen.a)}</th><th>{escape(chosen.b)}</th>"
        f"<th>difference</th><th>p (Holm)</th><th>n</th></tr></thead>{body}</table><br>"
    )


def _ends(row: Any, name: str, sign: int = 1) -> str:
    value, low, high = sign * row[name], sign * row[f"{name}_low"], sign * row[f"{name}_high"]
    low, high = min(low, high), max(low, high)
    # adding 0 makes a rounded −0 a 0
    ends = f" [{round(low, 2) + 0:.2f}, {round(high, 2) + 0:.2f}]" if np.isfinite([low, high]).all() else ""
    told = f"{round(value, 2) + 0:.2f}{ends}".replace("-", "−")
    return f"<span style='white-space:nowrap'>{told}</span>"


def _name(structure: object) -> str:
    return escape(str(structure).replace("_", " "))


def _p(p: float) -> str:
    return "–" if pd.isna(p) else "&lt; 0.001" if p < 0.001 else f"{p:.3f}"
