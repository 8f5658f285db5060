"""Which scans a BIDS folder holds, whose they are, and what in `derivatives/` belongs to which."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from workbench.cohort import CohortConfig, run_cohort
from workbench.cohort.gather import gather, read_source
from workbench.cohort.layouts.layout import Options
from workbench.cohort.source import Candidate, Source
from workbench.errors import WorkbenchError
from workbench.testing import write_bids


def make(root: Path, *names: str) -> Path:
    """Empty files; listing opens none of them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def only(source: Source, name: str) -> Candidate:
    return next(c for c in source.candidates if c.path.name == name)


def test_without_sessions(tmp_path: Path) -> None:
    source = read_source(write_bids(tmp_path / "d", people=3), "d")
    assert [c.participant_id for c in source.candidates] == ["sub-01", "sub-02", "sub-03"]
    assert {c.session for c in source.candidates} == {""}
    first = source.candidates[0]
    assert first.values == {"site": "A", "scanner": "", "sex": "F", "age": 20.0, "diagnosis": "control"}
    assert first.seg_path == tmp_path / "d/derivatives/manual/sub-01/anat/sub-01_dseg.nii.gz"
    assert source.labels == [(1, "Right Hippocampus"), (2, "Left Hippocampus")] and not source.notes


def test_with_sessions_and_masks(tmp_path: Path) -> None:
    source = read_source(write_bids(tmp_path / "d", people=2, sessions=2, masks=True), "d")
    assert [(c.participant_id, c.session) for c in source.candidates] == [
        ("sub-01", "ses-1"),
        ("sub-01", "ses-2"),
        ("sub-02", "ses-1"),
        ("sub-02", "ses-2"),
    ]
    for c in source.candidates:
        assert c.seg_path and c.mask_path and c.session in c.seg_path.name and c.session in c.mask_path.name
        assert c.participant_id in c.seg_path.name and c.seg_path.is_file() and c.mask_path.is_file()


def test_both_endings_and_further_entities(tmp_path: Path) -> None:
    make(
        tmp_path,
        "sub-1/anat/sub-1_T1w.nii",
        "sub-1/anat/sub-1_acq-native_run-2_T1w.nii.gz",
        "sub-2/anat/sub-2_T1w.nii",
        "sub-2/anat/sub-2_T1w.nii.gz",
        "sub-3/anat/sub-3_T2w.nii.gz",
        "sub-3/func/sub-3_T1w.nii.gz",
        "sub-4/anat/._sub-4_T1w.nii.gz",
        "sub-4/anat/sub-4_T1w.json",
    )
    source = read_source(tmp_path, "d")
    assert [(c.path.name, c.entities) for c in source.candidates] == [
        ("sub-1_acq-native_run-2_T1w.nii.gz", "acq-native_run-2"),
        ("sub-1_T1w.nii", ""),
        ("sub-2_T1w.nii.gz", ""),
    ]
    aside = {Path(row["path"]).name: row["cause"] for row in source.set_aside}
    assert sorted(aside) == ["sub-2_T1w.nii", "sub-3", "sub-4"] and "only T2w (1)" in aside["sub-3"]


@pytest.mark.parametrize(
    "name",
    [
        "sub-1/anat/sub-2_T1w.nii.gz",
        "sub-1/ses-a/anat/sub-1_ses-b_T1w.nii.gz",
        "sub-1/ses-a/anat/sub-1_T1w.nii.gz",
        "sub-1/anat/sub-1_ses-a_T1w.nii.gz",
    ],
)
def test_a_name_that_contradicts_its_folder_is_set_aside(tmp_path: Path, name: str) -> None:
    source = read_source(make(tmp_path, name, "sub-3/anat/sub-3_T1w.nii.gz"), "d")
    assert len(source.candidates) == 1
    assert "the name says" in source.set_aside[0]["cause"] and source.set_aside[0]["participant"] == "d/sub-1"


def test_a_folder_without_a_scan_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="no T1w scan found"):
        read_source(make(tmp_path, "sub-1/func/sub-1_bold.nii.gz"), "d")


# participants ------------------------------------------------------------------------------------------------------


def people(root: Path, table: str, *, n: int = 3) -> Source:
    make(root, *(f"sub-{i}/anat/sub-{i}_T1w.nii.gz" for i in range(1, n + 1)))
    (root / "participants.tsv").write_text(table, encoding="utf-8")
    return read_source(root, "d")


