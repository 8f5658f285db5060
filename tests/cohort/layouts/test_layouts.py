"""Data sets as downloaded: whose, where and what, told from trees with the true names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.cohort.layouts import trees
from workbench.cohort.build import run_cohort
from workbench.cohort.cohort import Cohort, load_cohort
from workbench.cohort.config import CohortConfig
from workbench.cohort.gather import gather
from workbench.cohort.layouts.table import LAYOUTS, layout_of
from workbench.cohort.source import Source
from workbench.errors import WorkbenchError
from workbench.testing import MARKER_MM, write_bids

MADE: dict[str, Callable[[Path], Path]] = {
    "IXI": trees.ixi,
    "ADNI": trees.adni,
    "AIBL": trees.aibl,
    "OASIS-1, OASIS-2": trees.oasis1,
    "OASIS-3": trees.oasis3,
    "HarP": trees.harp,
    "BraTS": trees.brats,
    "nnU-Net raw": trees.nnunet,
    "FreeSurfer": trees.freesurfer,
    "FOMO60K": trees.fomo,
}


def read(root: Path) -> Source:
    (source,) = gather([root])
    return source


def told(source: Source) -> str:
    return "\n".join(source.notes)


ELSEWHERE = {"BIDS", "table", "Medical Segmentation Decathlon"}  # each has tests of its own


def test_each_layout_has_a_tree_and_a_row_in_your_data() -> None:
    told = (Path(__file__).parents[3] / "docs" / "your-data.md").read_text().lower()
    for layout in LAYOUTS:
        assert f"\n| {layout.name.lower()}" in told, f"{layout.name}: docs/your-data.md has no row of it"
        assert layout.name in {*MADE, *ELSEWHERE}, f"{layout.name}: no tree in trees.py, or no line in MADE"


@pytest.mark.parametrize("name", MADE)
def test_each_layout_is_recognised(name: str, tmp_path: Path) -> None:
    """By itself alone, so that the order of the table decides nothing; nnU-Net 1 grew out of the Decathlon's."""
    root = MADE[name](tmp_path / "data")
    others = {layout.name for layout in LAYOUTS if layout.recognises(root)} - {name}
    layout = layout_of(root)
    assert layout is not None and layout.name == name
    assert others <= ({"Medical Segmentation Decathlon"} if name == "nnU-Net raw" else set())


@pytest.mark.parametrize("name", MADE)
def test_a_cohort_of_each_layout(name: str, tmp_path: Path) -> None:
    root = MADE[name](tmp_path / "data")
    run_cohort(CohortConfig.build({"out": tmp_path / "cohort", "sources": [root], "workers": 1}))
    cohort = load_cohort(tmp_path / "cohort")
    assert len(cohort.table) >= 3 and not (cohort.set_aside["kind"] == "scan").any()
    assert cohort.table["scan_id"].is_unique and cohort.table["participant"].nunique() >= 2
    if name in ("HarP", "BraTS", "nnU-Net raw", "FreeSurfer"):
        assert cohort.table["seg_path"].notna().sum() >= 3 and len(cohort.labels) >= 2


@pytest.mark.parametrize("name", MADE)
def test_a_level_too_high_or_too_low_is_named(name: str, tmp_path: Path) -> None:
    root = MADE[name](tmp_path / "above" / "data")
    shutil.rmtree(tmp_path / "above" / "data_tables", ignore_errors=True)
    here = {c.path for c in read(root).candidates}
    try:
        assert {c.path for c in read(tmp_path / "above").candidates} == here  # some readers look a level further
    except WorkbenchError as error:
        assert str(root) in error.remedy and name in error.cause
    below = next(folder for folder in sorted(root.iterdir()) if folder.is_dir())
    if layout_of(below) is None:
        with pytest.raises(WorkbenchError) as caught:
            gather([below])
        assert name in caught.value.cause


