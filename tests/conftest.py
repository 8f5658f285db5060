"""Fixtures every room's tests may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real scans (``oasis1/``, ``ixi/``, …); the test is skipped, saying so, where it is absent."""
    folder = Path(os.environ.get("WORKBENCH_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set WORKBENCH_TEST_DATA to the folder that holds oasis1/, ixi/, …")
    return folder.resolve()
