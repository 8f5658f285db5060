"""The registry of a scan's columns against the tables that hold them."""

import pytest

from workbench.cohort import rows
from workbench.cohort.cohort import OPTIONAL
from workbench.cohort.demographics import RESERVED
from workbench.columns import COLUMNS, PROJECTIONS, column, shown, text, written_by


def test_each_is_described_once():
    assert all(one.title and one.name == name for name, one in COLUMNS.items())
    assert len({one.title for one in COLUMNS.values()}) == len(COLUMNS)
    assert {axis for pair in PROJECTIONS.values() for axis in pair} <= set(COLUMNS)


def test_what_the_cohort_writes_is_reserved():
    assert written_by("cohort") == rows.COLUMNS and written_by("check") == rows.CHECKED
    assert {*rows.COLUMNS, *rows.CHECKED} - {"site", "scanner", "sex", "age"} < RESERVED
    assert set(OPTIONAL) == {"sex", "site", "seg_path", "seg_lacks", "mask_path", "seg_fingerprint", "mask_fingerprint"}


@pytest.mark.parametrize("name", ["path", "fingerprint", "affine", "umap_1", "key", "has_seg"])
def test_what_is_for_the_machine_is_not_shown_and_colours_nothing(name):
    assert COLUMNS[name].internal and not COLUMNS[name].colour


def test_the_well_known_come_first_and_a_data_sets_own_are_kept():
    names = ["scan_id", "iq", "path", "age", "site", "participant", "brain_ml", "umap_1"]
    assert shown(names) == ["participant", "site", "age", "iq", "brain_ml"]


def test_headings_and_values_are_words():
    assert column("age").heading == "Age (years)" and column("brain_ml").heading == "Volume in the mask (ml)"
    assert column("years_of_education").heading == "Years of education"
    assert not column("years_of_education").reserved and not column("diagnosis").reserved
    assert (text("seen_in_pretraining", False), text("age", 63.0), text("site", "A")) == ("no", "63", "A")
