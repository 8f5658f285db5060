import multiprocessing

import pandas as pd
import pytest

from workbench.cohort import ratings
from workbench.cohort.split_job import _without_failed
from workbench.errors import ConfigError, WorkbenchError


def test_a_verdict_is_kept_changed_and_taken_away(tmp_path):
    path = tmp_path / "embed-ratings.tsv"
    assert not len(ratings.read_ratings(path))
    ratings.record(path, "a", "p1", "pass", "", "Ada")
    ratings.record(path, "a", "p1", "fail", "ghost\tin the\nphase direction", "Ada")
    ratings.record(path, "a", "p1", "pass", "", "Bob")
    table = ratings.read_ratings(path)
    assert list(table["rating"]) == ["fail", "pass"] and table["note"].iloc[0] == "ghost in the phase direction"
    assert ratings.worst(table) == {"a": "fail"}
    ratings.record(path, "a", "p1", None, "", "Ada")
    assert ratings.worst(ratings.read_ratings(path)) == {"a": "pass"}
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == [path.name]


def rate_many(path, rater):
    for i in range(25):
        ratings.record(path, f"s{i}", f"p{i}", "pass", "", rater)


def test_two_people_at_once_lose_nothing(tmp_path):
    path = tmp_path / "embed-ratings.tsv"
    both = [multiprocessing.get_context("fork").Process(target=rate_many, args=(path, r)) for r in ("Ada", "Bob")]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    table = ratings.read_ratings(path)
    assert len(table) == 50 and set(table["rater"]) == {"Ada", "Bob"}


@pytest.mark.parametrize(
    "content", ["", "scan_id\trating\na\tpass\n", "garbage", "\t".join(ratings.COLUMNS) + "\na\tp\tgreat\t\t\t\n"]
)
def test_a_damaged_file_is_told_and_stays_as_it_is(tmp_path, content):
    path = tmp_path / "embed-ratings.tsv"
    path.write_text(content)
    with pytest.raises(WorkbenchError, match="not a table of verdicts"):
        ratings.record(path, "a", "p", "pass", "", "Ada")
    assert path.read_text() == content


def test_a_verdict_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(WorkbenchError, match="no such verdict"):
        ratings.record(tmp_path / "x.tsv", "a", "p", "great", "", "Ada")


def test_a_split_leaves_out_people_with_a_failed_scan_and_says_so(tmp_path, capsys):
    path = tmp_path / "embed-ratings.tsv"
    ratings.record(path, "s1", "p1", "fail", "", "Ada")
    ratings.record(path, "s1", "p1", "pass", "", "Bob")  # one who says fail is enough
    ratings.record(path, "s3", "p2", "doubtful", "", "Ada")
    ratings.record(path, "elsewhere", "p9", "fail", "", "Ada")
    table = pd.DataFrame({"scan_id": ["s1", "s2", "s3", "s4"], "participant": ["p1", "p1", "p2", "p3"]})
    assert list(_without_failed(table, path)["scan_id"]) == ["s3", "s4"]
    said = capsys.readouterr().err
    assert "1 people with 1 failed scans; 1 failed scans are not of this cohort; 2 scans have no verdict" in said
    with pytest.raises(ConfigError, match="no such file"):
        _without_failed(table, tmp_path / "none.tsv")
