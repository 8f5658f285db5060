from __future__ import annotations

from pathlib import Path

import pytest

from workbench.cohort import CohortConfig, run_cohort
from workbench.prepare import PrepareConfig
from workbench.testing import write_bids


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Run folder of a cohort of four phantoms with segmentations, stored in three orientations."""
    return make_cohort(tmp_path)


@pytest.fixture
def config(cohort: Path) -> PrepareConfig:
    return PrepareConfig(out=cohort.parent / "store", cohort=cohort, spacing=2, workers=1)


def make_cohort(folder: Path, **bids: object) -> Path:
    write_bids(folder / "toy", **bids)  # type: ignore[arg-type]
    return run_cohort(CohortConfig(out=folder / "cohort", sources=[folder / "toy"], workers=1)).path
