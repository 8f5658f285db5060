import pandas as pd
import pytest

import workbench as wb
from workbench.cohort import selections as kept
from workbench.cohort.config import SplitConfig
from workbench.cohort.split_job import _as_selected
from workbench.errors import ConfigError, WorkbenchError

PEOPLE = pd.DataFrame({"scan_id": ["s1", "s2", "s3", "s4"], "participant": ["p1", "p1", "p2", "p3"]})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "embed-selections.tsv"


def names(path):
    table = kept.read_selections(path)
    return {name: set(rows["scan_id"]) for name, rows in table.groupby("name")}


def test_a_scan_carries_many_names_and_each_is_given_and_taken_alone(path):
    assert names(path) == {}
    kept.add_to(path, "motion", PEOPLE.iloc[:2], "Ada")
    kept.add_to(path, "motion", PEOPLE.iloc[1:3], "Bob")  # another person adds: nothing is lost, and Ada's stay hers
    kept.add_to(path, "for\tfigure\n2", PEOPLE.iloc[:1], "Ada")
    assert names(path) == {"motion": {"s1", "s2", "s3"}, "for figure 2": {"s1"}}
    table = kept.read_selections(path)
    assert list(table.loc[table["name"] == "motion", "by"]) == ["Ada", "Ada", "Bob"]
    kept.take_out(path, "motion", ["s1", "s4"])
    assert names(path) == {"motion": {"s2", "s3"}, "for figure 2": {"s1"}}
    kept.take_out(path, "motion")
    assert names(path) == {"for figure 2": {"s1"}}
    assert [p.name for p in path.parent.iterdir() if not p.name.startswith(".")] == [path.name]


@pytest.mark.parametrize("name", ["", " \t", "x" * (kept.LONGEST + 1)])
def test_a_name_that_cannot_be_listed_is_refused(path, name):
    with pytest.raises(WorkbenchError, match="no name for a selection"):
        kept.add_to(path, name, PEOPLE, "Ada")
    assert not path.exists()


def test_a_damaged_file_is_told_and_stays_as_it_is(path):
    path.write_text("scan_id\trating\ns1\tpass\n")
    with pytest.raises(WorkbenchError, match="not a table of named selections"):
        kept.add_to(path, "motion", PEOPLE, "Ada")
    assert path.read_text() == "scan_id\trating\ns1\tpass\n"


def test_a_split_leaves_selections_out_or_takes_them_alone_by_person(path, capsys):
    kept.add_to(path, "motion", PEOPLE.iloc[1:2], "Ada")
    kept.add_to(path, "old", pd.DataFrame({"scan_id": ["s3", "elsewhere"], "participant": ["p2", "p9"]}), "Ada")
    assert list(_as_selected(PEOPLE, path, ("motion",), ())["scan_id"]) == ["s3", "s4"]  # s1 is of the same person
    assert list(_as_selected(PEOPLE, path, (), ("motion", "old"))["scan_id"]) == ["s1", "s2", "s3"]
    said = capsys.readouterr().err
    assert "(motion): 1 people with 1 of its scans\n" in said and "2 people with 2 of its scans; 1 of its scans" in said
    with pytest.raises(ConfigError, match="nobody is left"):
        _as_selected(PEOPLE, path, ("motion",), ("motion",))
    with pytest.raises(ConfigError, match=r"has no selection named 'moton'(.|\n)*motion, old"):
        _as_selected(PEOPLE, path, ("moton",), ())
    with pytest.raises(ConfigError, match="no such file"):
        _as_selected(PEOPLE, path.with_name("none.tsv"), ("motion",), ())


@pytest.mark.parametrize(
    ("given", "said"), [({"only_named": ["x"]}, "give selections"), ({"selections": "x.tsv"}, "changes nothing")]
)
def test_a_setting_that_nobody_would_read_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        SplitConfig(out="out", cohort="cohort", **given)


def test_a_notebook_saves_reads_and_replaces_one(fake_run):
    path = wb.save_selection(fake_run, "to look at", ["fake_sub-02", "fake_sub-00", "fake_sub-02"])
    assert wb.selections(fake_run) == {"to look at": ["fake_sub-02", "fake_sub-00"]}
    assert set(kept.read_selections(path)["participant"]) == {"fake/sub-02", "fake/sub-00"}
    with pytest.raises(WorkbenchError, match="nobody: no such scan"):
        wb.save_selection(fake_run, "to look at", ["fake_sub-01", "nobody"])
    wb.save_selection(fake_run, "to look at", ["fake_sub-01", "fake_sub-00"])
    assert wb.selections(str(fake_run)) == {"to look at": ["fake_sub-00", "fake_sub-01"]}
    wb.save_selection(fake_run, "to look at", [])
    assert wb.selections(fake_run) == {}


@pytest.fixture
def fake_run(tmp_path):
    from tests.explorer.fake_runs import FakeEmbed
    from workbench.runs import start_run

    with start_run(FakeEmbed(out=tmp_path / "embed", store=tmp_path, encoder=tmp_path), simulated=True) as run:
        ids = [f"fake_sub-{k:02d}" for k in range(3)]
        run.write_table("scans", pd.DataFrame({"scan_id": ids, "participant": [i.replace("_", "/") for i in ids]}))
    return tmp_path / "embed"


def test_rows_that_have_more_cells_than_the_header_are_no_selections(path):
    """Read by place, each cell would be another column's."""
    kept.add_to(path, "motion", PEOPLE, "Ada")
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(row + "\t" for row in rows)]) + "\n")
    with pytest.raises(WorkbenchError, match="more cells than its header"):
        kept.read_selections(path)


def test_half_a_character_from_a_browser_is_written_as_a_question_mark(path):
    kept.add_to(path, "a\ud800b", PEOPLE.iloc[:1], "Ada\udfff")
    assert names(path) == {"a?b": {"s1"}} and set(kept.read_selections(path)["by"]) == {"Ada?"}
