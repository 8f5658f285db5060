"""Decathlon folders and CSV tables; what an untrusted listing may name; names of data sets."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import pytest

from tests.cohort.layouts import trees
from workbench.cohort import headers
from workbench.cohort.gather import dataset_names, gather, read_source
from workbench.cohort.layouts.layout import Options
from workbench.cohort.source import Source, read_rows
from workbench.errors import ConfigError, WorkbenchError
from workbench.testing import write_bids


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
    assert first.values == {"site": "A", "scanner": "Siemens 3T", "sex": "F", "age": 70.0, "diagnosis": "AD"}
    assert second.values["site"] is None and source.labels == [(1, "Hippocampus_L")]
    assert source.notes == ["scans: the site of 1 of 2 scans is not known: they are left out of measures by site"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "path;participant;sex\na.nii;a;F\n"),
        ("t.tsv", "path\tparticipant\tsex\na.nii\ta\tF\n"),
        ("t.csv", "path\tparticipant\tsex\na.nii\ta\tF\n"),
        ("t.csv", "path,participant,sex\na.nii,a,F\n\n"),
    ],
)
def test_separators(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    source = read_source(tmp_path / name, "t")
    assert [(c.participant_id, c.values["sex"]) for c in source.candidates] == [("a", "F")]
    assert not source.notes


@pytest.mark.parametrize("person", ["Participant", "subject_id", "SUBJECT ID", "PTID", "RID", "patient_id", "Subject"])
def test_columns_by_their_usual_names_in_any_case(tmp_path: Path, person: str) -> None:
    text = f"{person},Session,File,M/F,Age at Scan\np1,1,a.nii,F,70\np1,2,b.nii,F,72\n"
    (tmp_path / "t.csv").write_text(text)
    source = read_source(tmp_path / "t.csv", "t")
    assert [(c.participant_id, c.session) for c in source.candidates] == [("p1", "1"), ("p1", "2")]
    assert [(c.values["sex"], c.values["age"]) for c in source.candidates] == [("F", 70), ("F", 72)]


def test_a_table_that_does_not_say_whose_scans_it_lists_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,volume\na.nii,3\n")
    with pytest.raises(WorkbenchError, match="whose scan is whose") as caught:
        read_source(tmp_path / "t.csv", "t")
    assert "volume" in caught.value.cause and "'participant'" in caught.value.remedy


def test_ids_that_differ_in_zeros_or_case_are_one_person_and_named(tmp_path: Path) -> None:
    rows = ["001,a", "1,b", "1.0,c", "A07,d", "a7,e", "10,f", "100,g"]
    (tmp_path / "t.csv").write_text("\n".join(["participant,path", *(f"{row}.nii" for row in rows)]))
    source = read_source(tmp_path / "t.csv", "t")
    assert [c.participant_id for c in source.candidates] == ["001", "001", "001", "A07", "A07", "10", "100"]
    assert "'001' and '1' and '1.0'" in source.notes[0] and "'A07' and 'a7'" in source.notes[0]


def test_a_spreadsheet_is_a_table(tmp_path: Path) -> None:
    trees.xlsx(
        tmp_path / "t.xlsx",
        ["Participant", "Path", "Age", "note"],
        [[7, "a.nii", 70.5, "n/a"], ["8", "b.nii", 71, "x"]],
    )
    source = read_source(tmp_path / "t.xlsx", "t")
    assert [(c.participant_id, c.values["age"]) for c in source.candidates] == [("7", 70.5), ("8", 71)]
    assert "note" not in source.candidates[0].values and source.candidates[1].values["note"] == "x"


def test_a_spreadsheet_of_the_old_format(tmp_path: Path) -> None:
    """As the IXI page gives it; made with xlwt, whole numbers, a day and an empty cell in it."""
    (tmp_path / "t.xls").write_bytes(gzip.decompress(base64.b85decode(XLS)))
    assert read_rows(tmp_path / "t.xls") == [
        {"IXI_ID": "12", "SEX_ID (1=m, 2=f)": "1", "AGE": "35.8", "STUDY_DATE": "2005-05-17"},
        {"IXI_ID": "19", "SEX_ID (1=m, 2=f)": "2", "AGE": "41"},
        {"IXI_ID": "26", "SEX_ID (1=m, 2=f)": "2"},
    ]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04rubbish", bytes(2000), b"path,participant"])
def test_what_only_looks_like_a_spreadsheet_is_told(tmp_path: Path, content: bytes) -> None:
    for name in ("t.xlsx", "t.xls"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WorkbenchError, match=name) as caught:
            read_rows(tmp_path / name)
        assert "save it as" in caught.value.remedy


def test_what_a_header_says_of_its_values() -> None:
    assert headers.spelt("SEX_ID (1=m, 2=f)") == "sex_id" and headers.spelt("M/F") == "m_f"
    assert headers.described("SEX_ID (1=m, 2=f)") == {"Levels": {"1": "m", "2": "f"}}
    assert headers.described("Age [months]") == {"Units": "months"} and headers.described("age") == {}


def test_codes_of_sex_that_the_header_spells_out_win_over_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('path,subject,"Sex (1=f, 2=m)"\na.nii,p1,1\nb.nii,p2,2\n')
    assert [c.values["sex"] for c in read_source(tmp_path / "t.csv", "t").candidates] == ["F", "M"]


def test_a_row_without_a_person_is_set_aside_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,participant\na.nii,p1\nb.nii,\n,p3\n")
    source = read_source(tmp_path / "t.csv", "t")
    assert [c.participant_id for c in source.candidates] == ["p1"]
    assert [row["cause"] for row in source.set_aside] == ["the row has no participant", "the row has no path"]


def test_a_table_without_paths_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("volume,participant\na.nii,p1\n")
    with pytest.raises(WorkbenchError, match="lists no scan"):
        read_source(tmp_path / "t.csv", "t")


def test_simulated_scans_stay_simulated_in_a_table(tmp_path: Path) -> None:
    write_bids(tmp_path / "sim", people=1, simulated=True)
    (tmp_path / "t.csv").write_text("path,participant\nsim/sub-01/anat/sub-01_T1w.nii.gz,a\nreal.nii.gz,b\n")
    assert [c.simulated for c in read_source(tmp_path / "t.csv", "t").candidates] == [True, False]
    (tmp_path / "u.csv").write_text("path,participant,simulated\nx.nii.gz,a,true\ny.nii.gz,b,false\n")
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
    with pytest.raises(ConfigError, match="there are: d, manual"):
        gather([root], Options(segmentations="freesurfer"))


XLS = (
    "ABzY86_y8U0{`t;O=uHA6#izjY17c3Y;DC>2us1**7VSNu$OeLB!(VRs*RY4P!pSiwzd+y=*4QyQ4l;SUJ6z4QuX2wD(KCFP|<@R"
    "2(3MO5*0kOUEjRjjcG(^Kns!mmigwrH}huR?)>fUn?-GD?m_D^O3)7v*3BAJ71;!(8b=9$%1u*>PVS>*x~M4B_-G)jym(sox>}B*"
    "9Pec)xUaq>20l?bj<Xn=p33T5hyxr$TF4l}!~(a-QjZpns*(95^ET#tT=N<8ezsg?4pZGFaSV&bP*<Nli<3$lm(@eI`-pu$u%!ph"
    "cqM1?#cRT<>%~CsRC=<)3W91a=0O7*%T8r;Qg6U*_<<CmJ09<jM3&G*gFTP$rVe~_R`m<rwQsFmfb2gu+N=Ly_t7Ah+OI1rFaz@h"
    "FOod!psTXPi$ppznO#L6q^??PdoVdTIvCM_k!X?xy`v|5CZzX<$2&d1KrBjAWF&DUk{XQ+B%}gse+X>YAL@AB)Dn-Ofn|+XPk;hk"
    "z5C^DJTq*JvSo(P1ncD3B?E<tOVWd!>$yZNa2I>*VZO|*?qs=@xruIw^7i3oTR1q&b*^w}JN2`d@y^&?BzKUU|9t3iFu!7SlDrUG"
    "zR<Mr-k3uhon&L=FRxjIL`dAcA@Rg;a$)Z>ADLTz+i`qKz>eLtkH-eA$u&mMm@Q2{9Z}E}`&n6<hcu7fmMCfKIf87{(92xK{B@t)"
    "{l-%Y`AIK@TPgP1!8Q#;%zoxO+_S9jVX3%&Bil5bF4Pz3R~qq9HbZ;qFZkiYg$oxhT)1%IqS7JweGvQ(sPbon^^RX{|JPZgwC?^U"
    "`EPL;({!DqkIE>fD9_=1S@UN*yuxWqY|_X1Unp^ude3138IEJ3?D<RIXrlOjHtiVrdrPR?{@2Ti^B?#B6B-{hngA9600"
)


def table(tmp_path: Path, text: str, name: str = "t.csv") -> Source:
    (tmp_path / name).write_text(text)
    return read_source(tmp_path / name, "t")


def test_a_column_without_a_name_is_no_session(tmp_path: Path) -> None:
    source = table(tmp_path, ",path,participant\n0,a.nii,1\n1,b.nii,1\n")
    assert [(c.session, "" in c.values) for c in source.candidates] == [("", False), ("", False)]


def test_a_row_with_more_cells_than_the_header_is_not_used_and_told(tmp_path: Path) -> None:
    source = table(tmp_path, "path,participant,age,sex\na.nii,1,34,5,F\nb.nii,2,30,F,\n")
    assert [(c.participant_id, c.values["sex"]) for c in source.candidates] == [("2", "F")]
    assert "1 rows of t.csv have more cells" in source.notes[0]
    with pytest.raises(WorkbenchError, match="cannot be read as a table"):
        read_rows(tmp_path / "t.csv", delimiter=",")


def test_columns_of_one_name_are_told_and_none_is_lost(tmp_path: Path) -> None:
    source = table(tmp_path, "path,participant,age,age,participant\na.nii,1,30,31,1\n")
    assert source.candidates[0].values["age"] == 30 and source.candidates[0].values["age (2)"] == "31"
    assert "several columns age" in source.notes[0] and "participant (2)" not in source.candidates[0].values


def test_another_column_of_ids_that_makes_other_people_is_told(tmp_path: Path) -> None:
    source = table(tmp_path, "path,participant,subject_id\na.nii,1,7\nb.nii,1,8\n")
    assert "not subject_id, which divides the rows otherwise" in source.notes[0]
    assert not [n for n in table(tmp_path, "path,participant,PTID\na.nii,1,7\nb.nii,2,8\n").notes if "PTID, which" in n]


def test_a_site_column_without_a_value_leaves_the_site_unknown(tmp_path: Path) -> None:
    assert table(tmp_path, "path,participant,site\na.nii,1,\n").candidates[0].values["site"] is None


def test_a_table_between_whose_cells_stands_something_else_than_its_ending_says(tmp_path: Path) -> None:
    assert table(tmp_path, "path,participant\na.nii,1\n", "t.tsv").candidates[0].participant_id == "1"


@pytest.mark.parametrize(
    ("column", "name", "named"),
    [("mask", "m.nii", False), ("mask", "a_brain.nii", True), ("brain_mask", "m.nii", True)],
)
def test_a_mask_is_of_the_brain_if_it_says_so(tmp_path: Path, column: str, name: str, named: bool) -> None:
    assert table(tmp_path, f"path,participant,{column}\na.nii,1,{name}\n").candidates[0].mask_named is named


def test_columns_that_nothing_understands_are_named(tmp_path: Path) -> None:
    told = "\n".join(table(tmp_path, "path,participant,Alter,hospital\na.nii,1,30,A\n").notes)
    assert (
        "no column is understood as sex or age" in told and "Alter" in told and "hospital is taken for the site" in told
    )


def test_of_several_sheets_the_one_that_names_people_is_read(tmp_path: Path) -> None:
    trees.xlsx(tmp_path / "t.xlsx", ["About"], [["this"]], {"people": [["Path", "Subject ID"], ["a.nii", 7]]})
    source = read_source(tmp_path / "t.xlsx", "t")
    assert source.candidates[0].participant_id == "7" and "one sheet is read (people), not: Table" in source.notes[0]


def test_a_table_with_a_row_a_contrast(tmp_path: Path) -> None:
    rows = ["path,participant,modality", "a.nii,1,t1", "f.nii,1,flair", "g.nii,2,flair"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    (both,) = gather([tmp_path / "t.csv"], Options(contrast="T1w"), ("FLAIR",))
    assert [(c.path.name, c.channels["FLAIR"].name) for c in both.candidates] == [("a.nii", "f.nii")]
    told = "\n".join(both.notes)
    assert "not taken: flair (2)" in told and "1 FLAIR belong to no scan that is taken: g.nii" in told
    (flair,) = gather([tmp_path / "t.csv"], Options(contrast="FLAIR"))
    assert [c.path.name for c in flair.candidates] == ["f.nii", "g.nii"]
    (tmp_path / "t.csv").write_text("\n".join(rows).replace("t1", "MR").replace("flair", "MR"))
    assert len(read_source(tmp_path / "t.csv", "t").candidates) == 3  # DICOM's modality says nothing of a contrast


def test_spellings_of_a_value_are_told_and_signs_are_none(tmp_path: Path) -> None:
    rows = ["path,participant,city,z,grade", "a.nii,1,New York,-1,1.5", "b.nii,2,new-york,1,15", "c.nii,3,X,>1,2"]
    told = "\n".join(table(tmp_path, "\n".join(rows)).notes)
    assert "city: values that differ only" in told and "'New York' and 'new-york'" in told
    assert "z: values" not in told and "grade: values" not in told
