"""Does the token of a structure find the same structure in other people? Hit rates by pair of sites, with chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.analysis.config import TokensConfig
from workbench.analysis.query import per_patch, region_mask
from workbench.analysis.tokens.token_grid import BRAIN, TokenGrid, token_grid
from workbench.engine.streams import Purpose, stream
from workbench.model.vit import Encoder
from workbench.prepare.store import Store
from workbench.runs import Run
from workbench.stats import bootstrap_interval, sign_flip_p

HIT = 0.1  # a token is in a structure if it holds at least this share of what the fullest token holds


@dataclass(frozen=True)
class Source:
    """The token of a structure in one scan: the one that holds the most of it."""

    participant: str
    site: str
    structure: str
    vectors: dict[str, np.ndarray]  # weights -> (D,), length 1
    place: np.ndarray  # of the structure, as a share of the scan's box


@dataclass
class Checker:
    """Looks for the tokens of the sources in one target scan after the other."""

    store: Store
    scans: list[str]
    people: dict[str, tuple[str, str]]  # scan -> participant, site
    sources: list[Source]
    structures: tuple[str, ...]

    @classmethod
    def prepare(cls, encoders: dict[str, Encoder], store: Store, config: TokensConfig, run: Run) -> Checker:
        """Choose the source people by the seed and read their tokens."""
        index = store.index
        people = {str(r.scan_id): (str(r.participant), str(r.site)) for r in index.itertuples()}
        scans = [s for s in store.scan_ids if store.has_seg(s) and any(store.codes(s, t) for t in config.structures)]
        if len({people[s][0] for s in scans}) < 2:
            return cls(store, [], people, [], config.structures)
        rng = stream(config.seed, Purpose.LOOKS, 2)
        chosen: list[str] = []
        table = index[index["scan_id"].isin(scans)].drop_duplicates("participant")
        for _, rows in table.groupby("site"):
            take = rng.choice(len(rows), min(config.sources_per_site, len(rows)), replace=False)
            chosen += sorted(rows["scan_id"].iloc[np.sort(take)])
        sources: list[Source] = []
        for scan in chosen:
            grids = {name: token_grid(encoder, store, scan, config.block) for name, encoder in encoders.items()}
            grid = next(iter(grids.values()))
            for structure in config.structures:
                counts = _counts(store, scan, structure, grid)
                if not counts.any():
                    continue
                token = int(counts.argmax())
                place = np.argwhere(region_mask(store, scan, structure)).mean(0) / np.array(store.shape(scan))
                sources.append(Source(*people[scan], structure, {n: g.unit_PD[token] for n, g in grids.items()}, place))
        run.note(correspondence_sources=chosen)
        return cls(store, scans, people, sources, config.structures)

    def check(self, scan: str, weights: str, grid: TokenGrid) -> list[dict[str, Any]]:
        """A row for each source site and structure: how many of the site's tokens find it here."""
        participant, site = self.people[scan]
        candidates = np.flatnonzero(grid.brain >= BRAIN)
        centres = grid.centre(candidates)
        shape = np.array(self.store.shape(scan))
        rows = []
        for structure in self.structures:
            counts = _counts(self.store, scan, structure, grid)[candidates]
            if not counts.any():
                continue
            hit = counts >= HIT * counts.max()
            other = mirrored(structure)
            opposite = _counts(self.store, scan, other, grid)[candidates] if other else np.zeros(len(candidates))
            wrong = (opposite > 0) & (opposite >= HIT * opposite.max()) & ~hit
            middle = np.argwhere(region_mask(self.store, scan, structure)).mean(0)
            found: dict[str, list[tuple[float, ...]]] = {}
            for source in self.sources:
                if source.structure != structure or source.participant == participant:
                    continue
                best = int((grid.unit_PD[candidates] @ source.vectors[weights]).argmax())
                near = int(((centres - source.place * shape) ** 2).sum(1).argmin())
                away = float(np.linalg.norm(centres[best] - middle)) * self.store.spacing
                found.setdefault(source.site, []).append((hit[best], hit[near], wrong[best], away))
            for source_site, results in found.items():
                mean = np.mean(results, axis=0)
                rows.append(
                    {
                        "scan_id": scan,
                        "participant": participant,
                        "target_site": site,
                        "source_site": source_site,
                        "structure": structure,
                        "weights": weights,
                        "sources": len(results),
                        "hit": float(mean[0]),
                        "chance": float(hit.mean()),
                        "hit_by_position": float(mean[1]),
                        "wrong_side": float(mean[2]),
                        "distance_mm": float(mean[3]),
                    }
                )
        return rows


