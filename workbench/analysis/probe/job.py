"""What patch tokens know of a structure, as far as a linear model can say it: few labelled people of one site, tested
on everybody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score
from tqdm.auto import tqdm

from workbench.analysis import inputs as made_from
from workbench.analysis.config import ProbeConfig
from workbench.analysis.facts import facts_of, random_beside, require_block
from workbench.analysis.probe.linear import Probe, fit_probe
from workbench.analysis.tokens.correspond import HIT
from workbench.analysis.tokens.scene import scene_of, token_set
from workbench.cohort.splits import tested_people
from workbench.columns import at_known_site
from workbench.engine.device import pick_device
from workbench.engine.streams import Purpose, stream
from workbench.errors import ConfigError, WorkbenchError
from workbench.model.contract import AnyEncoder
from workbench.model.encode import open_matching
from workbench.predict.token_grid import BRAIN
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run
from workbench.stats import bootstrap_interval, sign_flip_p

TOLD = ("average_precision", "hit", "distance_mm")


@dataclass(frozen=True)
class Labelled:
    """Brain tokens of one scan ``(P, D)`` and, by structure, which of them are in it and how far (mm) each lies from
    its middle."""

    participant: str
    site: str
    tokens_PD: np.ndarray
    inside: dict[str, np.ndarray]
    away_mm: dict[str, np.ndarray]


@dataclass(frozen=True)
class Lesson:
    """Who is learnt from, and who is tested: names of people."""

    train_site: str
    labelled: str  # how many people, in words
    draw: int
    learnt: tuple[str, ...]
    tested: tuple[str, ...]


def run_probe(config: ProbeConfig, *, overwrite: bool = False) -> Run:
    """Tables, over all encoders on the same people:

    - ``probe``: by test person, structure, weights, training site, labelled people and draw: ``average_precision`` of
      the tokens' scores, ``hit`` (1 where the best token is in the structure), ``distance_mm`` from it to the
      structure's middle, ``chance`` (the average precision of scores that know nothing), the penalty chosen;
    - ``in_short``: the same by weights, labelled people, within and between sites, 95 % intervals over test people;
    - ``weights_paired``: the first encoder less each other, person by person, with intervals.
    """
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    inputs = made_from.probe(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    require_block(config.block, encoder.config.depth)
    first = _name(config.encoder, config.init)
    encoders: dict[str, AnyEncoder] = {first: encoder}
    for other in config.against:
        name = _name(other, "pretrained")
        if name in encoders:
            raise ConfigError(f"--against {other}: two encoders are called '{name}'", remedy="rename one's folder")
        encoders[name] = open_matching(config.store, other, init="pretrained", seed=config.seed)[1]
    if config.sanity:
        encoders["random beside"] = random_beside(config, card)
    people = _people(store, config)
    lessons = _lessons(people, config)
    if not lessons:
        raise WorkbenchError(
            f"{config.store}: nothing to learn from",
            cause=f"no site has two people with labels of {', '.join(config.structures)}",
            remedy="choose other --structures, or smaller --labelled",
        )
    facts = facts_of(config, store, card) | {"first": first}
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        rows: list[dict[str, Any]] = []
        unended = 0
        with tqdm(total=len(encoders) * len(lessons), desc="probe", unit="fit") as bar:
            for name, one in encoders.items():
                read = _read(one.eval().to(pick_device(config.accelerator)), store, people, config)
                for lesson in lessons:
                    found, ended = _learn(name, lesson, read, config)
                    rows += found
                    unended += not ended
                    bar.update()
        table = pd.DataFrame(rows)
        table["sites"] = np.where(table["site"] == table["train_site"], "within", "between")
        run.write_table("probe", table)
        run.write_table("in_short", in_short(table, config.seed))
        run.write_table("weights_paired", weights_paired(table, first, config.seed))
        sizes = people.groupby("site")["participant"].nunique()
        too_few = {site: [n for n in config.labelled if n >= size] for site, size in sizes.items()}
        run.note(
            people=int(people["participant"].nunique()),
            unended=unended,
            # without all structures, at an unknown site, or not on the tested side
            scans_left_out=len(store.scan_ids) - len(people),
            sites_with_too_few_people={site: counts for site, counts in too_few.items() if counts},
        )
    return run


def _name(encoder: object, init: str) -> str:
    return "random" if init == "random" else str(getattr(encoder, "name", encoder))


def _people(store: Store, config: ProbeConfig) -> pd.DataFrame:
    """scan_id, participant, site of every scan whose labels have all the structures, at a known site, on the tested
    side of a split if one is given."""
    index = store.index
    kept = [s for s in store.scan_ids if store.has_seg(s) and all(store.codes(s, t) for t in config.structures)]
    table = index[index["scan_id"].isin(kept)]
    if config.split is not None:
        table = table[table["participant"].isin(tested_people(config.split))]
    return table[at_known_site(table)][["scan_id", "participant", "site"]].astype(str).sort_values("scan_id")


def _lessons(people: pd.DataFrame, config: ProbeConfig) -> list[Lesson]:
    """By training site: all its people but a fold's, each fold in turn; and ``draws`` times a few of them.

    Somebody who was scanned at the training site and elsewhere is tested nowhere while learnt from.
    """
    everybody = sorted(people["participant"].unique())
    lessons = []
    for number, (site, rows) in enumerate(people.groupby("site")):
        rng = stream(config.seed, Purpose.LOOKS, 4, number)
        own = np.array(sorted(rows["participant"].unique()))
        taken: list[tuple[str, int, set[str]]] = []
        for count in config.labelled:
            if count == 0 and len(own) >= 2:
                fold = rng.permutation(len(own)) % min(config.folds, len(own))
                taken += [("all", i, set(own[fold != i])) for i in range(fold.max() + 1)]
            elif 0 < count < len(own):
                taken += [(str(count), i, set(rng.choice(own, count, replace=False))) for i in range(config.draws)]
        for labelled, draw, learnt in taken:
            tested = tuple(p for p in everybody if p not in learnt)
            lessons.append(Lesson(str(site), labelled, draw, tuple(sorted(learnt)), tested))
    return lessons


def _read(encoder: AnyEncoder, store: Store, people: pd.DataFrame, config: ProbeConfig) -> dict[str, list[Labelled]]:
    """Each person's scans."""
    read: dict[str, list[Labelled]] = {}
    for row in people.itertuples():
        scene = scene_of(store, str(row.scan_id), config.structures)
        tokens = token_set(encoder, scene, config.block, config.shifts, config.grids)
        if config.standardise:
            tokens = tokens.standardised()
        brain = tokens.brain >= BRAIN
        inside, away = {}, {}
        for structure, mask in scene.masks.items():
            counts = tokens.counts[structure][brain]
            if counts.any():
                inside[structure] = counts >= HIT * counts.max()
                middle = np.argwhere(mask).mean(0)
                away[structure] = np.linalg.norm(tokens.centres[brain] - middle, axis=1) * scene.spacing
        scan = Labelled(str(row.participant), str(row.site), tokens.unit_PD[brain], inside, away)
        read.setdefault(scan.participant, []).append(scan)
    return read