def test_dicom_is_named_with_the_command_that_converts_it(tmp_path: Path) -> None:
    (tmp_path / "scanner" / "1").mkdir(parents=True)
    (tmp_path / "scanner" / "1" / "IM000001").write_bytes(bytes(128) + b"DICM" + bytes(64))
    with pytest.raises(WorkbenchError) as caught:
        gather([tmp_path / "scanner"])
    assert "DICOM" in caught.value.what and "IM000001" in caught.value.cause
    assert "dcm2niix" in caught.value.remedy and str(tmp_path / "scanner") in caught.value.remedy


def test_ixi_site_from_the_name_sex_and_age_from_the_spreadsheet(tmp_path: Path) -> None:
    root = trees.ixi(tmp_path / "ixi")
    source = read(root)
    values = {c.participant_id: c.values for c in source.candidates}
    assert sorted(values) == ["IXI012", "IXI019", "IXI026", "IXI033", "IXI040", "IXI047"]
    assert [values[p]["sex"] for p in sorted(values)] == ["M"] * 3 + ["F"] * 3
    assert [values[p]["age"] for p in sorted(values)] == [30.5 + i for i in range(6)]
    assert "IXI.xlsx" in told(source)
    # the folder of the scans alone finds the spreadsheet beside it
    assert [c.values["age"] for c in read(root / "IXI-T1").candidates] == [30.5 + i for i in range(6)]


def test_ixi_rows_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    root = trees.ixi(tmp_path / "ixi", people=3)
    (root / "IXI.xlsx").unlink()
    rows = [[12, 1, 40.0], [12, 2, 40.0], [19, 2, 50.0]]
    trees.csv(root / "IXI.csv", ["IXI_ID", "SEX_ID (1=m; 2=f)", "AGE"], rows)
    source = read(root)
    values = {c.participant_id: c.values for c in source.candidates}
    assert values["IXI012"]["sex"] is None and values["IXI012"]["age"] == 40 and values["IXI019"]["sex"] == "F"
    assert "contradict" in told(source) and "IXI012" in told(source) and "IXI026" in told(source)


def test_adni_takes_each_acquisition_once_and_finds_its_visit(tmp_path: Path) -> None:
    source = read(trees.adni(tmp_path / "ADNI", people=3))
    assert len(source.candidates) == 6 and "1 images are other versions" in told(source)
    first = source.candidates[0]
    assert (first.participant_id, first.session) == ("002_S_0295", "2006-04-18")
    assert "N3__Scaled" in first.path.name  # of two versions the most processed
    later = next(c for c in source.candidates if c.participant_id == "002_S_0295" and c.session == "2007-04-18")
    assert later.values["age"] == pytest.approx(71.0, abs=0.1)  # AGE is that of the first visit
    assert (first.values["diagnosis"], later.values["diagnosis"]) == ("CN", "MCI")
    assert {c.values["diagnosis"] for c in source.candidates} == {"CN", "MCI", "AD"}
    assert [c.values["sex"] for c in source.candidates[::2]] == ["M", "F", "M"]


def test_adni_visits_far_from_the_scan_are_not_its_own(tmp_path: Path) -> None:
    root = trees.adni(tmp_path / "ADNI", people=1, visits=1)
    table = tmp_path / "ADNI_tables" / "ADNIMERGE.csv"
    table.write_text(table.read_text().replace("bl,2006-04-10", "bl,2005-04-10"))
    (candidate,) = read(root).candidates
    assert candidate.values.get("diagnosis") is None and candidate.values["sex"] == "M"


def test_adni_the_list_of_the_search_is_by_image(tmp_path: Path) -> None:
    root = trees.adni(tmp_path / "ADNI", people=2, visits=1)
    shutil.rmtree(tmp_path / "ADNI_tables")
    header = ["Image Data ID", "Subject", "Group", "Sex", "Age", "Visit"]
    trees.csv(root / "search_4_18_2026.csv", header, [["I118771", "011_S_0296", "AD", "F", 81, "sc"]])
    source = read(root)
    ages = {c.participant_id: c.values["age"] for c in source.candidates}
    assert ages["011_S_0296"] == 81 and ages["002_S_0295"] != ages["002_S_0295"]  # unknown is NaN
    assert "1 of 2 images are in the list" in told(source)


