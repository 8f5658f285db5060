"""Does the token of a structure find the same structure in other people? Hit rates by pair of sites, with chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.analysis.config import TokensConfig
from workbench.analysis.tokens.scene import Scene, TokenSet, disturbed, scene_of, token_set
from workbench.columns import at_known_site
from workbench.engine.streams import Purpose, stream
from workbench.errors import WorkbenchError
from workbench.model.contract import AnyEncoder, patch_words
from workbench.predict.token_grid import BRAIN
from workbench.prepare.store import Store
from workbench.runs import Run
from workbench.stats import bootstrap_interval, sign_flip_p

HIT = 0.1  # a token is in a structure if it holds at least this share of what the fullest token holds


@dataclass(frozen=True)
class Wanted:
    """The token of a structure in one scan: the one that holds the most of it."""

    participant: str
    site: str
    structure: str
    vectors: dict[str, np.ndarray]  # weights -> (D,), length 1
    place: np.ndarray  # of the structure, as a share of the scan's box


def _tokens(encoder: AnyEncoder, scene: Scene, config: TokensConfig) -> TokenSet:
    found = token_set(encoder, scene, config.block, config.shifts, config.grids)
    return found.standardised() if config.standardise else found


@dataclass
class Checker:
    """Looks for the wanted tokens in one target scan after the other."""

    encoders: dict[str, AnyEncoder]
    config: TokensConfig
    store: Store
    scans: list[str]
    people: dict[str, tuple[str, str]]  # scan -> participant, site
    wanted: list[Wanted]

    @classmethod
    def prepare(
        cls, encoders: dict[str, AnyEncoder], store: Store, config: TokensConfig, run: Run, only: set[str]
    ) -> Checker:
        """Choose the people whose tokens are looked for by the seed, and read these tokens; of the scans ``only``."""
        index = store.index
        people = {str(r.scan_id): (str(r.participant), str(r.site)) for r in index.itertuples()}
        scans = [
            s
            for s in store.scan_ids
            if s in only and store.has_seg(s) and any(store.codes(s, t) for t in config.structures)
        ]
        if len({people[s][0] for s in scans}) < 2:
            return cls(encoders, config, store, [], people, [])
        rng = stream(config.seed, Purpose.LOOKS, 2)
        chosen: list[str] = []
        table = index[index["scan_id"].isin(scans)].drop_duplicates("participant")
        for _, rows in table[at_known_site(table)].groupby("site"):  # an unknown site is no place to start from
            take = rng.choice(len(rows), min(config.sources_per_site, len(rows)), replace=False)
            chosen += sorted(rows["scan_id"].iloc[np.sort(take)])
        wanted: list[Wanted] = []
        fine = False  # whether a token of any of these scans could be the one that is looked for
        for scan in chosen:
            scene = scene_of(store, scan, config.structures)
            sets = {name: _tokens(encoder, scene, config) for name, encoder in encoders.items()}
            first = next(iter(sets.values()))
            counts = first.counts
            fine |= any(bool((counts[s][first.brain >= BRAIN] > 0).any()) for s in scene.masks)
            for structure, mask in scene.masks.items():
                if not mask.any():
                    continue
                token = int(counts[structure].argmax())
                place = np.argwhere(mask).mean(0) / np.array(mask.shape)
                vectors = {name: found.unit_PD[token] for name, found in sets.items()}
                wanted.append(Wanted(*people[scan], structure, vectors, place))
        if chosen and not fine:
            shape = next(iter(encoders.values())).config
            raise WorkbenchError(
                f"{config.encoder}: its tokens are too coarse to find a structure",
                cause=f"a token of {shape.name} stands for {patch_words(shape)} prepared voxels, and none of those "
                f"that touch {', '.join(config.structures)} is brain to {BRAIN:.0%} or more",
                remedy="prepare finer scans, or use an encoder with finer tokens",
            )
        run.note(correspondence_sources=chosen)
        return cls(encoders, config, store, scans, people, wanted)

    def check(self, scan: str, *, disturb: float = 0.0) -> list[dict[str, Any]]:
        """A row for each site, structure and kind of weights: how many of the site's tokens find it in this scan, as it
        is, or turned by ``disturb`` degrees and cut."""
        sided = {s: mirrored(s) for s in self.config.structures}
        both = tuple(dict.fromkeys([*sided, *(other for other in sided.values() if other)]))
        scene = scene_of(self.store, scan, both)
        if disturb:
            rng = stream(self.config.seed, Purpose.LOOKS, 3, self.store.position(scan))
            scene = disturbed(scene, rng, disturb)
        return [
            row
            for name, encoder in self.encoders.items()
            for row in self._rows(scan, name, scene, _tokens(encoder, scene, self.config))
        ]

    def _rows(self, scan: str, weights: str, scene: Scene, tokens: TokenSet) -> list[dict[str, Any]]:
        participant, site = self.people[scan]
        candidates = np.flatnonzero(tokens.brain >= BRAIN)
        unit_CD, centres, shape = tokens.unit_PD[candidates], tokens.centres[candidates], np.array(scene.volume.shape)
        rows = []
        for structure in self.config.structures:
            counts = tokens.counts.get(structure, np.zeros(len(tokens.brain)))[candidates]
            if not counts.any():
                continue
            hit = counts >= HIT * counts.max()
            opposite = tokens.counts.get(mirrored(structure) or "", np.zeros(len(tokens.brain)))[candidates]
            wrong = (opposite > 0) & (opposite >= HIT * opposite.max()) & ~hit
            middle = np.argwhere(scene.masks[structure]).mean(0)
            found: dict[str, list[tuple[float, ...]]] = {}
            for wanted in self.wanted:
                if wanted.structure != structure or wanted.participant == participant:
                    continue
                best = int((unit_CD @ wanted.vectors[weights]).argmax())
                near = int(((centres - wanted.place * shape) ** 2).sum(1).argmin())
                away = float(np.linalg.norm(centres[best] - middle)) * scene.spacing
                found.setdefault(wanted.site, []).append((hit[best], hit[near], wrong[best], away))
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


def in_short(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """What is told of an encoder in one line: by weights, within a site and between sites, over all structures, each
    person counting once. ``hit``, ``distance_mm`` and ``above_position`` (hit less ``hit_by_position``) have 95 %
    intervals over the target people (``…_low``, ``…_high``)."""
    same = table["source_site"] == table["target_site"]
    table = table.assign(
        sites=np.where(same, "within", "between"), above_position=table["hit"] - table["hit_by_position"]
    )
    plain, told = ["chance", "hit_by_position", "wrong_side"], ["hit", "above_position", "distance_mm"]
    rows = []
    for (weights, sites), group in table.groupby(["weights", "sites"]):
        people = group.groupby("participant")[plain + told].mean()
        row = {"weights": weights, "sites": sites, "people": len(people), **people.mean().to_dict()}
        for name in told:
            row[f"{name}_low"], row[f"{name}_high"] = bootstrap_interval(people[name].to_numpy(), seed=seed).ends
        rows.append(row)
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