def test_people_without_scans_and_scans_without_a_row_are_tolerated(tmp_path: Path) -> None:
    source = people(tmp_path, "participant_id\tsex\n1\tF\nsub-2\tM\nsub-8\tM\nsub-9\tM\n")
    assert [c.values["sex"] for c in source.candidates] == ["F", "M", None]
    assert any("2 of 4 people in participants.tsv have no T1w scan: sub-8, sub-9" in n for n in source.notes)
    assert any("1 people are not in participants.tsv: sub-3" in n for n in source.notes)


@pytest.mark.parametrize(
    ("table", "note"),
    [("", "empty"), ("participant_id sex\nsub-1 F\n", "separated by tabs"), ("id\tsex\n17\tF\n", "participant_id")],
)
def test_a_table_that_is_no_table_is_noted_and_the_scans_stay(tmp_path: Path, table: str, note: str) -> None:
    source = people(tmp_path, table)
    assert len(source.candidates) == 3 and any(note in text for text in source.notes)
    assert {c.values["site"] for c in source.candidates} == {"d"}  # an unknown site falls back to the data set


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["Male", "female", "n/a"], ["M", "F", None]),
        (["m", "f", "F"], ["M", "F", "F"]),
        (["1", "2", "2"], ["M", "F", "F"]),
        (["0", "1", "1"], [None] * 3),
        (["x", "F", ""], [None, "F", None]),
    ],
)
def test_sex_as_data_sets_write_it(tmp_path: Path, given: list[str], read: list[str | None]) -> None:
    rows = "".join(f"sub-{i}\t{sex}\n" for i, sex in enumerate(given, start=1))
    source = people(tmp_path, f"participant_id\tGender\n{rows}")
    assert [c.values["sex"] for c in source.candidates] == read
    if given[0] in "01x":
        assert any("sex" in note for note in source.notes)


def test_levels_in_participants_json_decide(tmp_path: Path) -> None:
    (tmp_path / "participants.json").write_text(json.dumps({"sex": {"Levels": {"0": "female", "1": "male"}}}))
    source = people(tmp_path, "participant_id\tsex\nsub-1\t0\nsub-2\t1\nsub-3\t0\n")
    assert [c.values["sex"] for c in source.candidates] == ["F", "M", "F"]


def test_ages_and_names_that_clash(tmp_path: Path) -> None:
    source = people(
        tmp_path,
        "participant_id\tAge\tpath\tsite_id\tsplit\nsub-1\t034Y\t/x\tA\ttest\nsub-2\t89+\t/y\tB\t"
        "n/a\nsub-3\told\t/z\tC\ttrain\n",
    )
    ages = [c.values["age"] for c in source.candidates]
    assert ages[:2] == [34, 89] and math.isnan(ages[2]) and any("'old'" in note for note in source.notes)
    assert source.candidates[0].values["path_given"] == "/x" and source.candidates[1].values["site"] == "B"
    assert source.candidates[0].values["split_given"] == "test" and "split_given" not in source.candidates[1].values


def test_latin_letters_and_a_byte_order_mark(tmp_path: Path) -> None:
    make(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")
    (tmp_path / "participants.tsv").write_bytes("participant_id\tsite\nsub-1\tZürich\n".encode("latin-1"))
    assert read_source(tmp_path, "d").candidates[0].values["site"] == "Zürich"
    (tmp_path / "participants.tsv").write_bytes("participant_id\tsite\nsub-1\tZürich\n".encode("utf-8-sig"))
    assert read_source(tmp_path, "d").candidates[0].values["site"] == "Zürich"


def test_a_session_has_values_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, "sub-1/ses-01/anat/sub-1_ses-01_T1w.nii.gz", "sub-1/ses-02/anat/sub-1_ses-02_T1w.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\tage\tdiagnosis\nsub-1\tF\t70\tMCI\n")
    (tmp_path / "sub-1/sub-1_sessions.tsv").write_text("session_id\tage\tdiagnosis\nses-01\t70\tn/a\nses-02\t73\tAD\n")
    first, second = (c.values for c in read_source(tmp_path, "d").candidates)
    assert (first["age"], first["diagnosis"], second["age"], second["diagnosis"]) == (70, "MCI", 73, "AD")
    assert first["sex"] == second["sex"] == "F"