def _counts(store: Store, scan: str, structure: str, grid: TokenGrid) -> np.ndarray:
    """Voxels of a structure in each token's patch; zeros where the scan's labels do not have it."""
    if not store.codes(scan, structure):
        return np.zeros(len(grid.brain))
    return per_patch(region_mask(store, scan, structure, grid.low, grid.high), grid.patch)


def mirrored(structure: str) -> str | None:
    """left_x ↔ right_x; None for a structure without a side."""
    for a, b in (("left_", "right_"), ("right_", "left_")):
        if structure.startswith(a):
            return b + structure.removeprefix(a)
    return None


def site_pairs(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Hit rate by structure, weights, source site and target site, 95 % interval over the target people.

    ``chance`` is the rate of a token of the brain taken at random, ``hit_by_position`` that of the token at the same
    relative place of the brain's box: what is known without looking at the image.
    """
    rows = []
    for names, group in table.groupby(["structure", "weights", "source_site", "target_site"]):
        people = group.groupby("participant")[["hit", "chance", "hit_by_position", "wrong_side", "distance_mm"]].mean()
        low, high = bootstrap_interval(people["hit"].to_numpy(), seed=seed).ends
        gain = (people["hit"] - people["chance"]).to_numpy()
        gain_low, gain_high = bootstrap_interval(gain, seed=seed).ends
        rows.append(
            {
                **dict(zip(("structure", "weights", "source_site", "target_site"), names, strict=True)),
                "people": len(people),
                "hit": people["hit"].mean(),
                "hit_low": low,
                "hit_high": high,
                "chance": people["chance"].mean(),
                "above_chance": gain.mean(),
                "above_chance_low": gain_low,
                "above_chance_high": gain_high,
                "hit_by_position": people["hit_by_position"].mean(),
                "wrong_side": people["wrong_side"].mean(),
                "distance_mm": people["distance_mm"].mean(),
            }
        )
    return pd.DataFrame(rows)


def weights_paired(table: pd.DataFrame, first: str, second: str, seed: int) -> pd.DataFrame:
    """Hit rate with one kind of weights less that with another, in the same target people, 95 % interval over them.

    The intervals of ``site_pairs`` side by side do not tell this: both arms are tried on the same people. Rows by
    structure and pair of sites; those with structure ``all`` are means over the structures, and ``within`` and
    ``between`` sites over the pairs too, each person counting once.
    """
    wide = table.pivot_table(
        index=["participant", "structure", "source_site", "target_site"], columns="weights", values="hit"
    )
    if not {first, second} <= set(wide.columns):
        return pd.DataFrame()
    wide = wide[[first, second]].dropna().reset_index()
    everything = wide.assign(structure="all")
    same = np.where(wide["source_site"] == wide["target_site"], "within", "between")
    parts = [wide, everything, everything.assign(source_site=same, target_site=same)]
    rows = []
    for names, group in pd.concat(parts).groupby(["structure", "source_site", "target_site"]):
        people = group.groupby("participant")[[first, second]].mean()
        change = (people[first] - people[second]).to_numpy()
        low, high = bootstrap_interval(change, seed=seed).ends
        rows.append(
            {
                **dict(zip(("structure", "source_site", "target_site"), names, strict=True)),
                "first": first,
                "second": second,
                "people": len(people),
                "hit_first": people[first].mean(),
                "hit_second": people[second].mean(),
                "difference": change.mean(),
                "low": low,
                "high": high,
                "p_sign_flip": sign_flip_p(change, seed=seed),
            }
        )
    return pd.DataFrame(rows)
