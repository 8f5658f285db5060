"""The report of a cohort as one HTML file that opens offline, with a mosaic of mid-slices a site."""

from __future__ import annotations

import base64
import io
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.cohort.source import Remark
from workbench.cohort.summary import HEADINGS, counts, headline, summary
from workbench.errors import WorkbenchError
from workbench.runs import replacing
from workbench.volumes import canonical, read_volume

SHOWN_SITES = 24
SHOWN_SCANS = 4  # of a site
EDGE = 150  # pixels of a slice's longer side
ROWS = 500  # of what was set aside


def write_page(folder: Path, table: pd.DataFrame, set_aside: pd.DataFrame, remarks: list[Remark]) -> Path:
    """Write ``folder/report.html``; everything in it that comes from somebody's disk is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("workbench.cohort", "."), autoescape=True, undefined=StrictUndefined)
    path = folder / "report.html"
    with replacing(path) as partial:
        partial.write_text(
            environment.get_template("page.html").render(
                title=headline(table),
                summary=summary(table),
                simulated=bool(table["simulated"].any()),
                set_aside=set_aside.head(ROWS).to_dict("records"),
                set_aside_count=counts(set_aside) if len(set_aside) else "",
                set_aside_more=max(0, len(set_aside) - ROWS),
                remarks=[
                    (heading, [str(remark) for remark in remarks if remark.kind == kind])
                    for kind, heading in HEADINGS.items()
                ],
                sites=_sites(table),
                more_sites=max(0, table["site"].nunique(dropna=False) - SHOWN_SITES),
            ),
            encoding="utf-8",
        )
    return path


def _sites(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Of the first sites: name, people, and mid-slices of some scans spread over them."""
    shown = []
    sites = table[["scan_id", "participant", "path", "scanner"]]  # a copy of all columns would be the whole cohort
    by_site = sites.groupby(table["site"].fillna("site unknown").astype(str), sort=False)
    for site, scans in islice(by_site, SHOWN_SITES):
        one = scans.drop_duplicates("participant")
        places = np.unique(np.linspace(0, len(one) - 1, min(SHOWN_SCANS, len(one))).astype(int))
        pictures = [
            {"scan_id": row.scan_id, "slices": slices}
            for row in one.iloc[places].itertuples()
            if (slices := mid_slices(Path(row.path)))
        ]
        shown.append(
            {
                "name": site,
                "people": int(scans["participant"].nunique()),
                "scans": len(scans),
                "scanners": ", ".join(sorted({str(s) for s in scans["scanner"].dropna() if s})[:4]),
                "pictures": pictures,
            }
        )
    return shown


def mid_slices(path: Path) -> list[dict[str, Any]]:
    """Sagittal, coronal and axial slice through the middle of the head, as PNG with the millimetres' aspect.

    The patient's right is on the left of coronal and axial slices, as radiologists look at them; the marks say so.
    """
    try:
        volume = canonical(read_volume(path))
    except WorkbenchError:  # it was there a minute ago; the report is no reason to fail
        return []
    data = volume.data
    bright = data > 0.2 * np.percentile(data, 98)
    centre = [
        int(np.average(np.arange(n), weights=w))
        if (w := bright.sum(axis=tuple(a for a in range(3) if a != axis))).any()
        else n // 2
        for axis, n in enumerate(data.shape)
    ]
    low, high = np.percentile(data[bright], [1, 99]) if bright.any() else (0.0, 1.0)
    out = []
    for name, axis, marks in (("sagittal", 0, ("P", "A")), ("coronal", 1, ("R", "L")), ("axial", 2, ("R", "L"))):
        plane = np.take(data, centre[axis], axis=axis)  # (first, second) of the axes that are left
        first, second = (s for a, s in enumerate(volume.spacing) if a != axis)
        if axis != 0:
            plane = plane[::-1]  # RAS: the first axis runs to the right of the patient
        # rows from the top down; sagittal: columns run from posterior to anterior
        out.append({"name": name, "png": _png(plane.T[::-1], first, second, low, high), "marks": marks})
    return out


def _png(plane: np.ndarray, width_mm: float, height_mm: float, low: float, high: float) -> str:
    from PIL import Image

    grey = np.clip((plane - low) / max(high - low, 1e-6), 0, 1)
    image = Image.fromarray((255 * grey).astype(np.uint8))
    width, height = plane.shape[1] * width_mm, plane.shape[0] * height_mm
    scale = EDGE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BILINEAR).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
