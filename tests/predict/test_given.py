"""What is named on the command line, as scans of one contrast or several; no file is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import ConfigError
from workbench.predict.given import list_scans

BOTH = ("T1w", "FLAIR")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def told(scans: list[dict[str, Path | None]]) -> list[dict[str, str | None]]:
    return [{contrast: path and path.name for contrast, path in scan.items()} for scan in scans]


def test_further_contrasts_lie_beside_the_first_by_name(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a_T1w.nii.gz",
        "a_FLAIR.nii.gz",
        "b-t1n.nii",
        "b-t2f.nii",
        "c_T1w.nii",
        "c_ce-gd_T1w.nii",
        "notes.txt",
    )
    whole = told(list_scans([tmp_path], BOTH))
    assert whole == [
        {"T1w": "a_T1w.nii.gz", "FLAIR": "a_FLAIR.nii.gz"},
        {"T1w": "b-t1n.nii", "FLAIR": "b-t2f.nii"},
        {"T1w": "c_T1w.nii", "FLAIR": None},
    ]
    assert told(list_scans([tmp_path / "a_T1w.nii.gz"], BOTH)) == whole[:1]
    assert told(list_scans([tmp_path / "c_T1w.nii"], ("T1w", "T1c"))) == [
        {"T1w": "c_T1w.nii", "T1c": "c_ce-gd_T1w.nii"}
    ]
    for wrong in ("a_FLAIR.nii.gz", "nothing_of_this.nii"):
        touch(tmp_path, wrong)
        with pytest.raises(ConfigError, match="does not say that it is T1w"):
            list_scans([tmp_path / wrong], BOTH)
    touch(tmp_path, "a_flair.nii")
    with pytest.raises(ConfigError, match="several FLAIR"):
        list_scans([tmp_path / "a_T1w.nii.gz"], BOTH)
    with pytest.raises(ConfigError, match="no T1w among its 1 files"):
        list_scans([touch(tmp_path / "none", "x.nii")], BOTH)


def test_a_data_set_is_read_as_cohort_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    touch(tmp_path, *(f"sub-{p}/anat/sub-{p}_{c}.nii.gz" for p, c in (("1", "T1w"), ("1", "FLAIR"), ("2", "T1w"))))
    touch(tmp_path, "sub-3/anat/sub-3_FLAIR.nii.gz")
    assert told(list_scans([tmp_path], BOTH)) == [
        {"T1w": "sub-1_T1w.nii.gz", "FLAIR": "sub-1_FLAIR.nii.gz"},
        {"T1w": "sub-2_T1w.nii.gz", "FLAIR": None},
    ]
    assert "sub-3" in capsys.readouterr().err
    assert len(list_scans([tmp_path], ("T1w",))) == 2
    (tmp_path / "list.csv").write_text(
        "participant,path,path_FLAIR\n1,sub-1/anat/sub-1_T1w.nii.gz,sub-3/anat/sub-3_FLAIR.nii.gz\n"
    )
    assert told(list_scans([tmp_path / "list.csv"], BOTH)) == [
        {"T1w": "sub-1_T1w.nii.gz", "FLAIR": "sub-3_FLAIR.nii.gz"}
    ]


def test_contrasts_in_one_4d_file_are_for_a_cohort_first(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii.gz")
    listing = '{"modality": {"0": "FLAIR", "1": "T1w"}, "training": [{"image": "imagesTr/a.nii.gz"}]}'
    (tmp_path / "dataset.json").write_text(listing)
    with pytest.raises(ConfigError, match="4D file") as refused:
        list_scans([tmp_path], BOTH)
    assert "workbench cohort" in refused.value.remedy
