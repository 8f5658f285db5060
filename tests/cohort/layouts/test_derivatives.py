"""What a derivative holds for a scan: which copy, which variant, which side; and what of it is not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cohort.layouts.test_bids_people import make, t1w, told
from workbench.cohort.gather import gather, read_source
from workbench.cohort.layouts.layout import Options
from workbench.cohort.source import Candidate
from workbench.errors import ConfigError

ASEG = "index\tname\n17\tLeft-Hippocampus\n53\tRight-Hippocampus\n"


def fmriprep(root: Path, people: int = 2) -> Path:
    folder = root / "derivatives/fmriprep"
    for i in range(1, people + 1):
        stem = f"derivatives/fmriprep/sub-0{i}/anat/sub-0{i}"
        variants = ("", "_desc-aseg", "_desc-aparcaseg", "_space-MNI152NLin2009cAsym")
        make(root, t1w(f"sub-0{i}"), *(f"{stem}{v}_dseg.nii.gz" for v in variants), f"{stem}_desc-brain_mask.nii.gz")
    for variant in ("desc-aseg", "desc-aparcaseg"):
        (folder / f"{variant}_dseg.tsv").write_text(ASEG)
    return root


def test_the_variant_whose_table_names_the_hippocampi_is_taken(tmp_path: Path) -> None:
    source = read_source(fmriprep(tmp_path), "d")
    assert {c.seg_path.name.split("_", 1)[1] for c in source.candidates if c.seg_path} == {"desc-aseg_dseg.nii.gz"}
    assert [name for _, name in source.labels] == ["Left-Hippocampus", "Right-Hippocampus"]
    assert all(c.mask_path and c.mask_named for c in source.candidates)
    assert "fmriprep desc-aparcaseg" in told(source, "unused") and "in another space" in told(source, "unused")


def test_a_variant_is_chosen_by_its_name(tmp_path: Path) -> None:
    (source,) = gather([fmriprep(tmp_path / "d")], Options(segmentations="fmriprep/desc-aparcaseg"))
    assert all(c.seg_path and "aparcaseg" in c.seg_path.name for c in source.candidates)
    with pytest.raises(ConfigError, match="no variant desc-x") as error:
        gather([tmp_path / "d"], Options(segmentations="fmriprep/desc-x"))
    assert "fmriprep/desc-aseg" in error.value.cause


def test_of_copies_in_several_spaces_the_native_one_is_taken(tmp_path: Path) -> None:
    stem = "sub-01/anat/sub-01"
    spaces = ("", "_space-MNI152NLin2009cAsym", "_space-MNI152NLin6Asym_res-2")
    make(tmp_path, *(f"{stem}{space}_desc-preproc_T1w.nii.gz" for space in spaces))
    make(tmp_path, f"{stem}_desc-brain_mask.nii.gz", f"{stem}_desc-aseg_dseg.nii.gz")
    (tmp_path / "desc-aseg_dseg.tsv").write_text(ASEG)
    source = read_source(tmp_path, "fmriprep")
    assert [c.entities for c in source.candidates] == ["desc-preproc"]
    assert source.candidates[0].seg_path and source.candidates[0].mask_path
    assert "2 further copies" in told(source, "unused")


def test_a_scan_that_is_only_in_another_space_is_taken_and_said(tmp_path: Path) -> None:
    source = read_source(make(tmp_path, "sub-01/anat/sub-01_space-MNI152NLin6Asym_T1w.nii.gz"), "d")
    assert len(source.candidates) == 1 and "MNI152NLin6Asym" in told(source, "guess")


SIDES = {
    "hemi": ("_hemi-L_dseg", "_hemi-R_dseg", "index\tname\n1\tHippocampus\n"),
    "hemi in a space": ("_hemi-L_space-T1w_dseg", "_hemi-R_space-T1w_dseg", "index\tname\n1\tHippocampus\n"),
    "label": ("_label-L_dseg", "_label-R_dseg", "index\tname\n1\tHippocampus\n"),
    "masks": ("_space-orig_label-hippocampusL_mask", "_space-orig_label-hippocampusR_mask", ""),
    "masks, side first": ("_label-leftHippocampus_mask", "_label-rightHippocampus_mask", ""),
}


@pytest.mark.parametrize("kind", SIDES)
def test_two_files_a_side_are_one_segmentation(tmp_path: Path, kind: str) -> None:
    left, right, table = SIDES[kind]
    anat = "derivatives/manual/sub-01/anat/sub-01"
    make(tmp_path, t1w("sub-01"), f"{anat}{left}.nii.gz", f"{anat}{right}.nii.gz")
    if table:
        (tmp_path / "derivatives/manual/dseg.tsv").write_text(table)
    source = read_source(tmp_path, "d")
    (scan,) = source.candidates
    assert [part.path.name for part in scan.seg_parts] == [f"sub-01{left}.nii.gz", f"sub-01{right}.nii.gz"]
    assert scan.mask_path is None and [name.lower() for _, name in source.labels] == [
        "left hippocampus",
        "right hippocampus",
    ]
    codes = [dict(part.codes)[1] if part.codes else part.code for part in scan.seg_parts]
    assert codes == [1, 2]


def only(root: Path, name: str) -> Candidate:
    return read_source(make(root, t1w("sub-01"), f"derivatives/manual/sub-01/anat/{name}"), "d").candidates[0]


def test_a_mask_that_does_not_name_the_brain_must_be_one_by_its_volume(tmp_path: Path) -> None:
    assert not only(tmp_path / "a", "sub-01_mask.nii.gz").mask_named
    assert only(tmp_path / "b", "sub-01_desc-brain_mask.nii.gz").mask_named
    assert only(tmp_path / "c", "sub-01_label-lesion_mask.nii.gz").mask_path is None


@pytest.mark.parametrize("name", ["sub-01_T1w_seg-manual", "sub-01_seg", "sub-01_T1w_label-hippo_seg", "sub-01_dseg"])
def test_label_files_by_other_names_are_taken(tmp_path: Path, name: str) -> None:
    scan = only(tmp_path, f"{name}.nii.gz")
    assert scan.seg_path is not None and scan.seg_path.name == f"{name}.nii.gz"


def test_label_files_that_belong_to_no_scan_are_listed(tmp_path: Path) -> None:
    anat = "derivatives/x/sub-01/anat"
    make(tmp_path, t1w("sub-01"), f"{anat}/sub-01_run-2_dseg.nii.gz", f"{anat}/sub-01_space-MNI_dseg.nii.gz")
    unused = told(read_source(tmp_path, "d"), "unused")
    assert "sub-*_run-2_dseg.nii.gz (1;" in unused and "sub-*_space-MNI_dseg.nii.gz (1; in another space)" in unused


@pytest.mark.parametrize(
    "names",
    [
        ("desc-leftHippocampus_mask", "desc-rightHippocampus_mask"),
        ("seg-hippocampusL_dseg", "seg-hippocampusR_dseg"),
        ("hippocampus_L_mask", "hippocampus_R_mask"),
    ],
)
def test_two_files_a_side_are_one_segmentation_whatever_says_the_side(tmp_path: Path, names: tuple[str, str]) -> None:
    make(tmp_path, t1w("sub-01"), *(f"derivatives/m/sub-01/anat/sub-01_{name}.nii.gz" for name in names))
    source = read_source(tmp_path, "d")
    assert [part.side for part in source.candidates[0].seg_parts] == ["left", "right"]
    assert len(source.labels) == 2 and {name.split()[0] for _, name in source.labels} == {"Left", "Right"}


def test_an_l_at_the_end_of_a_name_is_no_side_without_its_twin(tmp_path: Path) -> None:
    source = read_source(make(tmp_path, t1w("sub-01"), "derivatives/m/sub-01/anat/sub-01_desc-modelL_dseg.nii.gz"), "d")
    assert source.candidates[0].seg_path and not source.candidates[0].seg_parts


def test_masks_of_something_else_and_images_of_no_known_kind_are_named(tmp_path: Path) -> None:
    kinds = (
        "desc-lesion_mask",
        "desc-GM_mask",
        "lesionmask",
        "desc-bet_mask",
        "lh.hippo",
        "GM_probseg",
        "desc-x_FLAIR",
    )
    make(tmp_path, t1w("sub-01"), *(f"derivatives/m/sub-01/anat/sub-01_{kind}.nii.gz" for kind in kinds))
    make(tmp_path, "sub-01/anat/sub-01_T1w_lesion.nii.gz")
    source = read_source(tmp_path, "d")
    assert source.candidates[0].mask_path and source.candidates[0].mask_path.name == "sub-01_desc-bet_mask.nii.gz"
    unused = told(source, "unused")
    for kind in ("desc-lesion", "desc-GM", "lesionmask", "sub-01_lh.hippo.nii.gz", "sub-01_T1w_lesion.nii.gz"):
        assert kind in unused, kind
    assert "probseg" not in unused and "FLAIR" not in unused and "T1w_lesion" not in str(source.set_aside)
