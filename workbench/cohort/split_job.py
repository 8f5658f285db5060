"""The job `split`: people of a cohort divided once, so that pretraining and every test agree on who is who."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from workbench.cohort.cohort import load_cohort
from workbench.cohort.config import SplitConfig
from workbench.cohort.ratings import read_ratings, worst
from workbench.cohort.selections import carrying, read_selections
from workbench.cohort.splits import save_split, split_participants
from workbench.columns import UNKNOWN
from workbench.errors import ConfigError
from workbench.runs import Run, start_run


def run_split(config: SplitConfig, *, overwrite: bool = False) -> Run:
    """Write ``results/split.parquet`` (participant, split) and print how many people of each site went where.

    The same cohort, settings and seed always give the same split, so it is made anew at each call.
    """
    cohort = load_cohort(config.cohort)
    if absent := [name for name in config.stratify if name not in cohort.table]:
        raise ConfigError(
            f"{config.cohort}: has no column {', '.join(absent)} to stratify by",
            cause=f"it has: {', '.join(cohort.table.columns)}",
            remedy="check the spelling of --stratify",
        )
    columns = [name for name in config.stratify if cohort.table[name].notna().any()]
    with start_run(
        config,
        overwrite=overwrite,
        seed=config.seed,
        cohort_fingerprint=cohort.fingerprint,
        stratified_by=columns,
        simulated=cohort.simulated,
    ) as run:
        table = cohort.table if config.exclude is None else _without_failed(cohort.table, config.exclude)
        if config.selections is not None:
            table = _as_selected(table, config.selections, config.exclude_named, config.only_named)
        split = split_participants(table, fractions=config.fractions, seed=config.seed, stratify=columns)
        save_split(run.path / "results" / "split.parquet", split)
        people = table.drop_duplicates("participant").merge(split, on="participant").fillna({"site": UNKNOWN})
        counts = people.groupby(["site", "split"]).size().unstack(fill_value=0)
        print(
            f"people by site and split (stratified by {', '.join(columns) or 'nothing'}):\n{counts.to_string()}",
            file=sys.stderr,
        )
    return run


def _without_failed(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The cohort without the people who have a failed scan; says how many, and of whom the file knows nothing."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file", remedy="give the …-ratings.tsv that the explorer's page Check wrote")
    verdicts = worst(read_ratings(path))
    failed = {scan_id for scan_id, verdict in verdicts.items() if verdict == "fail"}
    here = set(table["scan_id"].astype(str))
    out = set(table.loc[table["scan_id"].astype(str).isin(failed), "participant"])
    unknown = f"; {len(failed - here)} failed scans are not of this cohort" if failed - here else ""
    unrated = len(here - set(verdicts))
    print(
        f"left out by {path}: {len(out)} people with {len(failed & here)} failed scans{unknown}"
        + (f"; {unrated} scans have no verdict and stay" if unrated else ""),
        file=sys.stderr,
    )
    return table[~table["participant"].isin(out)]


def _as_selected(table: pd.DataFrame, path: Path, out: tuple[str, ...], only: tuple[str, ...]) -> pd.DataFrame:
    """The cohort without the people of some selections, or of some alone; says how many, and what is not known here."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file", remedy="give the …-selections.tsv that the explorer saved")
    saved, ids = read_selections(path), table["scan_id"].astype(str)
    for names, keep in ((out, False), (only, True)):
        if not names:
            continue
        scans = carrying(saved, names, path)
        people = set(table.loc[ids.isin(scans), "participant"])
        unknown = len(scans - set(ids))
        print(
            f"{'taken alone' if keep else 'left out'} by {path} ({', '.join(names)}): {len(people)} people with "
            f"{len(scans) - unknown} of its scans"
            + (f"; {unknown} of its scans are not among those of this cohort that are left" if unknown else ""),
            file=sys.stderr,
        )
        table = table[table["participant"].isin(people) == keep]
        ids = table["scan_id"].astype(str)
    if not len(table):
        raise ConfigError(
            f"{path}: nobody is left to divide",
            cause=f"left out: {', '.join(out) or 'none'}; taken alone: {', '.join(only) or 'none'}",
            remedy="choose other selections",
        )
    return table
