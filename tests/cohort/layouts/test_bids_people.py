"""Whose row is whose in a BIDS folder: ids and sessions that are written differently, and what is not there."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from workbench.cohort.gather import gather, read_source
from workbench.cohort.source import Source
from workbench.errors import WorkbenchError


def make(root: Path, *names: str, table: str = "") -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    if table:
        (root / "participants.tsv").write_text(table)
    return root


def t1w(person: str, session: str = "") -> str:
    stem = "_".join(part for part in (person, session) if part)
    return "/".join(part for part in (person, session, "anat", f"{stem}_T1w.nii.gz") if part)


def told(source: Source, kind: str) -> str:
    return "\n".join(remark.text for remark in source.remarks if remark.kind == kind)


def values(source: Source, name: str) -> list[object]:
    return [candidate.values[name] for candidate in source.candidates]


@pytest.mark.parametrize("ids", [("50001", "50002"), ("sub-50001", "sub-50002"), ("50001.0", "50002.0")])
def test_ids_that_lost_their_zeros_are_matched_and_that_is_said(tmp_path: Path, ids: tuple[str, str]) -> None:
    table = f"participant_id\tsex\tage\n{ids[0]}\tF\t20\n{ids[1]}\tM\t30\n"
    source = read_source(make(tmp_path, t1w("sub-0050001"), t1w("sub-0050002"), table=table), "d")
    assert values(source, "sex") == ["F", "M"] and values(source, "age") == [20, 30]
    assert "2 ids of participants.tsv are written differently" in told(source, "guess")


def test_ids_that_could_be_two_people_are_not_matched(tmp_path: Path) -> None:
    table = "participant_id\tsex\n1\tF\n"
    source = read_source(make(tmp_path, t1w("sub-01"), t1w("sub-001"), table=table), "d")
    assert values(source, "sex") == [None, None]
    assert "could be several people" in told(source, "unused") and "sub-001 and sub-01" in told(source, "guess")


def test_ids_that_have_nothing_to_do_with_the_folders_are_told_with_both(tmp_path: Path) -> None:
    source = read_source(make(tmp_path, t1w("sub-01"), table="participant_id\tsex\nA17\tF\n"), "d")
    assert "the table has sub-A17, the folders are sub-01" in told(source, "unused")


@pytest.mark.parametrize("column", ["Participant_ID", "subject_id", "Subject", "PTID"])
def test_other_names_for_the_column_of_people(tmp_path: Path, column: str) -> None:
    source = read_source(make(tmp_path, t1w("sub-01"), table=f"{column}\tSEX\nsub-01\tF\n"), "d")
    assert values(source, "sex") == ["F"] and column in told(source, "guess")


def test_a_site_that_is_not_known_is_none_and_not_the_folder(tmp_path: Path) -> None:
    names = [t1w(f"sub-0{i}") for i in (1, 2, 3)]
    table = "participant_id\tsite\nsub-01\tA\nsub-02\tn/a\nsub-03\tunknown\n"
    source = read_source(make(tmp_path / "a", *names, table=table), "a")
    assert values(source, "site") == ["A", None, None] and "2 of 3 scans is not known" in told(source, "note")
    nowhere = read_source(make(tmp_path / "b", *names, table="participant_id\tsite\nsub-01\tn/a\n"), "b")
    assert values(nowhere, "site") == [None] * 3
    without = read_source(make(tmp_path / "c", *names, table="participant_id\tsex\nsub-01\tF\n"), "c")
    assert values(without, "site") == ["c"] * 3


@pytest.mark.parametrize("column", ["session_id", "session", "Visit"])
@pytest.mark.parametrize("prefix", ["ses-", ""])
def test_each_session_has_its_own_row(tmp_path: Path, column: str, prefix: str) -> None:
    rows = "".join(f"sub-01\t{prefix}{s}\tS{s}\tF\t{age}\n" for s, age in (("1", 20), ("2", 25)))
    table = f"participant_id\t{column}\tsite\tsex\tage\n{rows}"
    source = read_source(make(tmp_path, t1w("sub-01", "ses-01"), t1w("sub-01", "ses-02"), table=table), "d")
    assert values(source, "age") == [20, 25] and values(source, "site") == ["S1", "S2"]


def test_a_session_without_a_row_keeps_only_what_does_not_change(tmp_path: Path) -> None:
    names = [t1w("sub-01", f"ses-{s}") for s in ("a", "b", "c")]
    table = "participant_id\tsession_id\tsex\tage\tdx\nsub-01\tses-a\tF\t20\tx\nsub-01\tses-b\tF\t25\ty\n"
    source = read_source(make(tmp_path, *names, table=table), "d")
    last = source.candidates[2].values
    assert last["sex"] == "F" and math.isnan(last["age"]) and "diagnosis" not in last
    assert "1 sessions have no row" in told(source, "unused")


def test_rows_that_contradict_each_other_are_not_chosen_from(tmp_path: Path) -> None:
    table = "participant_id\tsex\tage\nsub-01\tF\t20\nsub-01\tF\t30\n"
    source = read_source(make(tmp_path, t1w("sub-01"), table=table), "d")
    assert values(source, "sex") == ["F"] and math.isnan(values(source, "age")[0])  # type: ignore[arg-type]
    assert "more than once with different values" in told(source, "unused")


@pytest.mark.parametrize("names", [("bl", "m12"), ("M00", "M12"), ("ses-M000", "ses-M012")])
def test_sessions_tsv_by_other_names(tmp_path: Path, names: tuple[str, str]) -> None:
    make(tmp_path, t1w("sub-01", "ses-M000"), t1w("sub-01", "ses-M012"))
    rows = "".join(f"{name}\t{age}\n" for name, age in zip(names, (70, 71), strict=True))
    (tmp_path / "sub-01/sub-01_sessions.tsv").write_text(f"session_id\tage\n{rows}")
    source = read_source(tmp_path, "d")
    assert values(source, "age") == [70, 71]
    assert bool(told(source, "guess")) == (names[0] != "ses-M000")


def test_units_and_levels_of_the_json(tmp_path: Path) -> None:
    said = {"age": {"Units": "months"}, "sex": {"Levels": {"0": {"Description": "Male"}, "1": "Female"}}}
    make(tmp_path, t1w("sub-01"), t1w("sub-02"), table="participant_id\tsex\tage\nsub-01\t0\t6\nsub-02\t1\t30\n")
    (tmp_path / "participants.json").write_text(json.dumps(said))
    source = read_source(tmp_path, "d")
    assert values(source, "age") == [0.5, 2.5] and values(source, "sex") == ["M", "F"]


def test_inherited_sidecars_name_the_scanner(tmp_path: Path) -> None:
    make(tmp_path, t1w("sub-01"), t1w("sub-02"))
    (tmp_path / "T1w.json").write_text(json.dumps({"Manufacturer": "SIEMENS", "MagneticFieldStrength": 2.89}))
    (tmp_path / "sub-02/anat/sub-02_T1w.json").write_text(json.dumps({"ManufacturersModelName": "TrioTim"}))
    assert values(read_source(tmp_path, "d"), "scanner") == ["Siemens 3T", "Siemens Trio Tim 3T"]


NEAR = {
    "sub-01/anat/sub-01_UNIT1.nii.gz": "UNIT1",
    "sub-01/anat/sub-01_t1w.nii.gz": "t1w",
    "sub-01/anat/sub-01_T1W.nii": "T1W",
    "sub-01/anat/sub-01_T1w_defaced.nii.gz": "goes on after T1w",
    "sub-01/anat/sub-01_T1w.nii.gz.nii.gz": "ends twice",
    "sub-01/sub-01_T1w.nii.gz": "not in anat",
    "sub-01/ses-1/anat/run1/sub-01_ses-1_T1w.nii.gz": "not in anat",
    "sub-01/anat/sub-01_T1w.nrrd": "not read",
    "sub-01/anat/sub-01_T2w.nii.gz": "only T2w (1)",
    "sub-01/func/sub-01_bold.nii.gz": "no T1w scan",
    "sub-01/anat/sub-02_T1w.nii.gz": "the name says",
    "01/anat/sub-01_T1w.nii.gz": "its folder is called 01",
    "sub-01_T1w.nii.gz": "no person's folder",
}


@pytest.mark.parametrize("name", NEAR)
def test_whoever_has_no_readable_scan_is_named_with_the_reason(tmp_path: Path, name: str) -> None:
    source = read_source(make(tmp_path, name, t1w("sub-99")), "d")
    assert [c.participant_id for c in source.candidates] == ["sub-99"]
    assert len(source.set_aside) == 1
    row = source.set_aside[0]
    assert NEAR[name] in row["cause"] and row["remedy"] and "sub-01" in row["path"]


@pytest.mark.parametrize(
    ("ids", "folders"),
    [
        (("1", "2"), ("sub-P001", "sub-P002")),
        (("Subject_01", "SUB-02"), ("sub-01", "sub-02")),
        (("sub-M\u00fc", "sub-M\u00f6"), ("sub-Mu\u0308", "sub-Mo\u0308")),
        (("002_S_0413", "002_S_0414"), ("sub-ADNI002S0413", "sub-ADNI002S0414")),
    ],
)
def test_ids_that_tools_have_changed_are_matched(
    tmp_path: Path, ids: tuple[str, str], folders: tuple[str, str]
) -> None:
    text = f"participant_id\tage\n{ids[0]}\t20\n{ids[1]}\t30\n"
    (tmp_path / "participants.tsv").write_text(text, encoding="utf-8")
    source = read_source(make(tmp_path, *map(t1w, folders)), "d")
    assert {c.participant_id: c.values["age"] for c in source.candidates} == {folders[0]: 20, folders[1]: 30}
    assert "written differently" in told(source, "guess")


def test_a_number_is_not_enough_where_letters_tell_people_apart(tmp_path: Path) -> None:
    table = "participant_id\tage\nC1\t20\nC2\t30\n"
    source = read_source(make(tmp_path, t1w("sub-P1"), t1w("sub-P2"), table=table), "d")
    assert all(math.isnan(age) for age in values(source, "age"))  # type: ignore[arg-type]
    table = "participant_id\tage\n1\t20\n"
    source = read_source(make(tmp_path / "b", t1w("sub-P1"), t1w("sub-C1"), table=table), "d")
    assert all(math.isnan(age) for age in values(source, "age"))  # type: ignore[arg-type]
    assert "could be several people" in told(source, "unused")


def test_an_age_for_all_sessions_is_told(tmp_path: Path) -> None:
    table = "participant_id\tage\nsub-01\t20\n"
    source = read_source(make(tmp_path, t1w("sub-01", "ses-1"), t1w("sub-01", "ses-2"), table=table), "d")
    assert values(source, "age") == [20, 20] and "taken for each of their sessions: sub-01" in told(source, "guess")


def test_a_session_without_a_row_has_no_age_of_another(tmp_path: Path) -> None:
    root = make(tmp_path, t1w("sub-01", "ses-1"), t1w("sub-01", "ses-2"), table="participant_id\tsex\tage\n1\tF\t20\n")
    (root / "sub-01/sub-01_sessions.tsv").write_text("session_id\tage\nses-1\t21\n")
    source = read_source(root, "d")
    assert values(source, "age")[0] == 21 and math.isnan(values(source, "age")[1])  # type: ignore[arg-type]
    assert values(source, "sex") == ["F", "F"] and "sub-01 ses-2" in told(source, "unused")


def test_sessions_by_their_days_and_by_waves(tmp_path: Path) -> None:
    days = "participant_id\tsession\tage\nsub-01\t2001-02-03\t20\nsub-01\t2011-02-03\t30\n"
    source = read_source(make(tmp_path, t1w("sub-01", "ses-20010203"), t1w("sub-01", "ses-20110203"), table=days), "d")
    assert values(source, "age") == [20, 30]
    wave = "participant_id\twave\tage\nsub-01\t2\t20\n"  # one row: the wave in which somebody came, not a session
    assert values(read_source(make(tmp_path / "b", t1w("sub-01", "ses-1"), table=wave), "d"), "age") == [20]


def test_tables_that_nobody_reads_are_named_and_another_ending_is_read(tmp_path: Path) -> None:
    root = make(tmp_path, t1w("sub-01"), "sessions.tsv", "scores.xlsx", "dseg.tsv")
    (root / "participants.csv").write_text("participant_id;age\nsub-01;20\n")
    source = read_source(root, "d")
    assert values(source, "age") == [20] and "participants.csv is read in its place" in told(source, "guess")
    assert "tables that are not read: scores.xlsx, sessions.tsv;" in told(source, "unused")


def test_links_that_lead_nowhere_or_round_are_named_and_stop_nothing(tmp_path: Path) -> None:
    root = make(tmp_path / "d", t1w("sub-01"))
    for link, target in (("self", "self"), ("sub-98", "nowhere"), ("sub-99", "sub-99")):
        (root / link).symlink_to(target)
    for link, target in (("anat/up", ".."), ("anat/x", "x")):
        (root / "sub-01" / link).symlink_to(target)
    (source,) = gather([root])
    assert [c.path.name for c in source.candidates] == ["sub-01_T1w.nii.gz"]
    assert [Path(row["path"]).name for row in source.set_aside] == ["sub-98", "sub-99"]
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(WorkbenchError, match="no such folder") as error:
        gather([tmp_path / "round"])
    assert "link" in error.value.cause


def test_a_phase_image_is_no_scan(tmp_path: Path) -> None:
    source = read_source(make(tmp_path, *(f"sub-01/anat/sub-01_part-{p}_T1w.nii.gz" for p in ("mag", "phase"))), "d")
    assert [c.entities for c in source.candidates] == ["part-mag"] and "magnitudes" in source.set_aside[0]["cause"]


def test_a_scan_after_a_contrast_agent_is_not_taken_for_one_before_without_a_word(tmp_path: Path) -> None:
    root = make(tmp_path, t1w("sub-01"), "sub-02/anat/sub-02_ce-gd_T1w.nii.gz", "sub-01/anat/sub-01_FLAIR_brain.nii.gz")
    source = read_source(root, "d")
    assert len(source.candidates) == 2 and "only after a contrast agent" in told(source, "guess")
    assert not source.set_aside  # a FLAIR without its skull is no T1w that is named wrongly


def test_folders_that_cannot_be_opened_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path, t1w("sub-01"), t1w("sub-02", "ses-1"))
    scandir = os.scandir

    def refused(path: str | Path) -> object:  # whoever runs the tests may be allowed everything
        if str(path).endswith("sub-02/ses-1"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    source = read_source(root, "d")
    assert [c.participant_id for c in source.candidates] == ["sub-01"]
    assert "1 folders cannot be opened" in told(source, "unused") and "sub-02/ses-1" in told(source, "unused")


def test_derivatives_beside_rawdata_are_told(tmp_path: Path) -> None:
    make(tmp_path, f"rawdata/{t1w('sub-01')}", "derivatives/x/sub-01/anat/sub-01_dseg.nii.gz")
    assert "beside rawdata are not read" in told(read_source(tmp_path / "rawdata", "d"), "unused")


def test_ids_that_name_a_session_are_a_person_and_a_session(tmp_path: Path) -> None:
    table = "participant_id\tage\nsub-01_ses-1\t20\nsub-01_ses-2\t22\n"
    source = read_source(make(tmp_path, t1w("sub-01", "ses-1"), t1w("sub-01", "ses-2"), table=table), "d")
    assert values(source, "age") == [20, 22] and "2 ids of participants.tsv name a session too" in told(source, "guess")


@pytest.mark.parametrize(
    ("table", "why"), [("\n", "it is empty"), ("participant_id\tage\n", "no row that names anybody")]
)
def test_a_table_without_people_is_told(tmp_path: Path, table: str, why: str) -> None:
    source = read_source(make(tmp_path, t1w("sub-01"), table=table), "d")
    assert why in told(source, "unused") and not told(source, "guess")


def test_a_derivative_without_scans_names_the_data_set_that_it_is_of(tmp_path: Path) -> None:
    root = make(tmp_path, t1w("sub-01"), "derivatives/fs/sub-01/anat/sub-01_dseg.nii.gz")
    with pytest.raises(WorkbenchError, match="no T1w scan found") as error:
        read_source(root / "derivatives/fs", "d")
    assert error.value.remedy.endswith(str(tmp_path))
