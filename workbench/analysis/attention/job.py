"""Attention of any query in any block as NIfTI in the scan's own space, and what it must be held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.analysis import inputs as made_from
from workbench.analysis.attention.mass import nested_sets
from workbench.analysis.attention.sanity import BESIDE as RANDOM
from workbench.analysis.attention.sanity import (
    OUTLIER,
    mass_summary,
    norm_facts,
    outside_summary,
    region_mass,
    robust_z,
)
from workbench.analysis.config import AttendConfig
from workbench.analysis.facts import facts_of, random_beside, require_block
from workbench.cohort.splits import tested_people
from workbench.engine.device import pick_device
from workbench.engine.streams import Purpose, stream
from workbench.errors import ConfigError, WorkbenchError
from workbench.finetune.assignment import seen_people
from workbench.model.contract import AnyEncoder, require
from workbench.model.encode import open_matching
from workbench.predict.passes import Maps, Reading, enlarge, scan_maps
from workbench.predict.query import Query, parse_query, region_mask
from workbench.prepare.restore import to_source_space
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run
from workbench.runs.parts import Rows, over_scans
from workbench.volumes import Grid, Volume, write_volume

UNIT = "times uniform"  # attention of a patch times the number of patches: 1 is what a token gets if all get the same


def run_attend(config: AttendConfig, *, overwrite: bool = False) -> Run:
    """``volumes/<scan>_desc-attnmean_map.nii.gz``, one map a head, one of random weights (``attnmeanrandom``) and one
    of token norms (``tokennorm``), each with its sidecar; and the tables

    - ``attention``: scan_id, head, file, block, outside_brain (share of the attention), outside_if_even (what that
      would be if every place that was looked at got the same);
    - ``attention_random``: the same for random weights of the same architecture;
    - ``outside_summary``: that share over people, by site and weights, with intervals and the paired difference;
    - ``cumulated``: with ``--cumulated``, the share of the brain in the smallest set of each share of the attention
      (maps ``attnsets`` and ``attnsetsrandom``);
    - ``token_norms``: how many tokens of each scan have outlying norms, and where;
    - ``region_mass``: attention in each region against volume-matched regions at random places, by scan;
    - ``region_summary``: the same over people, with intervals;
    - ``set_aside``: scans in which the query has no place, where there are any.
    """
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    inputs = made_from.looked_at(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    scans = list(config.scans) or store.scan_ids
    people = dict(zip(store.index["scan_id"], store.index["participant"], strict=True))
    if config.split is not None:
        only = tested_people(config.split)
        scans = [scan for scan in scans if people.get(scan) in only]
        if not scans:
            raise WorkbenchError(f"{config.split}: no scan of its tested people", remedy="see --split and --scans")
    for scan in scans:
        store.position(scan)  # an unknown name is an error before anything is written
    require(encoder.config, "attention", "attend")
    query, depth = parse_query(config.query), encoder.config.depth
    if config.block != "rollout":
        require_block(config.block, depth)
    if query.register > encoder.config.registers:
        raise ConfigError(
            f"register {query.register}: the encoder has {encoder.config.registers}", remedy="choose another --query"
        )
    facts = facts_of(config, store, card)
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        device = pick_device(config.accelerator)
        chance = random_beside(config, card) if config.sanity else None
        job = _Attend(
            config,
            store,
            encoder.to(device),
            None if chance is None else chance.to(device),
            query,
            run.path,
            inputs["encoder"],
        )
        tables = ["attention", "attention_random", "token_norms", "region_mass"]
        over_scans(run, scans, job.scan, [*tables, "cumulated"] if config.cumulated else tables, config, desc="attend")
        if config.split is not None:
            looked = {people[scan] for scan in scans}
            seen = seen_people(store.index.assign(split="test"), card)
            run.note(participants={"test": sorted(looked)}, transductive=bool(set(seen) & looked))
        shares = [run.read_table("attention").query("head == 'mean'").assign(weights=config.init)]
        if config.sanity:
            shares.append(run.read_table("attention_random").assign(weights=RANDOM))
        run.write_table("outside_summary", outside_summary(pd.concat(shares), store.index, config.seed))
        if "region_mass" in run.tables():
            run.write_table("region_summary", mass_summary(run.read_table("region_mass"), people, config.seed))
    return run


class _Attend:
    """What stays the same from scan to scan."""

    def __init__(
        self,
        config: AttendConfig,
        store: Store,
        encoder: AnyEncoder,
        chance: AnyEncoder | None,
        query: Query,
        folder: Path,
        digest: str,
    ) -> None:
        self.config, self.store, self.encoder, self.chance = config, store, encoder, chance
        self.query, self.folder = query, folder
        self.reading = Reading(
            config.block, config.field, config.overlap, config.merge, config.shifts, config.interpolation
        )
        depth = encoder.config.depth
        self.block = "rollout" if config.block == "rollout" else config.block % depth
        reads = {
            "whole": "one pass over the whole scan, positions interpolated",
            "windows": f"windows of {encoder.config.size_xyz} voxels, overlap {config.overlap:g}, weights "
            f"{config.merge}",
        }
        self.sidecar = {
            "encoder": str(config.encoder),
            "encoder_digest": digest,
            "block": self.block,
            "query": str(query),
            "interpolation": config.interpolation,
            "field_of_view": reads[config.field],
            "shifts": config.shifts,
            "unit": UNIT,
            "patch_mm": [p * store.spacing for p in encoder.config.patch_xyz],
        }

    def scan(self, scan: str) -> Rows:
        maps = scan_maps(self.encoder, self.store, scan, self.query, self.reading)
        rows: Rows = {
            "attention": self.write(scan, maps, self.config.init, ""),
            "token_norms": [self.write_norms(scan, maps)],
        }
        masses = self.masses(scan, maps, self.config.init)
        sets = self.sets(scan, maps, self.config.init, "")
        if self.chance is not None:
            other = scan_maps(self.chance, self.store, scan, self.query, self.reading)
            rows["attention_random"] = self.write(scan, other, "random", "random")
            masses += self.masses(scan, other, RANDOM)
            sets += self.sets(scan, other, RANDOM, "random")
        return rows | {"region_mass": masses} | ({"cumulated": sets} if self.config.cumulated else {})

    def sets(self, scan: str, maps: Maps, weights: str, suffix: str) -> list[dict[str, Any]]:
        """The mean's nested sets as a map, and a row a level."""
        levels = self.config.cumulated
        if not levels:
            return []
        sets, shares = nested_sets(maps.values.mean(axis=0), self.store.read_brain(scan), levels)
        file = self.save(
            scan,
            f"attnsets{suffix}",
            sets,
            "nearest",
            {
                "init": weights,
                "head": "mean",
                "levels": list(levels),
                "brain_share": shares,
                "unit": "smallest share of the attention in the brain whose smallest set holds the voxel; 0: none",
            },
        )
        return [
            {"scan_id": scan, "weights": weights, "level": level, "brain_share": share, "file": file}
            for level, share in zip(levels, shares, strict=True)
        ]

    def write(self, scan: str, maps: Maps, init: str, suffix: str) -> list[dict[str, Any]]:
        """The mean's map, and each head's of the encoder itself; a row for each."""
        named = {"mean": maps.values.mean(axis=0)}
        shares = {"mean": float(maps.outside_brain.mean())}
        if self.config.heads and not suffix and self.block != "rollout":
            named |= {str(h + 1): v for h, v in enumerate(maps.values)}
            shares |= {str(h + 1): float(s) for h, s in enumerate(maps.outside_brain)}
        rows = []
        for head, values in named.items():
            label = f"attnmean{suffix}" if head == "mean" else f"attnhead{head}{suffix}"
            facts = {"init": init, "head": head, "outside_brain": shares[head], "passes": maps.passes}
            file = self.save(scan, label, values, self.config.interpolation, facts)
            rows.append(
                {
                    "scan_id": scan,
                    "head": head,
                    "file": file,
                    "block": self.block,
                    "outside_brain": shares[head],
                    "outside_if_even": maps.outside_if_even,
                }
            )
        return rows

    def write_norms(self, scan: str, maps: Maps) -> dict[str, Any]:
        """Robust z of each token's norm as a map, so that outliers are seen where they are."""
        patch, (low, high) = self.encoder.config.patch_xyz, maps.box
        grid = (high - low) // np.array(patch)
        tokens = torch.from_numpy(robust_z(maps.norms, maps.brain)).float().view(1, *grid.tolist())
        z = enlarge(tokens, patch, "nearest")[0].numpy()
        values = np.zeros(self.store.shape(scan), np.float32)
        a, b = np.maximum(low, 0), np.minimum(high, values.shape)
        values[tuple(map(slice, a, b))] = z[tuple(map(slice, a - low, b - low))]
        facts = norm_facts(maps.norms, maps.brain)
        file = self.save(
            scan,
            "tokennorm",
            values,
            "nearest",
            {
                "init": self.config.init,
                "unit": "robust standard deviations of the norm after the last block, of brain tokens",
                "outlier": f"above {OUTLIER:g}",
                "pass": "the first" if maps.passes > 1 else "the only one",
                **facts,
            },
        )
        return {"scan_id": scan, **facts, "file": file}

    def masses(self, scan: str, maps: Maps, weights: str) -> list[dict[str, Any]]:
        """A row a region that the scan has labels of."""
        if not self.config.sanity or not self.store.has_seg(scan):
            return []
        rows, values, brain = [], maps.values.mean(axis=0), self.store.read_brain(scan)
        for number, region in enumerate(self.config.regions):
            if not self.store.codes(scan, region):
                continue
            rng = stream(self.config.seed, Purpose.LOOKS, self.store.position(scan), number)
            mass = region_mass(values, region_mask(self.store, scan, region), brain, self.config.placed, rng)
            if mass is not None:
                rows.append({"scan_id": scan, "region": region, "weights": weights, **mass})
        return rows

    def save(self, scan: str, label: str, values: np.ndarray, interpolation: str, facts: dict[str, Any]) -> str:
        """Write a map of the prepared grid in the scan's own space; the path relative to the run."""
        file = Path("volumes") / f"{scan}_desc-{label}_map.nii.gz"
        simulated = bool(self.store.index["simulated"].iloc[self.store.position(scan)])
        volume = in_source_space(values, self.store.grid(scan), self.store.source_grid(scan), interpolation)
        write_volume(self.folder / file, volume, sidecar={**self.sidecar, **facts, "simulated": simulated})
        return str(file)


def in_source_space(values: np.ndarray, grid: Grid, source: Grid, interpolation: str) -> Volume:
    return to_source_space(values, grid, source, order=0 if interpolation == "nearest" else 1, fill=0.0)
