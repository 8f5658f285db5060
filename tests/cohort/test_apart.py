"""A cohort that is checked in several processes is the cohort that is checked in one."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from workbench.cohort import CohortConfig, run_cohort
from workbench.cohort.apart import as_row, from_row, name_of
from workbench.cohort.check import Checked, Task, check
from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.runs.spread import Shard
from workbench.testing import write_bids

GRID = {"spacing": (6, 6, 6), "shape": (22, 26, 20)}


def mixed(folder: Path) -> Path:
    """People of whom one has a damaged scan, one an empty segmentation, one labels in another order of axes, and two
    have the same file."""
    toy = write_bids(folder / "toy", people=7, masks=True, **GRID)
    scans = sorted(toy.glob("sub-*/**/*_T1w.nii.gz"))
    scans[1].write_bytes(scans[1].read_bytes()[:500])
    scans[5].write_bytes(scans[4].read_bytes())
    labels = sorted(toy.glob("derivatives/manual/**/*_dseg.nii.gz"))
    image = nib.load(labels[2])
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), labels[2])
    nib.save(nib.as_closest_canonical(nib.load(labels[3])), labels[3])
    nib.save(nib.load(labels[4]).slicer[::-1], labels[4])
    return toy


def same(a: Checked, b: Checked) -> None:
    for field in fields(Checked):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if field.name == "grid" and one is not None:
            assert one.shape == other.shape
            one, other = one.affine, other.affine
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        else:
            assert one == other and type(one) is type(other), field.name
    assert [type(remark) for remark in a.remarks] == [type(remark) for remark in b.remarks]


def test_what_was_found_comes_back_whole(tmp_path: Path) -> None:
    toy = mixed(tmp_path)
    kinds = set()
    for scan in sorted(toy.glob("sub-*/**/*_T1w.nii.gz")):
        name = scan.name.removesuffix("_T1w.nii.gz")
        seg = next(toy.glob(f"derivatives/manual/**/{name}_dseg.nii.gz"))
        mask = next(toy.glob(f"derivatives/masks/**/{name}_*mask.nii.gz"))
        found = check(Task(scan, seg, mask_path=mask, stem=tmp_path / "made" / name))
        kinds |= {kind for kind, *_ in found.problems} | set(found.moved)
        same(from_row(as_row(found)), found)
    assert {"scan", "segmentation"} <= kinds
    same(from_row(as_row(Checked())), Checked())


@pytest.mark.parametrize("executor", ["local", "slurm"])
def test_a_cohort_in_shards_is_the_cohort_of_one_process(tmp_path: Path, slurm: Path, executor: str) -> None:
    toy = mixed(tmp_path)
    settings = {"sources": [toy], "workers": 1}
    whole = run_cohort(CohortConfig(out=tmp_path / "whole", **settings))
    spread = run_cohort(CohortConfig(out=tmp_path / "spread", executor=executor, shards=3, **settings))
    if executor == "slurm":
        assert (slurm / "arrays").read_text().split() == ["2"]
    for key in ("cohort_fingerprint", "n_scans", "n_participants", "notes"):
        assert spread.provenance[key] == whole.provenance[key]
    assert whole.provenance["n_scans"] == 5 and len(whole.read_table("set_aside")) == 4
    for table in ("scans", "set_aside", "labels", "notes"):
        a, b = (without_place(run.read_table(table), run.path) for run in (whole, spread))
        pd.testing.assert_frame_equal(a, b)
    assert (spread.path / "report.html").is_file()
    for left in ("parts", "shards", "results/checked.parquet"):
        assert not (spread.path / left).exists()


def without_place(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    return table.map(lambda value: str(value).replace(str(folder), ""))


def test_a_file_that_changed_since_is_another_scan(tmp_path: Path) -> None:
    toy = write_bids(tmp_path / "toy", people=1, **GRID)
    scan = next(toy.glob("sub-*/**/*_T1w.nii.gz"))
    task = Task(scan, stem=tmp_path / "here")
    assert name_of(3, task) == name_of(3, Task(scan, stem=tmp_path / "elsewhere")) != name_of(4, task)
    before = name_of(3, task)
    os.utime(scan, ns=(1, 1))
    assert name_of(3, task) != before
    scan.unlink()
    assert name_of(3, task) != before  # and the check will tell it


def test_of_a_pair_of_files_the_header_counts_too(tmp_path: Path) -> None:
    for end in ("img", "hdr"):
        (tmp_path / f"a.{end}").write_bytes(b"x")
    before = name_of(0, Task(tmp_path / "a.img"))
    (tmp_path / "a.hdr").write_bytes(b"another affine")
    assert name_of(0, Task(tmp_path / "a.img")) != before


def test_what_an_earlier_command_checked_is_taken_unless_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = write_bids(tmp_path / "toy", people=4, **GRID)
    config = CohortConfig(out=tmp_path / "cohort", sources=[toy], workers=1, executor="local", shards=2)
    with monkeypatch.context() as patched:
        patched.setattr("workbench.cohort.apart.Parts.collect", stopped)
        with pytest.raises(KeyboardInterrupt):
            run_cohort(config)
    assert Run(config.out).status["state"] == "interrupted"
    first, *_ = sorted(toy.glob("sub-*/**/*_T1w.nii.gz"))
    image = nib.load(first)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1], image.affine), first)
    again: list[int] = []

    def look(run: Run, shards: list[Shard], show: object) -> None:
        again.extend(len(shard.scans) for shard in shards)

    monkeypatch.setattr("workbench.runs.spread._in_processes", look)
    with pytest.raises(WorkbenchError, match="1 of 4 scans are left"):
        run_cohort(config)
    assert again == [1]


def stopped(*_: object) -> None:
    raise KeyboardInterrupt
