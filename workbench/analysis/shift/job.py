"""How far sites are apart in an embedding, and how much of it is left after age and sex, or after ComBat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from workbench.analysis import inputs as made_from
from workbench.analysis.config import ShiftConfig
from workbench.analysis.embed.vectors import open_embed
from workbench.analysis.shift import measures, spaces
from workbench.analysis.shift.task import task_by_distance, task_by_person, task_by_site, tested_people
from workbench.columns import at_known_site
from workbench.engine.streams import Purpose, stream
from workbench.extras import require
from workbench.runs import Run, finished, start_run
from workbench.stats import bootstrap_interval


def run_shift(config: ShiftConfig, *, overwrite: bool = False) -> Run:
    """Tables, the unit of all being a person (at a site), ``space`` being what was compared:

    - ``shift``: measure, value, low, high (95 % over people), chance, p, people, sites, by space;
    - ``site_pairs``: MMD² and energy distance of each pair of sites with p and Holm's p, by space;
    - ``mixing``: share of neighbours of the same site, by site and space;
    - ``predictions``: the site that was named for each held-out person, by space;
    - ``task``: performance by site beside the distance from the training people, where ``task`` is given;
    - ``task_people``, ``task_distance``: the same by person, and how score and distance go together, over everybody and
      within each site, with intervals.

    What was left out (small sites, people without covariates, a space that cannot be computed) is in ``notes``.
    """
    embed, scans, vectors = open_embed(config.embed, config.token)
    inputs = made_from.shift(config)
    task = Run(config.task).require_ok() if config.task is not None else None
    if not overwrite and (done := finished(config, inputs)):
        return done
    if config.combat:
        require("neuroHarmonize", "neuroCombat", "statsmodels", extra="combat", instead="--combat false")
    units = spaces.make_units(
        scans, vectors, site=config.site, covariates=config.covariates, smallest=config.smallest_site
    )
    facts = {
        "seed": config.seed,
        "embed": str(config.embed),
        "encoder": embed.config["encoder"],
        "init": embed.config.get("init", "pretrained"),
        "simulated": embed.simulated,
    }
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        tables: dict[str, list[dict[str, Any]]] = {"shift": [], "mixing": [], "predictions": []}
        pairs: list[pd.DataFrame] = []
        notes = [f"site {s} is left out: {n} people" for s, n in units.left_out.items()]
        if unknown := scans.loc[~at_known_site(scans, config.site), "participant"].nunique():
            notes.append(f"{unknown} people are left out: their {config.site} is not known")
        for name, some, fit in chosen_spaces(units, config, notes):
            try:
                pairs.append(compare(name, some, fit, config, tables, notes).assign(space=name))
            except np.linalg.LinAlgError as error:
                notes.append(f"{name}: not computed ({error}): a covariate and the site go together")
        for table, rows in tables.items():
            run.write_table(table, pd.DataFrame(rows))
        run.write_table("site_pairs", pd.concat(pairs, ignore_index=True))
        if task is not None:
            tested = tested_people(task, scans, vectors, config)
            if (trained := int(tested.vectors.index.isin(tested.trained).sum())) > len(tested.reference):
                notes.append(f"task: distances are from {len(tested.reference)} of {trained} training people")
            run.write_table("task", task_by_site(tested, config.seed))
            run.write_table("task_people", people := task_by_person(tested))
            run.write_table("task_distance", task_by_distance(people, config.seed))
        run.write_table("notes", pd.DataFrame({"note": notes}, dtype=object))
    return run


def chosen_spaces(
    units: spaces.Units, config: ShiftConfig, notes: list[str]
) -> list[tuple[str, spaces.Units, spaces.Fit]]:
    """Name, people and transform of each space; people who lack a covariate are only in the first."""
    out = [("as it is", units, spaces.as_it_is(units))]
    some = units
    for column in sorted(set(config.covariates) - {n.split("=")[0] for n in units.names}):
        notes.append(f"{column}: nothing is known, or everybody is alike")
    known = np.isfinite(units.covariates).all(axis=1)
    if units.names and not known.all():
        sizes = pd.Series(units.sites[known]).value_counts()
        large = known & np.isin(units.sites, sizes[sizes >= config.smallest_site].index.to_numpy(str))
        lost = sorted(set(units.sites) - set(units.sites[large]))
        notes.append(
            f"{int((~large).sum())} of {len(large)} people lack {' or '.join(config.covariates)} and are left "
            "out where these are used" + (f"; all of {', '.join(lost)}" if lost else "")
        )
        some = units.take(np.flatnonzero(large))
    usable = bool(units.names) and len(set(some.sites)) >= 2
    if usable:
        if some is not units:
            out.append(("as it is, people with covariates", some, spaces.as_it_is(some)))
        out.append(
            (f"without {', '.join(dict.fromkeys(n.split('=')[0] for n in units.names))}", some, spaces.regressed(some))
        )
    elif units.names:
        notes.append("fewer than two sites know the covariates: nothing is regressed out")
    if config.combat:
        target = (
            some
            if usable
            else spaces.Units(units.table, units.vectors, np.empty((len(units.table), 0)), (), units.left_out)
        )
        out.append(("ComBat", target, spaces.combat(target, config.seed)))
        notes.append(f"ComBat keeps: {', '.join(target.names) or 'nothing'}")
    return out


def compare(
    name: str,
    units: spaces.Units,
    fit: spaces.Fit,
    config: ShiftConfig,
    tables: dict[str, list[dict[str, Any]]],
    notes: list[str],
) -> pd.DataFrame:
    """All measures of one space; rows are added to ``tables``, what was done of fewer people to ``notes``, the pairs of
    sites returned."""
    folds = spaces.folds_of(units, config.folds, config.seed)
    named, sites = measures.predict_site(units, fit, folds), units.sites
    facts: dict[str, Any] = {"space": name, "people": len(set(units.people)), "sites": len(set(sites))}
    rows = tables["shift"]

    def add(
        measure: str, value: float, low: float = np.nan, high: float = np.nan, chance: float = np.nan, p: float = np.nan
    ) -> None:
        rows.append({**facts, "measure": measure, "value": value, "low": low, "high": high, "chance": chance, "p": p})

    right = named == sites
    add(
        "site predicted (balanced accuracy)",
        *measures.balanced_accuracy(right, sites, seed=config.seed),
        chance=1 / facts["sites"],
    )
    tables["predictions"] += [
        {"space": name, "participant": person, "site": site, "named": said}
        for person, site, said in zip(units.people, sites, named, strict=True)
    ]
    vectors = spaces.held_out(units, fit, folds)
    rng = stream(config.seed, Purpose.LOOKS, 6)
    drawn = drawn_rows(sites, config.most_people, config.smallest_site, rng)
    vectors, sites = vectors[drawn], sites[drawn]
    if len(drawn) < len(named):
        facts["people"] = len(set(units.people[drawn]))
        notes.append(f"{name}: distances, silhouette and mixing are of {len(drawn)} of {len(named)} people")
    found = measures.distances(vectors, sites, permutations=config.permutations, rng=rng)
    for measure, (value, p) in found.overall.items():
        add(f"{measure}, mean over pairs", value, chance=0.0, p=p)
    from sklearn.metrics import silhouette_samples

    silhouette = silhouette_samples(vectors, sites)
    add(
        "silhouette of sites",
        float(silhouette.mean()),
        *bootstrap_interval(silhouette, seed=config.seed).ends,
        chance=0.0,
    )
    same, expected = measures.mixing(vectors, sites, config.neighbours)
    add(
        f"same site among {min(config.neighbours, len(vectors) - 1)} nearest",
        float(same.mean()),
        *bootstrap_interval(same, seed=config.seed).ends,
        chance=float(expected.mean()),
    )
    tables["mixing"] += [{"space": name, **row} for row in measures.mixing_by_site(same, expected, sites, config.seed)]
    return found.pairs


def drawn_rows(sites: np.ndarray, most: int, smallest: int, rng: np.random.Generator) -> np.ndarray:
    """Rows that distances are taken between: all, or ``most`` drawn, and of a site that is then there with fewer than
    ``smallest`` as many more (there is no distance within a site of one)."""
    rows = np.arange(len(sites))
    if len(rows) <= most:
        return rows
    drawn = rng.choice(rows, most, replace=False)
    for site in np.unique(sites):
        if (lacks := smallest - int((sites[drawn] == site).sum())) > 0:
            left = np.setdiff1d(np.flatnonzero(sites == site), drawn)
            drawn = np.concatenate([drawn, rng.choice(left, min(lacks, len(left)), replace=False)])
    return np.sort(drawn)