def test_a_file_in_the_folder_of_somebody_else_is_set_aside(tmp_path: Path) -> None:
    root = trees.adni(tmp_path / "ADNI", people=2, visits=1)
    path = next((root / "011_S_0296").rglob("*.nii"))
    path.rename(path.with_name(path.name.replace("011_S_0296", "002_S_0295")))
    source = read(root)
    assert [row["cause"] for row in source.set_aside] == ["the name says 002_S_0295, its folder 011_S_0296"]
    assert {c.participant_id for c in source.candidates} == {"002_S_0295"}


def test_aibl_diagnosis_by_visit_and_age_by_year_of_birth(tmp_path: Path) -> None:
    source = read(trees.aibl(tmp_path / "AIBL"))
    values = {c.participant_id: c.values for c in source.candidates}
    assert [values[str(3 + i)]["diagnosis"] for i in range(4)] == ["CN", "CN", "AD", "AD"]
    assert values["3"]["age"] == 2009 - 1935 and values["3"]["sex"] == "M" and values["5"]["sex"] == "F"
    assert "3T" in values["3"]["scanner"] and "one off" in told(source)


def test_oasis_sessions_are_of_one_person_and_one_scan_each(tmp_path: Path) -> None:
    source = read(trees.oasis1(tmp_path / "oasis"))
    assert [(c.participant_id, c.session) for c in source.candidates] == [
        ("OAS1_0001", "MR1"),
        ("OAS1_0001", "MR2"),
        ("OAS1_0002", "MR1"),
    ]
    assert all("SUBJ_111" in c.path.parts for c in source.candidates)
    assert [c.values["sex"] for c in source.candidates] == ["F", "F", "M"]
    assert [c.values["age"] for c in source.candidates] == [74, 75, 76]


def test_oasis_discs_hold_analyze_whose_side_is_unknown(tmp_path: Path) -> None:
    source = read(trees.oasis1(tmp_path / "oasis", ".img"))
    assert {c.path.suffix for c in source.candidates} == {".img"} and "which side is left" in told(source)


def test_oasis3_age_and_visit_by_days(tmp_path: Path) -> None:
    source = read(trees.oasis3(tmp_path / "oasis3"))
    assert [(c.participant_id, c.session) for c in source.candidates] == [
        ("OAS30001", "d0129"),
        ("OAS30001", "d0757"),
        ("OAS30002", "d0371"),
    ]
    assert [c.values["age"] for c in source.candidates] == pytest.approx([65.4, 67.1, 71.5])
    assert [c.values.get("CDRTOT") for c in source.candidates] == ["0.0", "0.5", None]  # nobody within a year
    assert [c.values["sex"] for c in source.candidates] == ["F", "F", "M"]


def test_harp_people_carry_their_adni_id(tmp_path: Path) -> None:
    source = read(trees.harp(tmp_path / "harp", people=2))
    assert [c.participant_id for c in source.candidates] == ["027_S_0297", "002_S_0298"] or [
        c.participant_id for c in source.candidates
    ] == ["002_S_0298", "027_S_0297"]
    assert source.labels == [(1, "Left Hippocampus"), (2, "Right Hippocampus")]


def test_harp_labels_without_their_scan_are_told(tmp_path: Path) -> None:
    root = trees.harp(tmp_path / "harp", people=2)
    next((root / "100").glob("*.nii")).unlink()
    source = read(root)
    assert len(source.candidates) == 1 and [row["kind"] for row in source.set_aside] == ["segmentation"]