def test_the_scanner_from_the_sidecar_where_the_table_is_silent(tmp_path: Path) -> None:
    make(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")
    (tmp_path / "sub-1/anat/sub-1_T1w.json").write_text(
        json.dumps({"Manufacturer": "Siemens", "ManufacturersModelName": "Prisma", "MagneticFieldStrength": 3})
    )
    assert read_source(tmp_path, "d").candidates[0].values["scanner"] == "Siemens Prisma 3T"


@pytest.mark.parametrize("description", [{"Simulated": True}, {"GeneratedBy": [{"Name": "workbench simulate"}]}])
def test_simulated_data_say_so(tmp_path: Path, description: dict) -> None:
    make(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")
    assert not read_source(tmp_path, "d").candidates[0].simulated
    (tmp_path / "dataset_description.json").write_text(json.dumps(description))
    assert read_source(tmp_path, "d").candidates[0].simulated


# derivatives -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seg",
    [
        "sub-1/ses-a/anat/sub-1_ses-a_dseg.nii.gz",
        "sub-1/anat/sub-1_ses-a_dseg.nii",
        "sub-1/sub-1_ses-a_dseg.nii.gz",
        "sub-1/ses-a/sub-1_dseg.nii.gz",
        "sub-1/ses-a/anat/sub-1_ses-a_space-T1w_desc-aseg_dseg.nii.gz",
    ],
)
def test_a_segmentation_with_or_without_a_session_level(tmp_path: Path, seg: str) -> None:
    make(
        tmp_path,
        "sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz",
        "sub-1/ses-b/anat/sub-1_ses-b_T1w.nii.gz",
        f"derivatives/x/{seg}",
    )
    source = read_source(tmp_path, "d")
    assert only(source, "sub-1_ses-a_T1w.nii.gz").seg_path == tmp_path / "derivatives/x" / seg
    assert only(source, "sub-1_ses-b_T1w.nii.gz").seg_path is None
    assert any("1 of 2 scans have no segmentation" in note for note in source.notes)


def test_entities_tell_which_scan_was_segmented(tmp_path: Path) -> None:
    make(
        tmp_path,
        "sub-1/anat/sub-1_T1w.nii.gz",
        "sub-1/anat/sub-1_acq-native_T1w.nii.gz",
        "sub-2/anat/sub-2_acq-mprage_T1w.nii.gz",
        "derivatives/x/sub-1/anat/sub-1_acq-native_dseg.nii.gz",
        "derivatives/x/sub-2/anat/sub-2_dseg.nii.gz",
    )
    source = read_source(tmp_path, "d")
    assert only(source, "sub-1_T1w.nii.gz").seg_path is None
    assert only(source, "sub-1_acq-native_T1w.nii.gz").seg_path is not None
    assert only(source, "sub-2_acq-mprage_T1w.nii.gz").seg_path is not None  # there is no other scan it could mean


@pytest.mark.parametrize(
    "seg",
    [
        "sub-1/anat/sub-1_space-MNI152NLin6Asym_dseg.nii.gz",
        "sub-1/anat/sub-2_dseg.nii.gz",
        "sub-1/anat/sub-1_run-2_dseg.nii.gz",
        "sub-1/anat/sub-1_ses-b_dseg.nii.gz",
        "sub-1/anat/sub-1_dseg.tsv",
        "sub-1/func/sub-1_task-rest_space-T1w_dseg.nii.gz",
    ],
)
def test_a_segmentation_of_something_else_is_not_taken(tmp_path: Path, seg: str) -> None:
    make(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", "sub-2/anat/sub-2_T1w.nii.gz", f"derivatives/x/{seg}")
    assert {c.seg_path for c in read_source(tmp_path, "d").candidates} == {None}


def test_of_two_derivatives_one_serves_all_and_the_report_says_which(tmp_path: Path) -> None:
    make(
        tmp_path,
        *(f"sub-{i}/anat/sub-{i}_T1w.nii.gz" for i in (1, 2)),
        "derivatives/a/sub-1/anat/sub-1_dseg.nii.gz",
        *(f"derivatives/b/sub-{i}/anat/sub-{i}_{v}dseg.nii.gz" for i in (1, 2) for v in ("", "desc-x_")),
        "derivatives/b/sub-1/anat/sub-1_desc-y_dseg.nii.gz",
    )
    for name, code in (("a", 1), ("b", 2)):
        (tmp_path / f"derivatives/{name}/dseg.tsv").write_text(f"index\tname\n{code}\tHippocampus_L\n")
    first, chosen = read_source(tmp_path, "d"), read_source(tmp_path, "d", Options(segmentations="b"))
    assert [bool(c.seg_path) for c in first.candidates] == [True, False]  # not mixed: the codes could differ
    assert first.labels == [(1, "Hippocampus_L")] and chosen.labels == [(2, "Hippocampus_L")]
    assert [c.seg_path.name for c in chosen.candidates if c.seg_path] == ["sub-1_dseg.nii.gz", "sub-2_dseg.nii.gz"]
    assert any("taken from derivatives/a, not from: b, b desc-x, b desc-y" in note for note in first.notes)


def test_the_label_table_of_the_variant_comes_first(tmp_path: Path) -> None:
    make(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", "derivatives/x/sub-1/anat/sub-1_desc-aseg_dseg.nii.gz")
    assert any("no dseg.tsv" in note for note in read_source(tmp_path, "d").notes)
    (tmp_path / "derivatives/x/sub-1/anat/sub-1_desc-aseg_dseg.tsv").write_text("index\tname\n1\tbeside\n")
    assert read_source(tmp_path, "d").labels == [(1, "beside")]
    (tmp_path / "derivatives/x/dseg.tsv").write_text("index\tname\n1\troot\n")
    assert read_source(tmp_path, "d").labels == [(1, "root")]
    (tmp_path / "derivatives/x/desc-aseg_dseg.tsv").write_text("index\tname\n1\tvariant\n")
    assert read_source(tmp_path, "d").labels == [(1, "variant")]
    (tmp_path / "derivatives/x/desc-aseg_dseg.tsv").write_text("index\tname\nx\tvariant\n")
    assert any("not a whole number" in note for note in read_source(tmp_path, "d").notes)


def test_a_brain_mask_is_a_brain_mask(tmp_path: Path) -> None:
    anat = "derivatives/x/sub-1/anat/sub-1"
    make(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", f"{anat}_label-lesion_mask.nii.gz", f"{anat}_desc-roi_mask.nii.gz")
    assert read_source(tmp_path, "d").candidates[0].mask_path is None
    make(tmp_path, f"{anat}_mask.nii.gz")
    assert read_source(tmp_path, "d").candidates[0].mask_path == tmp_path / f"{anat}_mask.nii.gz"
    make(tmp_path, f"{anat}_desc-brain_mask.nii.gz")
    assert read_source(tmp_path, "d").candidates[0].mask_path == tmp_path / f"{anat}_desc-brain_mask.nii.gz"


def test_levels_that_explain_do_not_hide_codes_that_speak_for_themselves(tmp_path):
    root = write_bids(tmp_path / "set", people=2)
    (root / "participants.json").write_text(
        json.dumps({"sex": {"Levels": {"F": "female: as reported", "M": "male: as reported"}}})
    )
    run = run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[root], workers=1))
    assert set(run.read_table("scans")["sex"]) == {"F", "M"}


def test_a_name_that_is_not_utf_8_and_half_a_character_end_no_cohort(tmp_path: Path) -> None:
    """As an old archive unpacks them: the one is set aside by name, what the other says is left out."""
    root = write_bids(tmp_path / "toy", people=3, spacing=(8, 8, 8), shape=(7, 8, 6))
    first, second, _ = sorted(root.glob("sub-*"))
    first.rename(root / os.fsdecode(b"sub-\xe9"))
    anat = second / "anat"
    (anat / f"{second.name}_T1w.json").write_text('{"Manufacturer": "\\ud800"}')
    (root / os.fsdecode(b"n\xf6tes.txt")).touch()
    run = run_cohort(CohortConfig(out=tmp_path / "cohort", sources=(root,), workers=1))
    assert len(run.read_table("scans")) == 2
    (path,) = run.read_table("set_aside")["path"]
    assert "sub-\\udce9" in path
    with pytest.raises(WorkbenchError, match="not UTF-8"):
        gather([tmp_path / os.fsdecode(b"d\xe9")])
