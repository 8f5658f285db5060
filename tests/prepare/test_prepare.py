"""The job: what is written, what is redone, and what survives a kill."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from tests.prepare.conftest import make_cohort
from workbench.cohort import CohortConfig, run_cohort
from workbench.errors import ConfigError, WorkbenchError
from workbench.prepare import PrepareConfig, open_store, plan_prepare, run_prepare
from workbench.runs import Run
from workbench.testing import HIPPOCAMPI_MM, MARKER_MM, phantom
from workbench.volumes import Volume


def scan_files(run: Run) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted((run.path / "scans").iterdir())}


def times(run: Run) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in sorted((run.path / "scans").iterdir())}


def test_a_cohort_becomes_a_store(config: PrepareConfig, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_prepare(config)
    assert run.ok and run.job == "prepare" and not run.simulated
    index = run.read_table("index")
    assert len(index) == 4 and index["has_seg"].all() and index["scan_id"].is_monotonic_increasing
    assert {"participant", "site", "sex", "age", "px", "affine", "source_affine", "key"} <= set(index.columns)
    assert list(run.read_table("labels")["structure"]) == ["right_hippocampus", "left_hippocampus"]
    assert run.read_table("set_aside").empty
    assert "mask: nonzero (skull-stripped" in capsys.readouterr().err
    store = open_store(run.path)
    for scan in store.scan_ids:
        data, seg, grid = store.read(scan).astype(float), store.read_seg(scan), store.grid(scan)
        assert np.abs(grid.to_world(np.argwhere(data > 0.8 * data.max())).mean(axis=0) - MARKER_MM).max() < 1
        for structure, code in (("right_hippocampus", 1), ("left_hippocampus", 2)):
            assert store.codes(scan, structure) == [code]
            assert np.abs(grid.to_world(np.argwhere(seg == code)).mean(axis=0) - HIPPOCAMPI_MM[code]).max() < 1
        sidecar = json.loads((run.path / "scans" / f"{scan}.json").read_text())
        assert sidecar["mask"] == "nonzero" and sidecar["std"] > 0 and np.allclose(sidecar["affine"], grid.affine)


def test_a_second_run_touches_no_file_and_says_so(config: PrepareConfig) -> None:
    before = times(run_prepare(config))
    again = run_prepare(config)
    assert times(again) == before
    assert again.provenance["made"] == 0 and again.provenance["kept"] == 4


def test_one_process_or_several_write_the_same_store(config: PrepareConfig) -> None:
    one = run_prepare(config)
    two = run_prepare(config.model_copy(update={"out": config.out.with_name("two"), "workers": 2}))
    assert scan_files(one) == scan_files(two)
    assert (one.read_table("index")["key"] == two.read_table("index")["key"]).all()


def test_only_what_changed_is_redone(config: PrepareConfig) -> None:
    before = times(run_prepare(config))
    scan = config.cohort.parent / "toy" / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    image = nib.load(scan)
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj) * np.float32(1.01), image.affine), scan)
    os.utime(scan, (1, 1))  # the contents count, not the date
    remake_cohort(config)
    run = run_prepare(config)
    after = times(run)
    assert {n for n in after if after[n] != before[n]} == {f"toy_sub-02{s}" for s in (".npy", ".seg.npy", ".json")}
    assert run.provenance["made"] == 1


def remake_cohort(config: PrepareConfig) -> None:
    sources = [config.cohort.parent / "toy"]
    run_cohort(CohortConfig(out=config.cohort, sources=sources, workers=1), overwrite=True)


@pytest.mark.parametrize("kind", ["image of another person", "segmentation", "image by a rerun"])
def test_a_file_that_changed_since_the_cohort_is_set_aside(config: PrepareConfig, kind: str) -> None:
    """Under its old fingerprint two people would share an image, and no guard on seen scans would see it."""
    toy = config.cohort.parent / "toy"
    if kind == "image by a rerun":
        run_prepare(config)
    if kind == "segmentation":
        first, second = sorted((toy / "derivatives").rglob("*_dseg.nii.gz"))[:2]
    else:
        first, second = sorted(toy.glob("sub-*/anat/*_T1w.nii.gz"))[:2]
    shutil.copy(first, second)
    run = run_prepare(config)
    aside = run.read_table("set_aside").set_index("scan_id")
    assert list(aside.index) == ["toy_sub-02"] and "toy_sub-02" not in open_store(run.path).scan_ids
    assert "changed since the cohort was made" in aside.loc["toy_sub-02", "cause"]
    assert str(second) in aside.loc["toy_sub-02", "cause"] and "workbench cohort" in aside.loc["toy_sub-02", "remedy"]


def test_a_touched_or_moved_source_is_not_redone(config: PrepareConfig) -> None:
    before = times(run_prepare(config))
    for file in (config.cohort.parent / "toy").rglob("*.nii.gz"):
        os.utime(file)
    assert times(run_prepare(config)) == before


@pytest.mark.parametrize("damage", ["no sidecar", "short array", "no array", "no seg", "sidecar of another age"])
def test_a_store_with_a_piece_missing_is_mended(config: PrepareConfig, damage: str) -> None:
    run = run_prepare(config)
    good, folder = scan_files(run), run.path / "scans"
    if damage == "no sidecar":
        (folder / "toy_sub-03.json").unlink()
    elif damage == "short array":
        (folder / "toy_sub-03.npy").write_bytes(good["toy_sub-03.npy"][:-7])
    elif damage == "no array":
        (folder / "toy_sub-03.npy").unlink()
    elif damage == "no seg":
        (folder / "toy_sub-03.seg.npy").unlink()
    else:
        (folder / "toy_sub-03.json").write_text('{"half": ')
    run = run_prepare(config)
    assert scan_files(run) == good and run.provenance["made"] == 1


def test_other_settings_are_refused_but_other_workers_are_not(config: PrepareConfig) -> None:
    run_prepare(config)
    with pytest.raises(ConfigError, match=r"spacing: 2\.0 there, 3\.0 now"):
        run_prepare(config.model_copy(update={"spacing": 3.0}))
    run_prepare(config.model_copy(update={"workers": 2}))
    other = run_prepare(config.model_copy(update={"spacing": 3.0}), overwrite=True)
    assert open_store(other.path).spacing == 3.0


def test_a_bad_scan_is_set_aside_and_the_rest_goes_on(config: PrepareConfig) -> None:
    folder = config.cohort.parent / "toy"
    one, two = (folder / f"sub-0{i}" / "anat" / f"sub-0{i}_T1w.nii.gz" for i in (1, 2))
    one.write_bytes(one.read_bytes()[:-2000])
    two.unlink()
    run = run_prepare(config)
    aside = run.read_table("set_aside").set_index("scan_id")
    assert run.ok and len(run.read_table("index")) == 2 and run.provenance["set_aside"] == 2
    assert "truncated" in aside.loc["toy_sub-01", "cause"] and "No such file" in aside.loc["toy_sub-02", "cause"]
    assert (aside["stage"] == "prepare").all() and (aside["remedy"].str.len() > 0).all()


def test_what_the_cohort_set_aside_is_carried_on_with_its_stage(tmp_path: Path) -> None:
    make_cohort(tmp_path)
    bad = tmp_path / "toy" / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    bad.write_bytes(gzip.compress(b"nothing"))
    shutil.rmtree(tmp_path / "cohort")
    run = run_prepare(PrepareConfig(out=tmp_path / "store", cohort=make_again(tmp_path), spacing=2, workers=1))
    assert list(run.read_table("set_aside")["stage"]) == ["cohort"] and len(run.read_table("index")) == 3


def make_again(folder: Path) -> Path:
    from workbench.cohort import CohortConfig, run_cohort

    return run_cohort(CohortConfig(out=folder / "cohort", sources=[folder / "toy"], workers=1)).path


def test_a_scan_that_left_the_cohort_leaves_the_index(config: PrepareConfig) -> None:
    run_prepare(config)
    shutil.rmtree(config.cohort.parent / "toy" / "sub-04")
    shutil.rmtree(config.cohort)
    make_again(config.cohort.parent)
    run = run_prepare(config)
    assert open_store(run.path).scan_ids == ["toy_sub-01", "toy_sub-02", "toy_sub-03"]
    assert run.provenance["made"] == 0


def test_nothing_usable_is_an_error_that_leads_to_the_causes(config: PrepareConfig) -> None:
    for file in (config.cohort.parent / "toy").rglob("*_T1w.nii.gz"):
        file.write_bytes(b"")
    with pytest.raises(WorkbenchError, match="no scan could be prepared"):
        run_prepare(config)
    run = Run(config.out)
    assert run.status["state"] == "failed" and len(run.read_table("set_aside")) == 4


def test_a_given_mask_is_used_and_whole_heads_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohort = make_cohort(tmp_path, people=2, masks=True)
    run = run_prepare(PrepareConfig(out=tmp_path / "a", cohort=cohort, spacing=2, workers=1))
    assert run.provenance["masks"] == {"given": 2}
    mask = next((tmp_path / "toy" / "derivatives" / "masks").rglob("sub-01*_mask.nii.gz"))
    image = nib.load(mask)
    nib.save(
        nib.Nifti1Image(
            np.asanyarray(image.dataobj) * (np.arange(image.shape[0]) > 12)[:, None, None].astype(np.uint8),
            image.affine,
        ),
        mask,
    )
    again = PrepareConfig(out=tmp_path / "a", cohort=cohort, spacing=2, workers=1)
    assert run_prepare(again).provenance["set_aside"] == 1  # not the mask that the cohort knows
    remake_cohort(again)
    assert run_prepare(again).provenance["made"] == 1
    run_prepare(PrepareConfig(out=tmp_path / "b", cohort=cohort, spacing=2, workers=1, mask="head"))
    assert "mask: head (no brain mask given; skull included): 2 scans" in capsys.readouterr().err


def test_simulated_data_stay_labelled(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, people=2, simulated=True)
    run = run_prepare(PrepareConfig(out=tmp_path / "store", cohort=cohort, spacing=2, workers=1))
    assert run.simulated and open_store(run.path).simulated


def test_a_dry_run_counts_and_writes_nothing(config: PrepareConfig) -> None:
    plan = plan_prepare(config)
    assert "prepare 4 scans of 4 participants" in plan and "0 are there" in plan and "4 to do" in plan
    assert not config.out.exists()
    run_prepare(config)
    assert "4 are there" in plan_prepare(config) and "0 to do" in plan_prepare(config)


@pytest.mark.parametrize("bad", ["../evil", "a/b", ".hidden", "x.seg", ""])
def test_a_scan_id_that_is_no_file_name_is_refused(config: PrepareConfig, bad: str) -> None:
    file = config.cohort / "results" / "scans.parquet"
    table = pd.read_parquet(file)
    table.loc[0, "scan_id"] = bad
    table.to_parquet(file)
    with pytest.raises(ConfigError, match="cannot be file names"):
        run_prepare(config)


def test_kill_9_in_the_middle_then_the_same_command_gives_the_same_store(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, people=6, shape=(60, 66, 56))
    whole = PrepareConfig(out=tmp_path / "whole", cohort=cohort, spacing=1, workers=1)
    expected = scan_files(run_prepare(whole))
    killed = whole.model_copy(update={"out": tmp_path / "killed"})
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from workbench.prepare import PrepareConfig, run_prepare
        if __name__ == "__main__":
            run_prepare(PrepareConfig(out=Path({str(killed.out)!r}), cohort=Path({str(cohort)!r}), spacing=1,
                                      workers=2))
    """)
    )
    process = subprocess.Popen(
        [sys.executable, script],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    deadline = time.time() + 120
    while not list(killed.out.glob("scans/*.json")) and process.poll() is None and time.time() < deadline:
        time.sleep(0.01)
    workers = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list(killed.out.glob("scans/*.json")))
    assert 0 < done < 6, f"{done} scans were done: the kill came too early or too late to test anything"
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.time() < deadline:
        time.sleep(0.05)  # a worker must not outlive its parent
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert Run(killed.out).status["state"] == "killed"
    (killed.out / "scans" / ".partial-999999999-toy_sub-01.npy").write_bytes(b"half")
    run = run_prepare(killed)
    assert run.ok and 0 < run.provenance["kept"] < 6
    assert scan_files(run) == expected


def children(pid: int) -> list[int]:
    return [int(p) for task in Path(f"/proc/{pid}/task").glob("*/children") for p in task.read_text().split()]


def test_a_scan_that_takes_all_memory_is_set_aside(config: PrepareConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.prepare import scan

    def conform(volume: Volume, *args: object, **more: object) -> object:
        if volume.data.shape == phantom("LAS").data.shape and nib.aff2axcodes(volume.affine) == ("L", "A", "S"):
            raise MemoryError
        return real(volume, *args, **more)  # type: ignore[arg-type]

    real = scan.conform
    monkeypatch.setattr(scan, "conform", conform)
    run = run_prepare(config)
    aside = run.read_table("set_aside")
    assert run.ok and run.provenance["n"] == 3 and aside["scan_id"].tolist() == ["toy_sub-02"]
    assert "out of memory" in aside["cause"][0] and "more memory" in aside["remedy"][0]