def harp_sides(root: Path, out: Path, flip: bool) -> Cohort:
    trees.harp(root, people=1)
    if flip:
        left, right = sorted(root.rglob("Labels_*/*.nii"))
        left.rename(root / "x")
        right.rename(left)
        (root / "x").rename(right)
    run_cohort(CohortConfig.build({"out": out, "sources": [root], "workers": 1}))
    return load_cohort(out)


def test_harp_label_files_are_one_segmentation_with_its_sides(tmp_path: Path) -> None:
    table = harp_sides(tmp_path / "harp", tmp_path / "c", flip=False).table
    image = nib.load(table["seg_path"].iloc[0])
    data = np.asarray(image.dataobj)
    sides = {code: (image.affine @ [*np.argwhere(data == code).mean(0), 1])[0] for code in (1, 2)}
    assert sides[1] < 0 < sides[2]  # 1 is left, and negative x is left


def test_harp_label_files_whose_sides_contradict_their_names_are_set_aside(tmp_path: Path) -> None:
    """Public readers of HarP name four such scans."""
    cohort = harp_sides(tmp_path / "harp", tmp_path / "c", flip=True)
    assert cohort.table["seg_path"].isna().all()
    (row,) = cohort.set_aside.itertuples()
    assert row.kind == "segmentation" and "right of" in row.cause


@pytest.mark.parametrize("year", trees.BRATS)
def test_brats_of_every_year(year: int, tmp_path: Path) -> None:
    source = read(trees.brats(tmp_path / "brats", year))
    people = {c.participant_id for c in source.candidates}
    assert len(people) == 3 and all(c.seg_path for c in source.candidates)
    assert all(c.path.name.split(".")[0].endswith(("t1", "t1n")) for c in source.candidates)
    if year == 2024:  # -100 and -101 are one person
        assert people == {f"BraTS-GLI-0000{i}" for i in (1, 2, 3)}
        assert sorted({c.session for c in source.candidates}) == ["100", "101"]
    if year == 2020:
        assert {c.values["site"] for c in source.candidates} == {"CBICA"}
    names = dict(source.labels)
    assert "nhancing" in names[3 if year > 2021 else 4]


def test_brats_years_whose_codes_differ_do_not_share_labels(tmp_path: Path) -> None:
    trees.brats(tmp_path / "brats", 2021)
    source = read(trees.brats(tmp_path / "brats", 2023))
    assert not any(c.seg_path for c in source.candidates) and "each year as a source" in told(source)


@pytest.mark.parametrize("version", [1, 2])
def test_nnunet_of_both_versions(version: int, tmp_path: Path) -> None:
    source = read(trees.nnunet(tmp_path / "d", version, ("FLAIR", "T1")))
    assert [c.path.name for c in source.candidates] == [
        "hippo_000_0001.nii.gz",
        "hippo_001_0001.nii.gz",
        "hippo_002_0001.nii.gz",
        "hippo_900_0001.nii.gz",
    ]
    assert [c.seg_path.name if c.seg_path else None for c in source.candidates][:1] == ["hippo_000.nii.gz"]
    assert source.labels == [(1, "Left Hippocampus"), (2, "Right Hippocampus")]
    assert "only T1 is taken" in told(source) and "not a person" in told(source)


def test_a_decathlon_folder_with_four_digits_is_no_nnunet(tmp_path: Path) -> None:
    root = trees.nnunet(tmp_path / "d", 1)
    shutil.rmtree(root / "imagesTs")
    for path in (root / "labelsTr").iterdir():
        path.rename(path.with_name(path.name.replace(".nii.gz", "_0000.nii.gz")))
    (root / "dataset.json").write_text((root / "dataset.json").read_text().replace(".nii.gz", "_0000.nii.gz"))
    assert [c.participant_id for c in read(root).candidates] == [f"hippo_{i:03d}_0000" for i in range(3)]


