"""Decathlon folders and CSV tables; what an untrusted listing may name; names of data sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.phantom import write_bids
from workbench.cohort.gather import dataset_names, gather, read_source
from workbench.cohort.layouts.layout import Options
from workbench.errors import ConfigError, WorkbenchError


def decathlon(root: Path, **listing: object) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(listing))
    return root


def test_cases_with_and_without_labels(tmp_path: Path) -> None:
    root = decathlon(
        tmp_path,
        labels={"0": "background", "1": "Anterior", "2": "Posterior"},
        test=["./imagesTs/c.nii"],
        training=[{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
    )
    source = read_source(root, "d")
    assert [(c.participant_id, c.path, c.seg_path) for c in source.candidates] == [
        ("a", tmp_path / "imagesTr/a.nii.gz", tmp_path / "labelsTr/a.nii.gz"),
        ("c", tmp_path / "imagesTs/c.nii", None),
    ]
    assert source.labels == [(1, "Anterior"), (2, "Posterior")] and "not a person" in source.notes[0]


def test_labels_as_nnunet_writes_them(tmp_path: Path) -> None:
    root = decathlon(tmp_path, labels={"background": 0, "Anterior": 1}, training=[{"image": "a.nii.gz"}])
    assert read_source(root, "d").labels == [(1, "Anterior")]


@pytest.mark.parametrize(
    "escape",
    [
        "../secret.nii.gz",
        "imagesTr/../../secret.nii.gz",
        "/etc/secret.nii.gz",
        "..\\secret.nii.gz",
        "C:\\secret.nii.gz",
        "",
        None,
        3,
        ["a"],
    ],
)
def test_a_listing_cannot_point_outside_its_folder(tmp_path: Path, escape: object) -> None:
    root = decathlon(
        tmp_path / "d",
        training=[{"image": escape, "label": "labelsTr/a.nii.gz"}, {"image": "imagesTr/b.nii.gz", "label": escape}],
    )
    source = read_source(root, "d")
    assert all(root in c.path.parents and c.seg_path is None for c in source.candidates)
    assert len(source.candidates) == 1
    assert [row["kind"] for row in source.set_aside] == ["scan"] if escape is None else ["scan", "segmentation"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"training": 3}', '{"training": []}'])
def test_a_listing_without_cases_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(WorkbenchError, match=r"dataset\.json"):
        read_source(tmp_path, "d")


def test_a_table_with_every_column(tmp_path: Path) -> None:
    (tmp_path / "dseg.tsv").write_text("index\tname\n1\tHippocampus_L\n")
    (tmp_path / "scans.csv").write_text(
        "path,participant,session,site,scanner,sex,age,seg_path,mask_path,diagnosis\n"
        'a.nii.gz,p1,base,A,"Siemens, 3T",F,70,seg/a.nii.gz,m/a.nii.gz,AD\n'
        "/abs/b.nii.gz,p1,late,,,F,72,,,n/a\n"
    )
    source = read_source(tmp_path / "scans.csv", "scans")
    first, second = source.candidates
    assert (first.path, first.seg_path, first.mask_path) == (
        tmp_path / "a.nii.gz",
        tmp_path / "seg/a.nii.gz",
        tmp_path / "m/a.nii.gz",
    )
    assert (second.path, second.seg_path, second.session) == (Path("/abs/b.nii.gz"), None, "late")
    assert first.participant_id == second.participant_id == "p1"
    assert first.values == {"site": "A", "scanner": "Siemens, 3T", "sex": "F", "age": 70.0, "diagnosis": "AD"}
    assert second.values["site"] == "scans" and source.labels == [(1, "Hippocampus_L")] and not source.notes


@pytest.mark.parametrize(
    ("name", "text"),
    [("t.csv", "path;sex\na.nii;F\n"), ("t.tsv", "path\tsex\na.nii\tF\n"), ("t.csv", "path,sex\na.nii,F\n\n")],
)
def test_separators(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    source = read_source(tmp_path / name, "t")
    assert [(c.participant_id, c.values["sex"]) for c in source.candidates] == [("a", "F")]
    assert "each scan counts as a person" in source.notes[0]


def test_a_row_without_a_person_is_set_aside_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,participant\na.nii,p1\nb.nii,\n,p3\n")
    source = read_source(tmp_path / "t.csv", "t")
    assert [c.participant_id for c in source.candidates] == ["p1"]
    assert [row["cause"] for row in source.set_aside] == ["the row has no participant", "the row has no path"]


def test_a_table_without_paths_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,participant\na.nii,p1\n")
    with pytest.raises(WorkbenchError, match="lists no scan"):
        read_source(tmp_path / "t.csv", "t")


def test_simulated_scans_stay_simulated_in_a_table(tmp_path: Path) -> None:
    write_bids(tmp_path / "sim", people=1, simulated=True)
    (tmp_path / "t.csv").write_text("path,participant\nsim/sub-01/anat/sub-01_T1w.nii.gz,a\nreal.nii.gz,b\n")
    assert [c.simulated for c in read_source(tmp_path / "t.csv", "t").candidates] == [True, False]
    (tmp_path / "u.csv").write_text("path,simulated\nx.nii.gz,true\ny.nii.gz,false\n")
    assert [c.simulated for c in read_source(tmp_path / "u.csv", "u").candidates] == [True, False]


def test_names_of_data_sets_never_clash() -> None:
    assert dataset_names([Path("/a/oasis"), Path("/a/ixi")]) == ["oasis", "ixi"]
    assert dataset_names([Path("/a/bids"), Path("/b/bids"), Path("/c/ixi.csv")]) == ["a-bids", "b-bids", "ixi"]
    assert dataset_names([Path("/x/a/bids"), Path("/y/a/bids")]) == ["x-a-bids", "y-a-bids"]
    assert dataset_names([Path("/a/my data (1)")]) == ["my-data-1"]


def test_a_source_twice_or_absent_is_told(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=1)
    (tmp_path / "link").symlink_to(root)
    with pytest.raises(ConfigError, match="given twice"):
        gather([root, tmp_path / "link"])
    with pytest.raises(WorkbenchError, match="no such folder"):
        gather([tmp_path / "nothing"])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(WorkbenchError, match="not a source"):
        gather([tmp_path / "notes.txt"])
    with pytest.raises(ConfigError, match="there are: manual"):
        gather([root], Options(segmentations="freesurfer"))
