"""The job: what can be used is in the table, what cannot is named with its cause, and nothing stops the rest."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from workbench.cohort import Cohort, CohortConfig, load_cohort, run_cohort, split_participants
from workbench.cohort.build import cohort_fingerprint
from workbench.errors import ConfigError, WorkbenchError
from workbench.testing import phantom, phantom_labels, write_bids
from workbench.volumes import Volume, read_grid, write_volume

KNOWN = {
    "scan_id",
    "participant",
    "session",
    "dataset",
    "path",
    "seg_path",
    "mask_path",
    "site",
    "scanner",
    "sex",
    "age",
    "simulated",
    "x",
    "y",
    "z",
    "sx",
    "sy",
    "sz",
    "axcodes",
    "fingerprint",
}


def build(out: Path, *sources: Path, workers: int = 1, **settings: object) -> Cohort:
    config = CohortConfig(out=out, sources=list(sources), workers=workers, **settings)  # type: ignore[arg-type]
    return load_cohort(run_cohort(config).path)


def scan(root: Path, person: str) -> Path:
    return root / person / "anat" / f"{person}_T1w.nii.gz"


def seg(root: Path, person: str) -> Path:
    return root / "derivatives" / "manual" / person / "anat" / f"{person}_dseg.nii.gz"


def test_the_table_says_what_is_there(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "tiny set", people=3, sessions=2, masks=True, spacing=(2, 2, 3))
    cohort = build(tmp_path / "out", root)
    table = cohort.table
    assert set(table) >= KNOWN and list(table)[:2] == ["scan_id", "participant"]
    assert table["scan_id"].tolist()[:2] == ["tiny-set_sub-01_ses-1", "tiny-set_sub-01_ses-2"]
    assert table["scan_id"].is_unique and table["scan_id"].str.fullmatch(r"[A-Za-z0-9._-]+").all()
    assert table["participant"].nunique() == 3 and table["participant"][0] == "tiny-set/sub-01"
    assert table["axcodes"].tolist() == ["RAS", "RAS", "LAS", "LAS", "PSR", "PSR"]
    for row in table.itertuples():
        grid = read_grid(row.path)
        assert (row.x, row.y, row.z) == grid.shape and (row.sx, row.sy, row.sz) == pytest.approx(grid.spacing)
        assert Path(row.path).is_absolute() and Path(row.seg_path).is_file() and Path(row.mask_path).is_file()
    assert table["diagnosis"].tolist() == ["control"] * 4 + ["patient"] * 2
    assert cohort.labels["structure"].tolist() == ["right_hippocampus", "left_hippocampus"]
    assert cohort.set_aside.empty and list(cohort.set_aside) == [
        "path",
        "dataset",
        "participant",
        "kind",
        "cause",
        "remedy",
    ]
    assert not cohort.simulated


BROKEN = {
    "sub-01": "truncated",
    "sub-02": "not a 3D scan: its shape is",
    "sub-03": "every voxel is 0",
    "sub-04": "NaN or infinite values",
    "sub-05": "affine is singular",
    "sub-06": "affine is missing",
    "sub-07": "header does not fit",
    "sub-08": "not readable as NIfTI",
    "sub-09": "0 bytes",
}


def break_scans(root: Path) -> None:
    rng, affine = np.random.default_rng(0), np.diag([2.0, 2, 2, 1])
    scan(root, "sub-01").write_bytes(scan(root, "sub-01").read_bytes()[:-2000])
    nib.save(nib.Nifti1Image(rng.random((5, 5, 5, 4)), affine), scan(root, "sub-02"))
    nib.save(nib.Nifti1Image(np.zeros((5, 5, 5)), affine), scan(root, "sub-03"))
    nib.save(nib.Nifti1Image(np.where(rng.random((5, 5, 5)) < 0.1, np.nan, 1), affine), scan(root, "sub-04"))
    content = bytearray(gzip.decompress(scan(root, "sub-05").read_bytes()))
    content[252:254], content[280:296] = b"\0\0", b"\0" * 16  # no qform; first row of the sform
    scan(root, "sub-05").write_bytes(gzip.compress(content))
    nib.save(nib.Nifti1Image(rng.random((5, 5, 5)), None), scan(root, "sub-06"))
    scan(root, "sub-07").write_bytes(gzip.compress(gzip.decompress(scan(root, "sub-07").read_bytes())[:-500]))
    scan(root, "sub-08").write_bytes(gzip.compress(b"hello " * 500))
    scan(root, "sub-09").write_bytes(b"")


def test_broken_scans_are_named_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_bids(tmp_path / "d", people=12)
    break_scans(root)
    cohort = build(tmp_path / "out", root)
    assert cohort.table["participant"].tolist() == ["d/sub-10", "d/sub-11", "d/sub-12"]
    causes = cohort.set_aside.set_index("participant")["cause"]
    assert len(causes) == len(BROKEN)
    report = capsys.readouterr().err
    for person, cause in BROKEN.items():
        assert cause in causes[f"d/{person}"] and cause in report
    assert cohort.set_aside["remedy"].str.len().min() > 5 and (cohort.set_aside["kind"] == "scan").all()
    assert "set aside: 9 scans" in report and "cohort: 3 scans of 3 people" in report


def test_a_bad_segmentation_leaves_the_scan(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=7, axcodes=("LAS",), masks=True)
    labels = phantom_labels(phantom("LAS").grid)
    seg(root, "sub-01").write_bytes(b"nothing")
    write_volume(seg(root, "sub-02"), Volume(labels.data[:-1], labels.affine))
    shifted = labels.affine.copy()
    shifted[1, 3] += 1.5
    write_volume(seg(root, "sub-03"), Volume(labels.data, shifted))
    write_volume(seg(root, "sub-04"), phantom_labels(phantom("RAS", spacing=(2, 2, 3)).grid))
    write_volume(seg(root, "sub-05"), Volume(labels.data * 0, labels.affine))
    write_volume(seg(root, "sub-06"), Volume(labels.data * 0.3, labels.affine))
    mask = root / "derivatives/masks/sub-07/anat/sub-07_desc-brain_mask.nii.gz"
    write_volume(mask, Volume(labels.data[1:], labels.affine))
    cohort = build(tmp_path / "out", root)
    assert len(cohort.table) == 7 and cohort.table["seg_path"].notna().tolist() == [False] * 6 + [True]
    assert cohort.table["seg_path"][0] is None and cohort.table["mask_path"][6] is None
    assert cohort.table["mask_path"].notna().sum() == 6
    aside = cohort.set_aside.set_index("participant")
    assert aside["kind"].tolist() == ["segmentation"] * 6 + ["mask"]
    for number, cause in enumerate(
        (
            "not readable",
            "its shape",
            "1.5 mm apart",
            "stored RAS, the scan's LAS",
            "every voxel is 0",
            "not whole numbers",
            "its shape",
        ),
        start=1,
    ):
        assert cause in aside["cause"][f"d/sub-{number:02d}"]


def test_no_scan_at_all_is_an_error_that_leaves_the_causes(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=2, segmentations=False)
    for person in ("sub-01", "sub-02"):
        scan(root, person).write_bytes(b"x")
    with pytest.raises(WorkbenchError, match="no scan can be used"):
        build(tmp_path / "out", root)
    assert len(pd.read_parquet(tmp_path / "out/results/set_aside.parquet")) == 2
    with pytest.raises(WorkbenchError, match="not finished"):
        load_cohort(tmp_path / "out")


def test_several_sources_make_one_cohort(tmp_path: Path) -> None:
    one = write_bids(tmp_path / "a" / "bids", people=2, seed=1)
    two = write_bids(tmp_path / "b" / "bids", people=2, seed=2, simulated=True)
    msd = tmp_path / "msd"
    write_volume(msd / "imagesTr/case_1.nii.gz", phantom(noise=3, seed=9))
    write_volume(msd / "labelsTr/case_1.nii.gz", phantom_labels(phantom().grid))
    (msd / "dataset.json").write_text(
        json.dumps(
            {
                "labels": {"0": "background", "1": "Anterior"},
                "training": [
                    {"image": "./imagesTr/case_1.nii.gz", "label": "./labelsTr/case_1.nii.gz"},
                    {"image": "../x.nii"},
                ],
            }
        )
    )
    table = tmp_path / "more.csv"
    for i in range(2):
        write_volume(tmp_path / f"scan{i}.nii.gz", phantom("PSR", noise=3, seed=20 + i))
    table.write_text("path,participant,diagnosis,score\nscan0.nii.gz,p,AD,1.5\nscan1.nii.gz,p,n/a,2\n")
    cohort = build(tmp_path / "out", one, two, msd, table)
    assert cohort.table["scan_id"].tolist() == [
        "a-bids_sub-01",
        "a-bids_sub-02",
        "b-bids_sub-01",
        "b-bids_sub-02",
        "msd_case_1",
        "more_p",
        "more_p_2",
    ]
    assert cohort.table["participant"].tolist()[-3:] == ["msd/case_1", "more/p", "more/p"]
    assert cohort.table["simulated"].tolist() == [False, False, True, True, False, False, False] and cohort.simulated
    assert cohort.table["score"].dtype.kind == "f" and cohort.table["score"].tolist()[-2:] == [1.5, 2.0]
    assert cohort.table["diagnosis"].isna().tolist() == [False] * 4 + [True, False, True]
    assert cohort.labels.groupby("dataset")["code"].count().to_dict() == {"a-bids": 2, "b-bids": 2, "msd": 1}
    assert cohort.set_aside["cause"].tolist() == ["dataset.json points outside its own folder"]


def test_the_same_file_under_two_names_is_set_aside(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=3, axcodes=("RAS",))
    shutil.copy(scan(root, "sub-01"), scan(root, "sub-03"))
    cohort = build(tmp_path / "out", root)
    assert cohort.table["participant"].tolist() == ["d/sub-01", "d/sub-02"]
    assert cohort.set_aside["cause"].tolist() == ["the same file content as d_sub-01"]


def test_the_fingerprint_follows_contents_and_labels_not_places(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "here" / "d", people=3, segmentations=True)
    first = build(tmp_path / "out", root)
    assert cohort_fingerprint(first.table) == first.fingerprint  # the same from the table as it was written
    shutil.copytree(root, tmp_path / "there" / "d")
    assert build(tmp_path / "moved", tmp_path / "there" / "d").fingerprint == first.fingerprint
    assert build(tmp_path / "out", root).fingerprint == first.fingerprint
    text = (root / "participants.tsv").read_text()
    (root / "participants.tsv").write_text(text.replace("patient", "control"))
    relabelled = build(tmp_path / "out", root)  # a finished run is made anew: the sources may have changed
    assert relabelled.fingerprint != first.fingerprint and set(relabelled.table["diagnosis"]) == {"control"}
    write_volume(seg(root, "sub-01"), Volume(phantom_labels(phantom().grid).data * 2, phantom().affine))
    assert build(tmp_path / "out", root).fingerprint != relabelled.fingerprint


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=16, shape=(10, 10, 10))
    scan(root, "sub-05").write_bytes(b"broken")
    one, two = (build(tmp_path / f"out{n}", root, workers=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.set_aside, two.set_aside)
    assert len(one.table) == 15


def test_columns_that_look_like_numbers_but_are_names_stay_text(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=2)
    (root / "participants.tsv").write_text(
        "participant_id\tcode\tcdr\tnote\nsub-01\t007\t0\tn/a\nsub-02\t012\t0.5\tn/a\n"
    )
    table = build(tmp_path / "out", root).table
    assert table["code"].tolist() == ["007", "012"] and table["cdr"].tolist() == [0, 0.5] and "note" not in table


def test_loading_something_else_is_told(tmp_path: Path) -> None:
    build(tmp_path / "out", write_bids(tmp_path / "d", people=1))
    config = tmp_path / "out/config.yaml"
    config.write_text(re.sub("job: cohort", "job: prepare", config.read_text()))
    with pytest.raises(WorkbenchError, match="run of 'prepare'"):
        load_cohort(tmp_path / "out")
    with pytest.raises(WorkbenchError, match="not a run folder"):
        load_cohort(tmp_path / "d")
    with pytest.raises(ConfigError, match="sources"):
        CohortConfig.build({"out": tmp_path / "x", "sources": []})


def test_the_real_data_make_one_cohort(tmp_path: Path, real_data: Path) -> None:
    """Four orientations, several spacings, with and without sessions; nothing in them is broken."""
    names = ("oasis1", "ixi", "ds002748", "fcp", "msd_hippocampus")
    cohort = build(tmp_path / "out", *(real_data / name for name in names), workers=0)
    table = cohort.table
    assert cohort.set_aside.empty and not cohort.simulated
    people = table.groupby("dataset")["participant"].nunique()
    assert people.to_dict() == {"oasis1": 24, "ixi": 32, "ds002748": 58, "fcp": 6, "msd_hippocampus": 208}
    assert table.groupby("dataset")["seg_path"].count().to_dict() == {
        "oasis1": 26,
        "ixi": 32,
        "ds002748": 0,
        "fcp": 0,
        "msd_hippocampus": 208,
    }
    assert set(table.loc[table["dataset"] == "ixi", "axcodes"]) == {"PSR"}
    assert {"WashU", "Hammersmith", "ds002748", "Beijing", "Cambridge"} <= set(table["site"])
    for person in ("oasis1/sub-OAS10111", "oasis1/sub-OAS10117"):  # scanned twice
        assert table.loc[table["participant"] == person, "session"].tolist() == ["ses-01", "ses-02"]
    assert "ds002748_sub-01_acq-native" in set(table["scan_id"])
    sides = split_participants(table, folds=5, seed=0, stratify=("dataset", "sex"))
    assert (table.merge(sides, on="participant").groupby("participant")["fold"].nunique() == 1).all()
    for _, group in table.drop_duplicates("participant").merge(sides).groupby("dataset"):
        counts = group["fold"].value_counts().reindex(range(5), fill_value=0)
        assert counts.max() - counts.min() <= 2


def test_labels_whose_names_exchange_the_sides_are_set_aside(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=3)  # three storage orders: sides are those of the world
    assert build(tmp_path / "a", root).table["seg_path"].notna().all()
    (root / "derivatives/manual/dseg.tsv").write_text("index\tname\n1\tLeft Hippocampus\n2\tRight Hippocampus\n")
    cohort = build(tmp_path / "b", root)
    assert cohort.table["seg_path"].isna().all() and set(cohort.set_aside["kind"]) == {"segmentation"}
    assert cohort.set_aside["cause"].str.contains("left lies right").all() and len(cohort.table) == 3


def test_what_is_no_image_and_what_is_somebody_elses_is_told(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=4)
    labels = phantom_labels(read_grid(scan(root, "sub-02")))
    write_volume(scan(root, "sub-02"), labels)
    shutil.copy(scan(root, "sub-03"), scan(root, "sub-04"))
    write_volume(seg(root, "sub-01"), Volume(labels.data * 70, read_grid(scan(root, "sub-01")).affine))
    told = "\n".join(build(tmp_path / "out", root).notes["text"])
    assert "holds only 3 values: is it a mask or a label map? (d_sub-02)" in told
    assert "one file is the scan of d/sub-03 and of d/sub-04" in told
    assert "1 segmentations hold no code that has a name" in told and "d_sub-01" in told


def test_a_mask_larger_than_any_brain_is_set_aside(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=1, spacing=(6, 6, 6), masks=True)
    mask = root / "derivatives/masks/sub-01/anat/sub-01_desc-brain_mask.nii.gz"
    assert build(tmp_path / "a", root).table["mask_path"].notna().all()
    grid = read_grid(mask)
    write_volume(mask, Volume(np.ones(grid.shape, np.uint8), grid.affine))
    cohort = build(tmp_path / "b", root)
    assert cohort.table["mask_path"].isna().all() and "no brain is so large" in cohort.set_aside["cause"][0]