def test_nnunet_without_t1w_is_refused_by_its_channels(tmp_path: Path) -> None:
    root = trees.nnunet(tmp_path / "d", 2, ("FLAIR", "T2"))
    with pytest.raises(WorkbenchError) as caught:
        gather([root])
    assert "FLAIR" in caught.value.cause and "T2" in caught.value.cause


def test_freesurfer_people_sessions_and_templates(tmp_path: Path) -> None:
    source = read(trees.freesurfer(tmp_path / "subjects", ("OAS1_0001_MR1", "OAS1_0001_MR2", "bert", "fsaverage")))
    assert [(c.participant_id, c.session) for c in source.candidates] == [
        ("OAS1_0001", "MR1"),
        ("OAS1_0001", "MR2"),
        ("bert", ""),
    ]
    assert dict(source.labels)[53] == "Right-Hippocampus" and "fsaverage" in told(source) and "bert" in told(source)


def test_freesurfer_longitudinal_runs_are_no_further_scans(tmp_path: Path) -> None:
    names = ("sub-1_ses-1", "sub-1_ses-1.long.sub-1_base", "sub-1_ses-2.long.sub-1_base", "sub-1_base")
    source = read(trees.freesurfer(tmp_path / "subjects", names))
    assert [(c.participant_id, c.session) for c in source.candidates] == [("sub-1", "ses-1"), ("sub-1", "ses-2")]
    assert "sub-1_base" in told(source)


def test_fomo_people_are_of_the_set_that_they_came_from(tmp_path: Path) -> None:
    source = read(trees.fomo(tmp_path / "fomo"))
    assert [(c.participant_id, c.session, c.entities) for c in source.candidates] == [
        ("PT001_OASIS1_sub_1", "ses_1", ""),
        ("PT001_OASIS1_sub_1", "ses_1", "2"),
        ("PT005_IXI_sub_2", "ses_1", ""),
    ]
    assert [c.values["sex"] for c in source.candidates] == ["M", "M", "F"] and "flair (1)" in told(source)


def test_a_root_of_many_bids_data_sets(tmp_path: Path) -> None:
    for number in range(3):
        write_bids(tmp_path / "OpenMind" / f"ds00011{number}", people=2, seed=number)
    (tmp_path / "OpenMind" / "ds000200" / "sub-01" / "func").mkdir(parents=True)
    sources = gather([tmp_path / "OpenMind"])
    assert [source.dataset for source in sources if source.candidates] == ["ds000110", "ds000111", "ds000112"]
    assert any("ds000200" in note for source in sources for note in source.notes)


def test_sides_are_kept_from_the_disk_to_the_cohort(tmp_path: Path) -> None:
    """FreeSurfer stores LIA; the left hippocampus must stay left of the marker's side."""
    source = read(trees.freesurfer(tmp_path / "subjects", ("bert",)))
    (candidate,) = source.candidates
    image = nib.load(candidate.seg_path)
    at = np.argwhere(np.asarray(image.dataobj) == 17).mean(0)
    assert np.sign((image.affine @ [*at, 1])[0]) == np.sign(MARKER_MM[0])


def test_adni_numbers_of_five_digits_are_nobody_elses(tmp_path: Path) -> None:
    root = tmp_path / "ADNI"
    for person, image in (("002_S_0295", 1), ("123_S_10295", 2)):
        folder = root / person / "MPRAGE" / "2006-04-18_08_20_30.0" / f"I{image}"
        folder.mkdir(parents=True)
        (folder / f"ADNI_{person}_MR_MPRAGE_br_raw_20060418201820420_32_S{image}_I{image}.nii").touch()
    # as a spreadsheet program of another country writes it
    (tmp_path / "DXSUM.csv").write_text("PTID;RID;EXAMDATE;DIAGNOSIS\n002_S_0295;295;4/20/06;3\n")
    source = read(root)
    assert {c.participant_id: c.values.get("diagnosis") for c in source.candidates} == {
        "002_S_0295": "AD",
        "123_S_10295": None,
    }


