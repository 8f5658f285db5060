"""Maps of groups and pairs on their way to files, and the table of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from workbench.analysis.config import GroupConfig
from workbench.analysis.group import compare
from workbench.analysis.group.frames import Frame
from workbench.analysis.group.warp import UNIT
from workbench.runs import Run
from workbench.stats import bootstrap_map, sign_flip_map
from workbench.volumes import Volume, read_volume, write_volume

ENDS = f"{UNIT}; end of the 95 % interval over people, each place by itself"


class Maps:
    """Maps on their way to files, and the table of them."""

    def __init__(self, run: Run, frame: Frame, inside: np.ndarray, facts: dict[str, Any]) -> None:
        self.run, self.frame, self.inside, self.facts = run, frame, inside, facts
        self.rows: list[dict[str, Any]] = []

    def group(self, by: str, look: compare.Units, group: str, config: GroupConfig) -> None:
        maps = look.maps[look.of(group)].astype(float)
        facts = {"by": by, "group": group, "other": "", "weights": look.weights, "people": len(maps), "people_other": 0}
        self.save("mean", maps.mean(axis=0), facts, UNIT)
        if len(maps) < config.smallest_group:
            return
        for what, values in zip(
            ("low", "high"), bootstrap_map(maps, seed=config.seed, draws=config.draws), strict=True
        ):
            self.save(what, values, facts, ENDS)
        if " - " in look.weights and 2.0 ** (1 - len(maps)) <= config.level:  # what the weights beside do not do
            test = sign_flip_map(maps, seed=config.seed, draws=config.permutations)
            self.save(
                "p_family", test.p_family, facts, "p of a difference, corrected over all places (largest |t|)", 1.0
            )
            self.save("q", test.q, facts, "false-discovery rate (Benjamini & Hochberg)", 1.0)

    def pair(
        self, by: str, look: compare.Units, pair: compare.Pair, config: GroupConfig
    ) -> tuple[dict[str, Any], list[dict[Any, Any]]]:
        """Its row of ``differences``, and its places."""
        sizes = {k: int((look.groups[pair.rows] == g).sum()) for k, g in (("people", pair.a), ("people_other", pair.b))}
        facts = {"by": by, "group": pair.a, "other": pair.b, "weights": look.weights, **sizes}
        row = {
            **facts,
            "estimable": not pair.why,
            "why": pair.why,
            "test": "",
            "found_ml": np.nan,
            "brain_ml": float(self.inside.sum() * self.frame.grid.voxel_ml),
            "p_smallest": np.nan,
            "q_smallest": np.nan,
        }
        if pair.why:
            return row, []
        test, ends, told = compare.compare_maps(look, pair, config)
        places = compare.found_places(test, ends, self.inside, self.frame, config.level)
        for what, values, unit, other in (
            ("difference", test.mean, UNIT, 0.0),
            ("low", ends[0], ENDS, 0.0),
            ("high", ends[1], ENDS, 0.0),
            ("t", test.t, f"t: {told}", 0.0),
            ("p_family", test.p_family, "p, corrected over all places (largest |t| of each permutation)", 1.0),
            ("q", test.q, "false-discovery rate (Benjamini & Hochberg)", 1.0),
        ):
            self.save(what, values, {**facts, "test": told}, unit, other)
        row |= {
            "test": told,
            "found_ml": float((test.p_family <= config.level).sum() * self.frame.grid.voxel_ml),
            "p_smallest": _least(test.p_family),
            "q_smallest": _least(test.q),
        }
        return row, places.to_dict("records")

    def save(self, what: str, values: np.ndarray, facts: dict[str, Any], unit: str, outside: float = 0.0) -> None:
        """Names of groups come from data: files have numbers. What is known nowhere is not written."""
        if not np.isfinite(values).any():
            return
        file = f"volumes/maps/{len(self.rows) + 1:04d}_{what}.nii.gz"
        data = np.full(self.inside.shape, outside, np.float32)
        data[self.inside] = np.nan_to_num(values, nan=outside)
        write_volume(
            self.run.path / file,
            Volume(data, self.frame.grid.affine),
            sidecar={"what": what, **facts, "unit": unit, "outside the brain": outside, **self.facts},
        )
        self.rows.append({**{k: v for k, v in facts.items() if k != "test"}, "what": what, "file": file, "unit": unit})


def _least(p: np.ndarray) -> float:
    return float(np.nanmin(p)) if np.isfinite(p).any() else float("nan")


def read_maps(run: Run, files: pd.Series, inside: np.ndarray) -> np.ndarray:
    """``(scans, V)`` float32."""
    return np.stack([read_volume(run.path / file).data[inside] for file in files])
