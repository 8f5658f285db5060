"""Patch tokens compared between scans: heat maps, correspondence checked against labels, and colours from a PCA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from workbench.analysis import inputs as made_from
from workbench.analysis.config import TokensConfig
from workbench.analysis.facts import facts_of, random_beside, require_block
from workbench.analysis.tokens.correspond import Checker, in_short, site_pairs, weights_paired
from workbench.analysis.tokens.rgb import Colours, write_rgb
from workbench.cohort.splits import tested_people
from workbench.engine.device import pick_device
from workbench.engine.streams import Purpose, stream
from workbench.errors import ConfigError, WorkbenchError
from workbench.finetune.assignment import seen_people
from workbench.model.contract import AnyEncoder
from workbench.model.encode import open_matching
from workbench.predict.query import parse_query
from workbench.predict.token_grid import BRAIN, TokenGrid, query_vector, token_grid
from workbench.prepare.restore import to_source_space
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run
from workbench.runs.parts import Rows, over_scans
from workbench.volumes import write_volume


def run_tokens(config: TokensConfig, *, overwrite: bool = False) -> Run:
    """Maps in each scan's own space: ``volumes/<scan>_desc-similarity_map.nii.gz`` (cosine of each token with the
    query's) and ``<scan>_desc-tokens_rgb.nii.gz``; and the tables

    - ``maps``: scan_id, kind, file, and for a heat map where it is largest (world mm) and how large;
    - ``correspondence``: by target scan, source site, structure and weights: hit rate over the sources, chance;
    - ``site_pairs``: the same by pair of sites, with intervals over the target people;
    - ``weights_paired``: the hit rates with random weights subtracted person by person, with intervals;
    - ``in_short``: hit rate, distance, and hit rate above that of the same place in the box, within and between sites;
    - with ``--disturb`` each of these four again in turned and cut scans: ``correspondence_disturbed``, …;
    - ``colours``: the principal components' share of variance; their axes are in ``reference/colours.safetensors``.
    """
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    inputs = made_from.looked_at(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    only = set(store.scan_ids)
    if config.split is not None:
        only &= set(store.index.loc[store.index["participant"].isin(tested_people(config.split)), "scan_id"])
    query = parse_query(config.query)
    if config.source and query.kind not in ("voxel", "region"):
        raise ConfigError(f"query '{config.query}': not a place", remedy="write voxel:X,Y,Z or region:NAME")
    require_block(config.block, encoder.config.depth)
    if not (config.source or config.rgb or config.structures):
        raise ConfigError("nothing to do", cause="no --source, no --rgb and no --structures", remedy="ask for one")
    chosen = set(config.scans)
    for scan in (*config.scans, *([config.source] if config.source else [])):
        store.position(scan)
    facts = facts_of(config, store, card)
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        encoder = encoder.to(pick_device(config.accelerator))
        encoders: dict[str, AnyEncoder] = {config.init: encoder}
        if config.sanity and config.structures:
            encoders["random beside"] = random_beside(config, card).to(pick_device(config.accelerator))
        checker = Checker.prepare(encoders, store, config, run, only)
        labelled = set(checker.scans)
        maps = _Maps(config, encoder, store, run)
        mapped = [s for s in store.scan_ids if s in only and (not chosen or s in chosen)]
        wanted = [s for s in store.scan_ids if s in labelled or (s in set(mapped) and maps.any)]
        if not wanted:
            raise WorkbenchError(
                f"{config.store}: nothing can be compared",
                cause=f"no two people with labels of {', '.join(config.structures)}",
                remedy="choose other --structures, or ask for maps with --source or --rgb",
            )

        def work(scan: str) -> Rows:
            rows: Rows = {"maps": []}
            if maps.any and scan in mapped:
                rows["maps"] = maps.write(scan, token_grid(encoder, store, scan, config.block, config.grids))
            if scan in labelled:
                rows["correspondence"] = checker.check(scan)
                if config.disturb:
                    rows["correspondence_disturbed"] = checker.check(scan, disturb=config.disturb)
            return rows

        checks = ["", "_disturbed"] if config.disturb else [""]
        tables = (["maps"] if maps.any else []) + [f"correspondence{kind}" for kind in checks]
        over_scans(run, wanted, work, tables, config, desc="tokens")
        for kind in checks:
            if f"correspondence{kind}" in run.tables():
                table = run.read_table(f"correspondence{kind}")
                run.write_table(f"site_pairs{kind}", site_pairs(table, config.seed))
                run.write_table(f"in_short{kind}", in_short(table, config.seed))
                for other in list(encoders)[1:]:
                    paired = weights_paired(table, config.init, other, config.seed)
                    if len(paired):
                        run.write_table(f"weights_paired{kind}", paired)
        if config.split is not None:
            looked = {checker.people[scan][0] for scan in wanted}
            seen = seen_people(store.index.assign(split="test"), card)
            run.note(participants={"test": sorted(looked)}, transductive=bool(set(seen) & looked))
        run.note(mapped=len(mapped) if maps.any else 0, labelled=len(labelled))
    return run


class _Maps:
    """Heat maps and colours of one scan after the other."""

    def __init__(self, config: TokensConfig, encoder: AnyEncoder, store: Store, run: Run) -> None:
        self.config, self.store, self.run, self.encoder = config, store, run, encoder
        self.any = bool(config.source) or config.rgb
        self.vector: np.ndarray | None = None
        self.colours: Colours | None = None
        self.sidecar = {
            "encoder": str(config.encoder),
            "init": config.init,
            "block": config.block,
            "grids": config.grids,
            "interpolation": "nearest",
        }
        if config.source:
            grid = token_grid(encoder, store, config.source, config.block, config.grids)
            self.vector = query_vector(grid, parse_query(config.query), store, config.source)
        if config.rgb:
            rng = stream(config.seed, Purpose.LOOKS, 1)
            ids = store.scan_ids
            reference = sorted(rng.choice(len(ids), min(config.reference_scans, len(ids)), replace=False).tolist())
            self.colours = Colours.fit(
                encoder, store, [ids[i] for i in reference], config.block, config.seed, config.grids
            )
            run.write_table("colours", self.colours.save(run.path / "reference"))

    def write(self, scan: str, grid: TokenGrid) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        own, source = self.store.grid(scan), self.store.source_grid(scan)
        sidecar = {**self.sidecar, "simulated": bool(self.store.index["simulated"].iloc[self.store.position(scan)])}
        if self.vector is not None:
            similar = grid.unit_PD @ self.vector
            best = int(np.where(grid.brain >= BRAIN, similar, -np.inf).argmax())
            x, y, z = (round(float(v), 2) for v in own.to_world(grid.centre(best)))
            file = Path("volumes") / f"{scan}_desc-similarity_map.nii.gz"
            write_volume(
                self.run.path / file,
                to_source_space(grid.voxels(similar, own.shape), own, source, order=0),
                sidecar={**sidecar, "query": self.config.query, "source": self.config.source, "unit": "cosine"},
            )
            rows.append(
                {
                    "scan_id": scan,
                    "kind": "similarity",
                    "file": str(file),
                    "largest": float(similar[best]),
                    "x_mm": x,
                    "y_mm": y,
                    "z_mm": z,
                }
            )
        if self.colours is not None:
            brain = self.store.read_brain(scan)
            channels = [np.where(brain, grid.voxels(c, own.shape), 0) for c in self.colours.of(grid).T]
            file = Path("volumes") / f"{scan}_desc-tokens_rgb.nii.gz"
            write_rgb(
                self.run.path / file,
                [to_source_space(c, own, source, order=0) for c in channels],
                sidecar={**sidecar, "unit": "principal components 1, 2, 3 as red, green, blue"},
            )
            rows.append(
                {
                    "scan_id": scan,
                    "kind": "rgb",
                    "file": str(file),
                    "largest": float("nan"),
                    "x_mm": float("nan"),
                    "y_mm": float("nan"),
                    "z_mm": float("nan"),
                }
            )
        return rows