def test_a_table_of_another_data_set_beside_it_is_not_read(tmp_path: Path) -> None:
    root = trees.freesurfer(tmp_path / "fs", ("sub-01",))
    other = write_bids(tmp_path / "other", people=1, spacing=(8, 8, 8), shape=(6, 6, 6))
    assert "no participants.tsv" in told(read(root))
    shutil.copy(other / "participants.tsv", tmp_path)
    assert read(root).candidates[0].values["age"] == 20


def test_brats_without_a_time_and_names_that_are_not_understood(tmp_path: Path) -> None:
    for name in ("BraTS-GoAT-00001/BraTS-GoAT-00001-t1n", "BraTS-GoAT-00001/copy of t1n"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.nii.gz").touch()
    source = read(tmp_path)
    assert [(c.participant_id, c.session) for c in source.candidates] == [("BraTS-GoAT-00001", "")]
    assert "1 images have names that are not understood, and are not used: copy of t1n.nii.gz" in told(source)


def test_nnunet_without_names_is_told_and_several_channels_are_refused(tmp_path: Path) -> None:
    root = trees.nnunet(tmp_path / "d", people=1)
    (root / "dataset.json").write_text("{}")
    shutil.copy(next((root / "labelsTr").iterdir()), root / "labelsTr" / "other.nii.gz")
    source = read(root)
    assert "codes have no names" in told(source) and "belong to no case that is taken: other.nii.gz" in told(source)
    image = next((root / "imagesTr").iterdir())
    shutil.copy(image, image.with_name(image.name.replace("_0000", "_0001")))
    with pytest.raises(WorkbenchError, match="does not name its channels"):
        read(root)


def test_a_folder_is_not_said_to_be_what_lies_beside_it(tmp_path: Path) -> None:
    trees.brats(tmp_path / "brats")
    (tmp_path / "mine/deep").mkdir(parents=True)
    (tmp_path / "mine/deep/a.nii.gz").touch()
    with pytest.raises(WorkbenchError, match="not a source of scans") as error:
        read(tmp_path / "mine/deep")
    assert "BraTS" not in error.value.remedy and "table" in error.value.remedy and "a.nii.gz" in error.value.cause


def test_rows_that_contradict_each_other_are_told_of_every_set(tmp_path: Path) -> None:
    root = trees.oasis3(tmp_path / "oasis3")
    table = next(path for path in tmp_path.rglob("OASIS3_demographics*.csv"))
    header, first, *_ = table.read_text().splitlines()
    place = header.split(",").index("AgeatEntry")
    cells = first.split(",")
    cells[place] = "99.5"
    table.write_text("\n".join([table.read_text().strip(), ",".join(cells)]) + "\n")
    source = read(root)
    person = cells[header.split(",").index("OASISID")]
    assert (
        f"1 people have rows that contradict each other; what they contradict in is left out: {person} (AgeatEntry)"
        in (told(source))
    )
    mine = [c.values["age"] for c in source.candidates if c.participant_id == person]
    assert mine and all(np.isnan(mine))


def test_harp_labels_by_the_number_of_the_series_or_of_the_image(tmp_path: Path) -> None:
    for number in ("13894", "45117"):
        root = tmp_path / number
        (root / "Labels").mkdir(parents=True)
        (root / "ADNI_002_S_0413_MR_MPRAGE_br_raw_20060418_32_S13894_I45117.nii").touch()
        for side in "LR":
            (root / "Labels" / f"ADNI_002_S_0413_{number}_{side}.nii").touch()
        assert len(read(root).candidates[0].seg_parts) == 2


def test_what_is_still_packed_is_named(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "IXI-T1.tar").touch()
    with pytest.raises(WorkbenchError, match="not a source of scans") as error:
        read(tmp_path / "d")
    assert "IXI-T1.tar" in error.value.cause and error.value.remedy == "unpack them"
