"""The job `split`: people of a cohort divided once, so that pretraining and every test agree on who is who."""

from __future__ import annotations

import sys

from workbench.cohort.cohort import load_cohort
from workbench.cohort.config import SplitConfig
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
        split = split_participants(cohort.table, fractions=config.fractions, seed=config.seed, stratify=columns)
        save_split(run.path / "results" / "split.parquet", split)
        people = cohort.table.drop_duplicates("participant").merge(split, on="participant").fillna({"site": UNKNOWN})
        counts = people.groupby(["site", "split"]).size().unstack(fill_value=0)
        print(
            f"people by site and split (stratified by {', '.join(columns) or 'nothing'}):\n{counts.to_string()}",
            file=sys.stderr,
        )
    return run
