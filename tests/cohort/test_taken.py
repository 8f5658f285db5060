"""Candidates become rows one after another, in their order, and nothing that was read of them stays."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cohort import taken
from workbench.cohort.check import Checked, Task
from workbench.cohort.config import CohortConfig
from workbench.cohort.pictures import VALUES, Pictures
from workbench.cohort.rows import Rows
from workbench.cohort.source import Candidate, Source
from workbench.runs import Run
from workbench.volumes import Grid

GRID = Grid((10, 11, 12), np.diag([2.0, 2.0, 2.0, 1.0]))


def sources(tmp_path, sizes):
    return [
        Source(
            f"set{n}",
            [Candidate(f"set{n}", f"sub-{i}", tmp_path / f"{n}-{i}.nii", values={"age": i}) for i in range(size)],
        )
        for n, size in enumerate(sizes)
    ]


def read(task: Task) -> Checked:
    picture = np.zeros(VALUES, np.float16).tobytes()
    return Checked(GRID, fingerprint=task.path.name, codes=np.array([[1, 5]]), seg_fingerprint="x", picture=picture)


def a_run(folder):
    (folder / "status.json").write_text("{}")
    return Run(folder)


def test_what_was_read_of_a_scan_goes_with_its_row(tmp_path, monkeypatch):
    alive = []

    def counted(task: Task) -> Checked:
        gc.collect()
        alive.append(sum(type(one) in (Checked, Candidate) for one in gc.get_objects()))
        return read(task)

    monkeypatch.setattr(taken, "check", counted)
    before = sum(type(one) in (Checked, Candidate) for one in gc.get_objects())
    mine = sources(tmp_path, [12, 8])
    with Pictures(tmp_path) as pictures:
        rows, seen = taken.take(
            mine, CohortConfig(out=tmp_path, sources=[tmp_path], workers=1), a_run(tmp_path), pictures
        )
    assert len(rows) == 20 and [len(one.codes) for one in seen] == [12, 8] and not mine[0].candidates
    # of the 20 each takes its own with it, but for the one in work and the last
    assert alive[-1] - before <= 4, alive
    assert len({id(codes) for codes in seen[0].codes}) == 1  # one set for all with the same codes


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    broken=st.sets(st.integers(0, 23)),
    late=st.randoms(use_true_random=False),
)
def test_rows_are_in_the_order_of_the_candidates_however_they_come(tmp_path_factory, sizes, broken, late):
    folder = tmp_path_factory.mktemp("taken")
    mine = sources(folder, sizes)
    paths = [str(one.path) for source in mine for one in source.candidates]
    bad = {paths[n] for n in broken if n < len(paths)}

    def several(work, items, workers, name, *, lost, apart):
        """As of three processes: at most three are out, and any of them comes first."""
        out = []
        for item in items:
            out.append(item)
            if len(out) == 3:
                yield work(out.pop(late.randrange(3)))
        late.shuffle(out)
        yield from map(work, out)

    def check(item):
        problems = [("scan", str(item[1].path), "broken", "mend it")]
        return item[0], Checked(problems=problems) if str(item[1].path) in bad else read(item[1])

    with Pictures(folder) as pictures:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(taken, "in_processes", several)
            patch.setattr(taken, "_check_numbered", check)
            rows, _ = taken.take(mine, CohortConfig(out=folder, sources=[folder]), a_run(folder), pictures)
        assert len(pictures) == len(rows)
    table = rows.table()
    assert table["path"].tolist() == [path for path in paths if path not in bad]
    aside = [row["path"] for source in mine for row in source.set_aside]
    assert aside == [path for path in paths if path in bad]
    assert all(row.age == int(row.participant.split("-")[1]) for row in table.itertuples())


def test_a_column_that_comes_late_or_ends_early_is_empty_elsewhere(tmp_path):
    rows = Rows(("T1w",))
    for n, values in enumerate([{"a": "007"}, {"b": "1.5"}, {"b": "2", "a": "8"}]):
        one = Candidate("set", f"sub-{n}", tmp_path / f"{n}.nii", values=values)
        rows.add(one, Checked(GRID, fingerprint=str(n)), f"scan{n}")
    table = rows.table()
    assert table["a"].tolist() == ["007", None, "8"]  # a name, not a number
    assert table["b"].isna().tolist() == [True, False, False] and table["b"].iloc[1:].tolist() == [1.5, 2.0]