def _learn(
    weights: str, lesson: Lesson, read: dict[str, list[Labelled]], config: ProbeConfig
) -> tuple[list[dict[str, Any]], bool]:
    rows, ended = [], True
    for number, structure in enumerate(config.structures):
        learnt = [
            scan
            for p in lesson.learnt
            for scan in read[p]
            if scan.site == lesson.train_site and structure in scan.inside
        ]
        if not learnt:
            continue
        rng = stream(config.seed, Purpose.LOOKS, 5, lesson.draw, number)
        probe = fit_probe([s.tokens_PD for s in learnt], [s.inside[structure] for s in learnt], rng)
        ended &= probe.ended
        for participant in lesson.tested:
            by_site: dict[str, list[dict[str, float]]] = {}
            for scan in read[participant]:
                if structure in scan.inside:
                    by_site.setdefault(scan.site, []).append(_told(probe, scan, structure))
            for site, told in by_site.items():
                rows.append(
                    {
                        "participant": participant,
                        "site": site,
                        "structure": structure,
                        "weights": weights,
                        "train_site": lesson.train_site,
                        "labelled": lesson.labelled,
                        "learnt_from": len(lesson.learnt),
                        "draw": lesson.draw,
                        **{name: float(np.mean([one[name] for one in told])) for name in told[0]},
                        "penalty": probe.penalty,
                    }
                )
    return rows, ended


def _told(probe: Probe, scan: Labelled, structure: str) -> dict[str, float]:
    inside, scores = scan.inside[structure], probe.score(scan.tokens_PD)
    best = int(scores.argmax())
    return {
        "average_precision": float(average_precision_score(inside, scores)),
        "hit": float(inside[best]),
        "distance_mm": float(scan.away_mm[structure][best]),
        "chance": float(inside.mean()),
    }


def in_short(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """By weights, labelled people, within and between sites; a person counts once, whatever the draws, structures and
    training sites; 95 % intervals over the people."""
    rows = []
    for (weights, labelled, sites), group in table.groupby(["weights", "labelled", "sites"], sort=False):
        people = group.groupby("participant")[[*TOLD, "chance"]].mean()
        row = {"weights": weights, "labelled": labelled, "sites": sites, "people": len(people)}
        row |= {"learnt_from": group["learnt_from"].mean(), "chance": people["chance"].mean()}
        for name in TOLD:
            row[name] = people[name].mean()
            row[f"{name}_low"], row[f"{name}_high"] = bootstrap_interval(people[name].to_numpy(), seed=seed).ends
        rows.append(row)
    return pd.DataFrame(rows)


def weights_paired(table: pd.DataFrame, first: str, seed: int) -> pd.DataFrame:
    """The first encoder's average precision and hits less each other's, in the same people after the same lessons."""
    keys = ["participant", "structure", "train_site", "labelled", "draw", "sites"]
    rows = []
    for name in ("average_precision", "hit"):
        wide = table.pivot_table(index=keys, columns="weights", values=name).reset_index()
        for other in [w for w in table["weights"].unique() if w != first]:
            for (labelled, sites), group in wide.groupby(["labelled", "sites"], sort=False):
                people = group.groupby("participant")[[first, other]].mean().dropna()
                change = (people[first] - people[other]).to_numpy()
                if not len(change):
                    continue
                low, high = bootstrap_interval(change, seed=seed).ends
                rows.append(
                    {
                        "measure": name,
                        "first": first,
                        "second": other,
                        "labelled": labelled,
                        "sites": sites,
                        "people": len(change),
                        "difference": change.mean(),
                        "low": low,
                        "high": high,
                        "p_sign_flip": sign_flip_p(change, seed=seed),
                    }
                )
    return pd.DataFrame(rows)
