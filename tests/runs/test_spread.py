"""Scans in processes of their own: results are those of one process, and a shard that failed is done again alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest

from tests.prepare.conftest import make_cohort
from workbench.cohort import CohortConfig, run_cohort
from workbench.errors import WorkbenchError
from workbench.prepare import PrepareConfig, run_prepare
from workbench.runs import Run, start_run
from workbench.runs.parts import Parts, over_scans
from workbench.runs.spread import Shard, SpreadConfig, _cut, _write, as_shard
from workbench.runs.tables import read_parquet
from workbench.standing import collect
from workbench.standing import told as told_of
from workbench.volumes import Volume, read_volume, write_volume

SCANS = [f"scan-{i}" for i in range(7)]


class Toy(SpreadConfig):
    job: ClassVar[str] = "toy"


def do(config: Toy, tables: tuple[str, ...] = ("rows",)) -> Run:
    """A job over scans: a row a scan, and one scan that cannot be used."""

    def work(scan: str) -> dict[str, list[dict[str, object]]]:
        if scan == "scan-4":
            raise WorkbenchError("no good", cause="none", remedy="none")
        return {"rows": [{"scan_id": scan, "value": float(scan[-1])}]}

    with start_run(config, inputs={"a": "1"}) as run:
        over_scans(run, SCANS, work, tables, config, desc="test")
    return run


def test_parts_of_shards_in_any_order_give_what_one_process_gives(tmp_path: Path) -> None:
    whole = do(Toy(out=tmp_path / "whole"))
    spread = Toy(out=tmp_path / "spread")
    with pytest.raises(KeyboardInterrupt), start_run(spread, inputs={"a": "1"}):
        raise KeyboardInterrupt  # whoever was asked has begun the run, and is not needed for what follows
    for shard in (
        Shard("bbb", 5, ("scan-5", "scan-6")),
        Shard("ccc", 1, ("scan-1", "scan-3", "scan-4")),
        Shard("ddd", 2, ("scan-2", "scan-3")),  # scan-3 twice: two shards that did not know of each other
    ):
        with as_shard(shard):
            do(spread)
    assert Parts(Run(spread.out)).look() == set(SCANS) - {"scan-0"}
    assert not (spread.out / "results").exists()  # a shard does its scans and nothing else
    run = do(spread)
    for table in ("rows", "set_aside"):
        pd.testing.assert_frame_equal(run.read_table(table), whole.read_table(table))
    assert not (run.path / "parts").exists()


def test_a_shard_refuses_other_inputs_than_the_run_began_with(tmp_path: Path) -> None:
    config = Toy(out=tmp_path / "run")
    with (
        start_run(config, inputs={"a": "2"}),
        as_shard(Shard("x", 0, ("scan-0",))),
        pytest.raises(WorkbenchError, match="other inputs"),
    ):
        do(config)


def test_how_a_job_is_done_goes_to_another_process_as_json(tmp_path: Path) -> None:
    config = Toy.build({"out": tmp_path, "executor": "slurm", "slurm": {"hours": 2, "extra": {"nodelist": "n1"}}})
    assert "slurm" not in config.to_yaml()
    assert Toy.build({"out": tmp_path, **json.loads(json.dumps(config.how()))}) == config


def test_shards_are_neighbours_and_as_even_as_can_be(tmp_path: Path) -> None:
    left = [(i, scan) for i, scan in enumerate(SCANS) if i != 2]
    assert [[i for i, _ in part] for part in _cut(left, Toy(out=tmp_path, executor="local", shards=4))] == [
        *([0], [1, 3], [4], [5, 6]),
    ]
    assert len(_cut(left, Toy(out=tmp_path, executor="local", shards=50))) == 6
    assert _cut([], Toy(out=tmp_path, executor="slurm")) == []


def test_prepare_in_processes_and_through_slurm_of_which_one_job_is_killed(tmp_path: Path, slurm: Path) -> None:
    cohort = make_cohort(tmp_path, people=3, spacing=(6, 6, 6), shape=(22, 26, 20))
    settings = {"cohort": cohort, "spacing": 4, "workers": 1}
    one = run_prepare(PrepareConfig(out=tmp_path / "one", **settings))
    local = run_prepare(PrepareConfig(out=tmp_path / "local", executor="local", shards=2, **settings))
    (slurm / "die").write_text("1")
    config = PrepareConfig(out=tmp_path / "array", executor="slurm", shards=3, **settings)
    with pytest.raises(WorkbenchError, match="1 of 3 shards ended before") as told:
        run_prepare(config)
    assert "1 of 3 scans" in told.value.cause and Run(config.out).status["state"] == "failed"
    words, well = told_of(config.out)
    assert "2 of 3 scans; shards: 2 done, 1 ended" in words and not well
    with pytest.raises(WorkbenchError, match="not all scans are done"):
        collect(config.out)
    (slurm / "die").write_text("none")
    (config.out / "scans" / f".partial-{os.getpid()}-a.npy").touch()  # of a job that was killed, on another node
    array = run_prepare(config)
    assert (slurm / "arrays").read_text().split() == ["2", "0"]  # three jobs, then the one that was left
    for run in (local, array):
        assert (run.read_table("index")["key"] == one.read_table("index")["key"]).all()
        assert {p.name for p in (run.path / "scans").iterdir()} == {p.name for p in (one.path / "scans").iterdir()}
        assert run.provenance["n"] == 3 and not (run.path / "parts").exists()
    assert not json.loads((tmp_path / "array" / "status.json").read_text()).get("why")


def test_what_came_is_joined_without_the_command_and_not_if_the_cohort_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = make_cohort(tmp_path, people=2, spacing=(6, 6, 6), shape=(22, 26, 20))
    config = PrepareConfig(out=tmp_path / "store", cohort=cohort, spacing=4, workers=1, executor="local")
    found: list[set[str]] = []

    def stopped(run: Run, scans: list[str], done: Callable[[], set[str]], *_: object, **__: object) -> None:
        """Whoever was asked goes before what is left of its shards ends."""
        found.append(done())
        (run.path / "shards").mkdir(exist_ok=True)
        for place, scan in enumerate(scans):
            if scan not in found[-1]:
                shard = _write(run.path / "shards", [(place, scan)], config)
                with as_shard(shard):
                    run_prepare(config)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("workbench.prepare.prepare.spread", stopped)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run_prepare(config)
        everybody = set(read_parquet(cohort / "results" / "scans.parquet")["scan_id"])
        assert found == [set(), everybody]
        scan = next((tmp_path / "toy").glob("sub-*/**/*_T1w.nii.gz"))
        image = read_volume(scan)
        write_volume(scan, Volume(image.data * 2, image.affine))
        run_cohort(CohortConfig(out=cohort, sources=[tmp_path / "toy"], workers=1), overwrite=True)
        with pytest.raises(KeyboardInterrupt):
            run_prepare(config)
        assert found[2] == set(), "a scan may be another since"
    assert "2 of 2 scans; shards: " in told_of(config.out)[0] and "workbench collect" in told_of(config.out)[0]
    joined = collect(config.out)
    assert joined.ok and len(joined.read_table("index")) == 2 and not (config.out / "shards").exists()
    whole = run_prepare(PrepareConfig(out=tmp_path / "whole", cohort=cohort, spacing=4, workers=1))
    assert joined.read_table("index")["key"].tolist() == whole.read_table("index")["key"].tolist()
    assert told_of(config.out)[1] and collect(config.out).ok
