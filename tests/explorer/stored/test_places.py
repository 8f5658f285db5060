"""A message for the browser names no place on the server; sessions share what is merged."""

from pathlib import Path

import pandas as pd

from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored.places import without_places


def test_paths_are_named_as_in_the_runs_folder_or_by_their_last_name(tmp_path: Path) -> None:
    text = (
        f"{tmp_path}/embed/results/scans.parquet: cannot be read\n"
        "  cause:  /home/me/data/a.nii.gz is gone (1/2 of 3/4)\n"
        "  remedy: see https://example.org/a/b and `workbench embed --out work/embed`"
    )
    told = without_places(text, tmp_path)
    assert str(tmp_path) not in told and "/home/me" not in told
    assert told.startswith("embed/results/scans.parquet: cannot be read") and "…/a.nii.gz is gone (1/2 of 3/4)" in told
    assert "https://example.org/a/b" in told and "--out work/embed" in told


def test_a_damaged_table_is_told_without_its_place(own_runs: Path) -> None:
    (own_runs / "segment" / "results" / "dice.parquet").write_bytes(b"no table")
    state = ExplorerState(own_runs)
    assert "cannot be read" in state.message
    assert str(own_runs) not in without_places(state.message, state.runs_folder)


def test_sessions_share_a_merged_cohort_until_a_table_changes(own_runs: Path) -> None:
    one, two = ExplorerState(own_runs), ExplorerState(own_runs)
    assert one.cohort is two.cohort and one.ids_joined is two.ids_joined and len(one.cohort) == 4
    table = own_runs / "embed" / "results" / "scans.parquet"
    pd.read_parquet(table).iloc[:3].to_parquet(table)
    assert len(ExplorerState(own_runs).cohort) == 3 and len(one.cohort) == 4
