"""One scan's attention in the common frame, and how it divides among structures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from workbench.analysis.config import GroupConfig
from workbench.analysis.group.frames import Frame, brain_corners, from_box, onto
from workbench.analysis.group.registration import brighter, register
from workbench.errors import ScanError, WorkbenchError
from workbench.prepare.store import Store
from workbench.runs import Run
from workbench.runs.parts import Rows
from workbench.volumes import Volume, read_volume, write_volume
from workbench.volumes.regrid import regrid

UNIT = "times the brain's mean"  # attention of a place over the mean of the brain's: 1 is what average brain gets


class ScanMaps:
    """The maps of one kind of weights: the run that wrote them, and the file of each scan."""

    def __init__(self, run: Run, name: str, table: str, head: str) -> None:
        rows = run.read_table(table)
        rows = rows[rows["head"].astype(str) == head]
        if not len(rows):
            there = ", ".join(sorted(run.read_table(table)["head"].astype(str).unique()))
            raise WorkbenchError(
                f"{run.path}: has no maps of head '{head}'", cause=f"it has: {there}", remedy="see --head"
            )
        self.run, self.name = run, name
        self.files = dict(zip(rows["scan_id"].astype(str), rows["file"].astype(str), strict=True))

    def read(self, scan: str) -> Volume:
        if scan not in self.files:
            raise ScanError(f"{scan}: {self.run.path.name} has no map of it", remedy="run `workbench attend` on it too")
        root = self.run.path.resolve()
        path = (root / self.files[scan]).resolve()
        if not path.is_relative_to(root):
            raise ScanError(f"{scan}: its file leads out of the run folder", remedy="was the table changed by hand?")
        if not path.is_file():
            raise ScanError(f"{path}: is not there", remedy="run `workbench attend` again")
        return read_volume(path)


class Warp:
    """What stays the same from scan to scan."""

    def __init__(
        self,
        config: GroupConfig,
        store: Store,
        sources: list[ScanMaps],
        frame: Frame,
        template: Volume | None,
        folder: Path,
        facts: dict[str, Any],
    ) -> None:
        self.config, self.store, self.sources, self.frame, self.template = config, store, sources, frame, template
        self.folder, self.facts = folder, facts

    def scan(self, scan: str) -> Rows:
        brain, grid = self.store.read_brain(scan), self.store.grid(scan)
        there, fit = self.way(scan, brain)
        rows: Rows = {"shares": []}
        row: dict[str, Any] = {"scan_id": scan, "to_scan": there.ravel().tolist(), **fit}
        for number, source in enumerate(self.sources):
            values = regrid(source.read(scan), grid, order=1).data
            if not (level := float(values[brain].mean())) > 0:
                raise ScanError(f"{scan}: its map has no attention in the brain", cause=f"of {source.name}")
            row[f"outside_{number}"] = float(1 - values[brain].sum() / max(float(values.sum()), 1e-12))
            row[f"file_{number}"] = self.save(
                scan, number, onto(Volume(values / level, grid.affine), self.frame, there)
            )
            rows["shares"] += self.shares(scan, source.name, values / level, brain)
        return {"scans": [row], **rows}

    def way(self, scan: str, brain: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """From the frame's mm to the scan's, and how well it fits."""
        there = from_box(self.frame, *brain_corners(brain, self.store.grid(scan)))
        if self.template is None:
            return there, {}
        seen = Volume(brighter(self.store.read(scan).astype(np.float32), brain), self.store.grid(scan).affine)
        there, before, after = register(self.template, seen, there)
        return there, {"information_of_box": -before, "information": -after}

    def save(self, scan: str, number: int, values: np.ndarray) -> str:
        what = "attention" if number == 0 else "attentionbeside"
        file = Path("volumes") / "scans" / f"{scan}_space-{self.config.frame}_desc-{what}_map.nii.gz"
        sidecar = {"weights": self.sources[number].name, "unit": UNIT, **self.facts}
        write_volume(self.folder / file, Volume(values.astype(np.float32), self.frame.grid.affine), sidecar=sidecar)
        return str(file)

    def shares(self, scan: str, weights: str, values: np.ndarray, brain: np.ndarray) -> list[dict[str, Any]]:
        """A row a structure that the scan has labels of: what it holds of the attention in the brain, and that over the
        share of the brain that it is."""
        if not self.store.has_seg(scan):
            return []
        labels, rows = np.where(brain, self.store.read_seg(scan), 0), []
        size = int(labels.max()) + 1
        voxels = np.bincount(labels.ravel(), minlength=size)
        held = np.bincount(labels.ravel(), weights=values.ravel(), minlength=size) / float(values[brain].sum())
        for structure in self.structures:
            codes = [c for c in self.store.codes(scan, structure) if 0 < c < size]
            if self.store.codes(scan, structure) and (n := int(voxels[codes].sum())):
                share = float(held[codes].sum())
                rows.append(
                    {
                        "scan_id": scan,
                        "weights": weights,
                        "structure": structure,
                        "share": share,
                        "times": share / (n / int(brain.sum())),
                    }
                )
        return rows

    @property
    def structures(self) -> list[str]:
        return list(self.config.structures) or sorted(self.store.labels["structure"].astype(str).unique())
