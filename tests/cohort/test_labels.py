"""Whatever a data set calls a structure, it gets one name; a label table that is wrong is refused with its cause."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.cohort import canonical_structure
from workbench.cohort.labels import read_label_table
from workbench.errors import WorkbenchError


@pytest.mark.parametrize(
    ("name", "structure"),
    [
        ("Right Hippocampus", "right_hippocampus"),
        ("Hippocampus_R", "right_hippocampus"),
        ("right hippocampus", "right_hippocampus"),
        ("Right-Hippocampus", "right_hippocampus"),
        ("rh_hippocampus", "right_hippocampus"),
        ("R Hippocampus", "right_hippocampus"),
        ("Right  hippocampus", "right_hippocampus"),
        ("RIGHT HIPPOCAMPUS", "right_hippocampus"),
        ("Hippocampus (right)", "right_hippocampus"),
        ("RightHippocampus", "right_hippocampus"),
        ("Hippocampus_L", "left_hippocampus"),
        ("Left-Hippocampus", "left_hippocampus"),
        ("ctx-lh-insula", "left_ctx_insula"),
        ("Hippocampus_left_head", "left_hippocampus_head"),
        ("Left Thalamus Proper", "left_thalamus"),
        ("Left-Thalamus", "left_thalamus"),
        ("AccumbensArea_R", "right_accumbens"),
        ("Right Accumbens Area", "right_accumbens"),
        ("Right Inf Lat Vent", "right_inferior_lateral_ventricle"),
        ("InfLatVentricle_R", "right_inferior_lateral_ventricle"),
        ("3rd Ventricle", "3rd_ventricle"),
        ("3rdVentricle", "3rd_ventricle"),
        ("BrainStem", "brain_stem"),
        ("brain-stem", "brain_stem"),
        ("Brainstem", "brain_stem"),
        ("Left Ventral DC", "left_ventral_dc"),
        ("VentralDC_L", "left_ventral_dc"),
        ("Right AnG   angular gyrus", "right_angular_gyrus"),
        ("AngularGyrus_R", "right_angular_gyrus"),
        ("Left OpIFG opercular part of the inferior frontal gyrus", "left_opercular_part_inferior_frontal_gyrus"),
        ("Cerebellum_WM_L", "left_cerebellum_white_matter"),
        ("Cerebellar Vermal Lobules I-V", "cerebellar_vermal_lobules_i_v"),
        ("CSF", "csf"),
        ("L", "l"),
        ("Anterior", "anterior"),
        ("", ""),
    ],
)
def test_one_name_for_a_structure(name: str, structure: str) -> None:
    assert canonical_structure(name) == structure


@given(st.text(alphabet="LRlrhAbcEf _-.13", max_size=24))
def test_a_canonical_name_stays_as_it_is(name: str) -> None:
    once = canonical_structure(name)
    assert all(word.isalnum() and word == word.lower() for word in once.split("_")) or once == ""
    if once.startswith(("left_", "right_")):
        assert canonical_structure(once).split("_")[0] == once.split("_")[0]


@given(st.text(alphabet="abcdefgh", min_size=3, max_size=10))
def test_left_and_right_never_meet(word: str) -> None:
    ways = [
        "{side} {word}",
        "{side}-{word}",
        "{word}_{letter}",
        "{short}_{word}",
        "{word} {side}",
        "ctx-{short}-{word}",
    ]
    left, right = (
        {canonical_structure(way.format(side=side, letter=letter, short=short, word=word)) for way in ways}
        for side, letter, short in (("Left", "L", "lh"), ("Right", "R", "rh"))
    )
    assert not left & right
    assert left == {f"left_{word}", f"left_ctx_{word}"} and right == {f"right_{word}", f"right_ctx_{word}"}


def test_a_label_table_is_read(tmp_path: Path) -> None:
    table = tmp_path / "dseg.tsv"
    table.write_text("index\tname\tcolor\n17\tLeft Hippocampus\t#fff\n53.0\tRight Hippocampus\t\n\n")
    assert read_label_table(table) == [(17, "Left Hippocampus"), (53, "Right Hippocampus")]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "empty"),
        ("index name\n1 x\n", "has only"),
        ("index\tname\nx\ty\n", "not a whole number"),
        ("index\tname\n1\ta\n1\tb\n", "both"),
        ("index\tname\n1\n", "has only"),
        ("index\tname\n1e999\ta\n", "not a whole number"),
        ("index\tname\n2.7\ta\n", "not a whole number"),
    ],
)
def test_a_wrong_label_table_is_told(tmp_path: Path, text: str, cause: str) -> None:
    (tmp_path / "dseg.tsv").write_text(text)
    with pytest.raises(WorkbenchError, match=cause):
        read_label_table(tmp_path / "dseg.tsv")


def test_the_real_tables_agree_on_the_hippocampus(real_data: Path) -> None:
    for table, right, left in (
        ("oasis1/derivatives/neuromorphometrics", 47, 48),
        ("ixi/derivatives/dlmuse", 47, 48),
        ("synthseg_labelmaps", 53, 17),
    ):
        codes = {canonical_structure(name): code for code, name in read_label_table(real_data / table / "dseg.tsv")}
        assert (codes["right_hippocampus"], codes["left_hippocampus"]) == (right, left)
