"""How much people change per year."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from workbench.analysis import inputs as made_from
from workbench.analysis.change import distances
from workbench.analysis.change.numbers import of_columns, of_table
from workbench.analysis.change.page import write_page
from workbench.analysis.change.times import EVERYBODY, NEAR, with_groups, with_years
from workbench.analysis.config import ChangeConfig
from workbench.analysis.reliability.quantities import Quantities, of_each, of_run, those_asked_for
from workbench.analysis.reliability.tables import components
from workbench.errors import ConfigError
from workbench.extras import require
from workbench.found.years import PER_YEAR
from workbench.runs import Run, finished, start_run
from workbench.stats import bootstrap_interval, change_per_year, holm

EMBEDDING, COMPONENT = "embedding", "component"
WHO = ["run", "kind", "group", "other"]
COLUMNS = {
    "slopes": [
        *WHO, "name", "value", "low", "high", "p", "p_holm", "people", "scans", "method", "why", "spread", "across",
        "across_low", "across_high",
    ],
    "summary": [*WHO, "measure", "value", "low", "high", "p", "people", "scans"],
    "people": ["run", "participant", "group", "first_age", "scans", "years", "moved", "moved_per_year", "direction"],
    "courses": ["run", "kind", "name", "participant", "group", "years", "value"],
}  # fmt: skip
Rows = dict[str, list[dict[str, Any]]]


def run_change(config: ChangeConfig, *, overwrite: bool = False) -> Run:
    """Tables, ``run`` being what was measured; of people who were scanned at two times or more:

    - ``slopes``: a row a principal component, structure, score or column, for everybody (``group`` empty), each group,
      and each two groups (``other``: minus that one): value, low, high (95 % over people) per year, p, ``p_holm``
      corrected over the names of the kind, by which method, ``spread`` between people, and ``across``: what people of
      different ages differ by per year. Of volumes and scores in their own unit, of a component in standard deviations
      of people;
    - ``summary``: how far people move in an embedding, in distances between two people, and whether they move alike;
    - ``people``: the same by person, with their group: "CN → AD" is somebody in whom it changed;
    - ``courses``: the measurements that slopes are of;
    - ``notes``: who was left out and why, which column told the years, in whom the label changed.

    Beside them ``report.html``.
    """
    require("statsmodels", extra="mixed")
    inputs = made_from.change(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    with start_run(config, overwrite=overwrite, inputs=inputs, seed=config.seed) as run:
        notes: list[str] = []
        rows: Rows = {name: [] for name in COLUMNS}
        measured = _measured(config, notes)
        of_each(measured, lambda one: _follow(one, config, rows, notes), notes)
        tables = {name: pd.DataFrame(some, columns=COLUMNS[name]) for name, some in rows.items()}
        tables["slopes"]["p_holm"] = tables["slopes"].groupby(WHO, sort=False)["p"].transform(lambda p: holm(p))
        for name, table in tables.items():
            run.write_table(name, table)
        run.write_table("notes", pd.DataFrame({"note": list(dict.fromkeys(notes))}, dtype=object))
        run.note(
            simulated=any(one.simulated for one in measured),
            transductive=any(one.transductive for one in measured),
            participants={"test": sorted(set(tables["courses"]["participant"]))},
        )
        write_page(run)
    return run


def _measured(config: ChangeConfig, notes: list[str]) -> list[Quantities]:
    """What the runs hold of the people asked for, and once the further numbers of their scans."""
    found: list[Quantities] = []
    for path in config.runs:
        for one in of_run(path, config):
            chosen, said = those_asked_for(one, config, set())
            notes += said
            found.append(chosen)
    more = of_columns(found[0], config.columns)
    if config.table is not None:
        listed, said = of_table(found[0], config.table)
        notes += said
        more += listed
    return found + more


def _follow(one: Quantities, config: ChangeConfig, rows: Rows, notes: list[str]) -> None:
    """All tables of one kind of numbers."""
    scans, said = with_years(one.scans, config.time, one.run)
    notes += said
    scans, said = with_groups(scans, config.group, one.run)
    notes += said
    place = {name: i for i, name in enumerate(one.scans["scan_id"])}
    values = one.values[[place[scan] for scan in scans["scan_id"]]]
    scans, values = _by_time(scans, values)
    chosen, said = _groups(scans, config, one.run)
    notes += said
    about = {"run": one.run, "kind": one.kind}
    names: tuple[str, ...] = one.names
    if one.kind == EMBEDDING:
        spread = values.std(axis=0)
        kept = spread > 1e-9
        standard = (values[:, kept] - values[:, kept].mean(0)) / spread[kept]
        _move(about, standard, scans, chosen, config, rows)
        values = _components(standard, scans, config.components)
        names, about = tuple(f"component {i + 1}" for i in range(values.shape[1])), {**about, "kind": COMPONENT}
    for i, name in enumerate(names):
        rows["courses"] += [
            {**about, "name": name, "participant": p, "group": g, "years": y, "value": v}
            for p, g, y, v in zip(scans["participant"], scans["group"], scans["years"], values[:, i], strict=True)
        ]
        for group, other in chosen:
            use, first = _rows_of(scans, group, other)
            age = scans["first_age"].to_numpy(float)[use]
            try:
                found = change_per_year(
                    values[use, i],
                    scans["years"].to_numpy(float)[use],
                    scans["participant"].to_numpy(str)[use],
                    first=first,
                    age=age if np.isfinite(age).all() else None,
                )
            except ValueError as error:
                notes.append(f"{one.run}, {name}: no change of {group or 'everybody'} is told: {error}")
                continue
            told = {column: getattr(found, column) for column in COLUMNS["slopes"] if hasattr(found, column)}
            rows["slopes"].append(
                {
                    **about, "group": group, "other": other, "name": name, **told,
                    "value": found.estimate, "scans": found.rows,
                }
            )  # fmt: skip


def _move(
    about: dict[str, Any],
    standard: np.ndarray,
    scans: pd.DataFrame,
    chosen: list[tuple[str, str]],
    config: ChangeConfig,
    rows: Rows,
) -> None:
    moved = distances.of_people(standard, scans)
    people = moved.people
    rows["people"] += [{"run": about["run"], **row} for row in people.to_dict("records")]
    for group, other in chosen:
        who = {**about, "group": group, "other": other}
        if not other:
            mine = np.ones(len(people), bool) if group == EVERYBODY else (people["group"] == group).to_numpy()
            rows["summary"] += [{**who, **row} for row in distances.told(moved, mine, config.seed)]
            continue
        both = people[people["group"].isin([group, other])]
        table = np.stack([both["moved_per_year"], both["group"] == group], axis=1).astype(float)
        found = bootstrap_interval(
            table,
            statistic=lambda t: t[t[:, 1] == 1, 0].mean() - t[t[:, 1] == 0, 0].mean(),
            strata=table[:, 1],
            seed=config.seed,
            draws=distances.DRAWS,
        )
        rows["summary"].append(
            {
                **who, "measure": PER_YEAR, "value": found.estimate, "low": found.low, "high": found.high,
                "p": np.nan, "people": len(both), "scans": int(both["scans"].sum()),
            }
        )  # fmt: skip


def _by_time(scans: pd.DataFrame, values: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Scans that a person has of one day are averaged: a row a person and time."""
    step = scans["years"].div(NEAR).round()
    code = scans.groupby(["participant", step], sort=True).ngroup().to_numpy()
    counts = np.bincount(code)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, code, values)
    first = pd.Series(np.arange(len(code))).groupby(code).first().to_numpy()
    return scans.iloc[first].reset_index(drop=True), sums / counts[:, None]


