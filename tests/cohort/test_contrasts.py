"""Which contrast is taken, what belongs together, and what is set aside because it does not."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from workbench.cohort import CohortConfig, load_cohort, run_cohort
from workbench.cohort.aligned import require_aligned
from workbench.cohort.contrasts import asked_for, contrast_of
from workbench.cohort.gather import gather
from workbench.cohort.layouts.layout import Options
from workbench.errors import ConfigError, ScanError, WorkbenchError
from workbench.testing import other_contrast, phantom, phantom_grid, write_bids
from workbench.volumes import Volume, read_volume, write_volume


@pytest.fixture
def cohort_of(tmp_path):
    """Make a cohort of the phantoms in ``tmp_path/data`` with further settings."""

    def make(**settings):
        run = run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[tmp_path / "data"], workers=1, **settings))
        return load_cohort(run.path)

    return make


@pytest.mark.parametrize(
    ("written", "name"),
    [("T1", "T1w"), ("t1n", "T1w"), ("MP-RAGE", "T1w"), ("t1ce", "T1c"), ("T1Gd", "T1c"), ("t2f", "FLAIR")],
)
def test_one_name_whoever_wrote_it(written, name):
    assert contrast_of(written) == name and asked_for([written]) == (name,)


@pytest.mark.parametrize("asked", [("T1w", "t1"), ("T1w/..",), (), tuple(f"x{n}" for n in range(9))])
def test_what_is_no_list_of_contrasts_is_refused(asked):
    with pytest.raises(ValueError, match="contrast"):
        asked_for(asked)


def test_another_contrast_than_t1w(cohort_of, tmp_path):
    write_bids(tmp_path / "data", people=3, contrasts=("T1w", "T2w"))
    cohort = cohort_of(contrast=("T2w",))
    assert cohort.contrasts == ("T2w",) and cohort.table["path"].str.endswith("_T2w.nii.gz").all()
    assert cohort.table["seg_path"].notna().all()


def test_t1w_alone_is_what_it_was(cohort_of, tmp_path):
    write_bids(tmp_path / "data", people=2, contrasts=("T1w", "FLAIR"))
    table = cohort_of().table
    assert table["path"].str.endswith("_T1w.nii.gz").all() and not {"channels", "channel_paths"} & set(table)


def test_sessions_that_lack_a_contrast_are_set_aside_by_name(cohort_of, tmp_path):
    data = write_bids(tmp_path / "data", people=3, contrasts=("T1w", "FLAIR"))
    (data / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz").unlink()
    cohort = cohort_of(contrast=("T1w", "FLAIR"))
    assert set(cohort.table["participant"]) == {"data/sub-01", "data/sub-03"}
    assert cohort.table["channels_missing"].tolist() == ["", ""]
    (row,) = cohort.set_aside.to_dict("records")
    assert row["participant"] == "data/sub-02" and "has no FLAIR" in row["cause"] and "zero" in row["remedy"]


def test_a_head_that_lies_elsewhere_is_no_channel(cohort_of, tmp_path):
    """The header says that they lie on each other, the images say no."""
    data = write_bids(tmp_path / "data", people=3, contrasts=("T1w", "FLAIR"), axcodes=("RAS",))
    scan = phantom()
    shown = other_contrast(Volume(np.roll(scan.data, 6, axis=1), scan.affine), "FLAIR")
    write_volume(data / "sub-01" / "anat" / "sub-01_FLAIR.nii.gz", shown)
    cohort = cohort_of(contrast=("T1w", "FLAIR"))
    assert set(cohort.table["participant"]) == {"data/sub-02", "data/sub-03"}
    wrong = cohort.set_aside[cohort.set_aside["kind"] == "contrast"]
    assert wrong["participant"].tolist() == ["data/sub-01"] and "moved back by 8 mm" in wrong["cause"].iloc[0]


def _head(grid, seed=0, *, inverted=False):
    """A head of 140 x 170 x 130 mm with forty blobs of tissue in it, and noise; dark and bright exchanged."""
    rng = np.random.default_rng(7)
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    inside = ((world / (70, 85, 65)) ** 2).sum(-1) < 1
    value = np.full(grid.shape, 100.0)
    for centre, width, height in zip(
        rng.uniform(-60, 60, (40, 3)), rng.uniform(8, 20, 40), rng.uniform(-60, 60, 40), strict=True
    ):
        value += height * np.exp(-((world - centre) ** 2).sum(-1) / (2 * width**2))
    value = 300 - value if inverted else value
    noise = np.random.default_rng(seed).normal(0, 5, grid.shape)
    return Volume(np.where(inside, np.clip(value + noise, 1, None), 0).astype(np.float32), grid.affine)


def _grid(**changes):
    return phantom_grid(**{"spacing": (4, 4, 4), "shape": (48, 54, 44), **changes})


@pytest.mark.parametrize(
    "grid", [{}, {"axcodes": "PSR", "spacing": (3, 3, 5), "shape": (60, 66, 36)}, {"oblique": 20}, {"oblique": 3}]
)
def test_the_same_head_on_another_grid_is_aligned(tmp_path, grid):
    require_aligned(tmp_path / "x", "FLAIR", _head(_grid()), _head(_grid(**grid), 1, inverted=True))


@pytest.mark.parametrize("degrees", [8, 16])
def test_a_turned_head_is_told(tmp_path, degrees):
    turned = _head(_grid(oblique=degrees), 1, inverted=True)
    with pytest.raises(ScanError, match=r"moved by .*° about"):  # as if somebody had copied the first one's header
        require_aligned(tmp_path / "x", "T2w", _head(_grid()), Volume(turned.data, _grid().affine))


@pytest.mark.parametrize(("axis", "voxels"), [(0, 2), (1, -2), (2, 5)])
def test_a_moved_head_is_told(tmp_path, axis, voxels):
    moved = np.roll(_head(_grid(), 1, inverted=True).data, voxels, axis=axis)
    with pytest.raises(ScanError, match=r"moved (left|forward|down) by 8 mm"):
        require_aligned(tmp_path / "x", "T2w", _head(_grid()), Volume(moved, _grid().affine))


def test_a_head_that_is_not_in_view_is_told(tmp_path):
    far = _head(_grid())
    far.affine[:3, 3] += 140
    with pytest.raises(ScanError, match="field of view"):
        require_aligned(tmp_path / "x", "T2w", _head(_grid()), far)


def test_a_copy_under_another_name_is_no_contrast(cohort_of, tmp_path):
    data = write_bids(tmp_path / "data", people=2, contrasts=("T1w", "FLAIR"))
    anat = data / "sub-01" / "anat"
    (anat / "sub-01_FLAIR.nii.gz").write_bytes((anat / "sub-01_T1w.nii.gz").read_bytes())
    cohort = cohort_of(contrast=("T1w", "FLAIR"), missing_channel="zero")
    assert cohort.table["channels_missing"].tolist() == ["FLAIR", ""]
    assert "content is that of another contrast" in cohort.set_aside["cause"].iloc[0]
    assert any("have no FLAIR" in text and "sub-01" in text for text in cohort.notes["text"])


def test_the_fingerprint_knows_channels_and_not_where_they_lie(tmp_path):
    from workbench.cohort.build import cohort_fingerprint

    made = []
    for place in ("a", "b"):
        data = write_bids(tmp_path / place / "data", people=2, contrasts=("T1w", "FLAIR"))
        config = CohortConfig(out=tmp_path / f"cohort-{place}", sources=[data], workers=1, contrast=("T1w", "FLAIR"))
        made.append(load_cohort(run_cohort(config).path))
    assert made[0].fingerprint == made[1].fingerprint
    other = made[0].table.assign(channel_fingerprints=json.dumps(["other"]))
    assert cohort_fingerprint(other) != made[0].fingerprint


def _touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


LAYOUTS = {
    "BIDS": ("sub-1/anat/sub-1_T1w.nii.gz", "sub-1/anat/sub-1_ce-gd_T1w.nii.gz", "sub-1/anat/sub-1_FLAIR.nii.gz"),
    "BraTS": tuple(f"BraTS-GLI-1-100/BraTS-GLI-1-100-{c}.nii.gz" for c in ("t1n", "t1c", "t2f")),
    "FOMO": tuple(f"PT001_A/sub_1/ses_1/{c}.nii.gz" for c in ("t1", "t1c", "flair")),
    "nnU-Net": tuple(f"imagesTr/a_000{n}.nii.gz" for n in range(3)),
    "table": ("a.nii.gz", "b.nii.gz", "c.nii.gz"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_that_names_contrasts(layout, tmp_path):
    root, names = tmp_path / "data", LAYOUTS[layout]
    _touch(*(root / name for name in names))
    if layout == "nnU-Net":
        listing = {"channel_names": {"0": "T1", "1": "T1Gd", "2": "FLAIR"}, "labels": {"background": 0}}
        (root / "dataset.json").write_text(json.dumps(listing))
    if layout == "table":
        root = root / "list.csv"
        root.write_text("participant,path,path_T1c,FLAIR\n1,a.nii.gz,b.nii.gz,c.nii.gz\n")
    (source,) = gather([root], Options(contrast="T1w"), ("T1c", "FLAIR"))
    (candidate,) = source.candidates
    base = root if root.is_dir() else root.parent
    found = [candidate.path, candidate.channels["T1c"], candidate.channels["FLAIR"]]
    assert [path.relative_to(base).as_posix() for path in found] == list(names)
    assert not any(".nii" in str(value) for value in candidate.values.values())
    (source,) = gather([root], Options(contrast="FLAIR"))
    assert [one.path.relative_to(base).as_posix() for one in source.candidates] == [names[2]]


def four_d(root, scan, names, **listing):
    """A Decathlon folder of one case whose contrasts are the volumes of one file, the numbered one brighter."""
    (root / "imagesTr").mkdir(parents=True)
    bright = np.arange(1, len(names) + 1) * 100.0
    data = np.where(scan.data[..., None] > 0, scan.data[..., None] + bright, 0).astype(np.int16)
    nib.save(nib.Nifti1Image(data, scan.affine), root / "imagesTr" / "a.nii.gz")
    listing |= {"modality": dict(enumerate(names)), "training": [{"image": "./imagesTr/a.nii.gz"}]}
    (root / "dataset.json").write_text(json.dumps(listing))


def test_volumes_of_a_4d_file_are_contrasts(cohort_of, tmp_path):
    scan = phantom(spacing=(6, 6, 6), shape=(30, 34, 30), noise=5)
    four_d(tmp_path / "data", scan, ["FLAIR", "T1w", "t1gd", "T2w"])
    cohort = cohort_of(contrast=("T1w", "FLAIR"))
    paths = [cohort.table["path"].iloc[0], *json.loads(cohort.table["channel_paths"].iloc[0])]
    inside = scan.data > 0
    for path, more in zip(paths, (200, 100), strict=True):
        taken = read_volume(path)
        assert np.allclose(taken.affine, scan.affine) and np.allclose(
            taken.data[inside], scan.data[inside] + more, atol=1
        )
    assert "T1w is volume 1" in " ".join(cohort.notes["text"])
    with pytest.raises(WorkbenchError, match="names no PDw") as refused:
        gather([tmp_path / "data"], Options(contrast="PDw"))
    assert "--contrast FLAIR T1w T1c T2w" in refused.value.remedy


def test_one_modality_is_what_it_is_called(tmp_path):
    scan = phantom(spacing=(6, 6, 6), shape=(30, 34, 30))
    for name in ("MRI", "T2", "T1"):
        four_d(tmp_path / name, scan, [name])
    (source,) = gather([tmp_path / "MRI"], Options())
    assert [r.text for r in source.remarks if r.kind == "guess"] == [
        "dataset.json calls its contrast MRI, which is taken for T1w"
    ]
    (source,) = gather([tmp_path / "T1"], Options())
    assert not any(r.kind == "guess" for r in source.remarks)
    with pytest.raises(WorkbenchError, match="names no T1w"):
        gather([tmp_path / "T2"], Options())
    (source,) = gather([tmp_path / "T2"], Options(contrast="T2w"))
    assert len(source.candidates) == 1 and not source.candidates[0].volumes


def test_a_layout_of_t1w_alone_says_so(tmp_path):
    _touch(tmp_path / "subjects" / "bert" / "mri" / "T1.mgz", tmp_path / "subjects" / "bert" / "mri" / "aseg.mgz")
    with pytest.raises(ConfigError, match="FreeSurfer"):
        gather([tmp_path / "subjects"], Options(contrast="FLAIR"))


def test_nobody_has_the_contrast(tmp_path):
    write_bids(tmp_path / "data", people=1)
    with pytest.raises(WorkbenchError, match="no FLAIR scan found"):
        gather([tmp_path / "data"], Options(contrast="FLAIR"))


def test_a_tumour_without_one_of_its_parts_is_labelled_all_the_same(cohort_of, tmp_path):
    """In BraTS a part that is not there is not there; elsewhere a structure that a map lacks is not known."""
    for number, codes in (("00001", (1, 2, 3)), ("00002", (1, 2))):
        folder = tmp_path / "data" / f"BraTS-GLI-{number}-100"
        scan = phantom(noise=5, seed=int(number))
        seg = np.zeros(scan.data.shape, np.uint8)
        for code in codes:
            seg[10 + code, 12:15, 10:13] = code
        write_volume(folder / f"{folder.name}-t1n.nii.gz", scan)
        write_volume(folder / f"{folder.name}-t2f.nii.gz", other_contrast(scan, "FLAIR"))
        write_volume(folder / f"{folder.name}-seg.nii.gz", Volume(seg, scan.affine))
    table = cohort_of(contrast=("T1w", "FLAIR")).table
    assert len(table) == 2 and table["seg_lacks"].fillna("").tolist() == ["", ""]
