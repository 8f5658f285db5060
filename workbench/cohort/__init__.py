"""Which scans there are, whose they are and where they come from: one checked table, and splits by person."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.cohort.build import run_cohort
    from workbench.cohort.cohort import Cohort, load_cohort
    from workbench.cohort.config import CohortConfig, SplitConfig
    from workbench.cohort.labels import canonical_structure
    from workbench.cohort.split_job import run_split
    from workbench.cohort.splits import load_split, save_split, split_participants

__all__ = [
    "Cohort",
    "CohortConfig",
    "SplitConfig",
    "canonical_structure",
    "load_cohort",
    "load_split",
    "run_cohort",
    "run_split",
    "save_split",
    "split_participants",
]
__getattr__ = lazy.names(
    __name__,
    {
        "CohortConfig": "config",
        "SplitConfig": "config",
        "run_cohort": "build",
        "run_split": "split_job",
        "Cohort": "cohort",
        "load_cohort": "cohort",
        "canonical_structure": "labels",
        **dict.fromkeys(["load_split", "save_split", "split_participants"], "splits"),
    },
)