def _groups(scans: pd.DataFrame, config: ChangeConfig, where: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Of whom a change is told: everybody, each group that is large enough, and each two of them."""
    sizes = scans.drop_duplicates("participant")["group"].value_counts()
    sizes = sizes[sizes.index != EVERYBODY]
    if unknown := [name for name in config.groups if name not in sizes]:
        raise ConfigError(
            f"{where}: no group '{unknown[0]}' in {config.group or 'no column'}",
            cause=f"there are: {', '.join(f'{name} ({n})' for name, n in sizes.items()) or 'none'}",
            remedy="choose another of --groups",
        )
    asked = list(config.groups) or list(sizes.index)
    large = [name for name in asked if sizes[name] >= config.smallest_group]
    notes = [
        f"{where}: {name}: {sizes[name]} people, a group needs {config.smallest_group}: not estimable"
        for name in asked
        if name not in large
    ]
    if len(sizes) < 2:  # the one group is everybody
        return [(EVERYBODY, "")], notes
    return [(EVERYBODY, ""), *((name, "") for name in large), *combinations(large, 2)], notes


def _rows_of(scans: pd.DataFrame, group: str, other: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows of a group (everybody: all), or of two with which of them are the first's."""
    if group == EVERYBODY:
        return np.ones(len(scans), bool), None
    mine = (scans["group"] == group).to_numpy()
    if not other:
        return mine, None
    use = mine | (scans["group"] == other).to_numpy()
    return use, mine[use]


def _components(standard: np.ndarray, scans: pd.DataFrame, most: int) -> np.ndarray:
    """Principal components in standard deviations between people's first scans; years raise each on the whole, so that
    its sign, which is anybody's choice, is the same in every run."""
    scores = components(standard, most)
    first = scans.sort_values("years", kind="stable").drop_duplicates("participant").index.to_numpy()
    scores = scores / scores[first].std(axis=0, ddof=1)
    apart = scans["years"] - scans.groupby("participant")["years"].transform("mean")
    return scores * np.where(apart.to_numpy(float) @ scores < 0, -1.0, 1.0)
