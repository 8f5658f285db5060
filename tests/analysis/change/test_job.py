"""People who are followed up, with planted change: found within its interval, and who is left out is said."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from workbench.analysis.change import distances
from workbench.analysis.change.job import run_change
from workbench.analysis.change.times import times_of, with_groups, with_years
from workbench.analysis.config import ChangeConfig
from workbench.errors import WorkbenchError
from workbench.found import found_by
from workbench.runs import JobConfig, start_run

WIDTH, DRIFT = 24, 0.25  # of the first dimension, a year


class FakeEmbed(JobConfig):
    job: ClassVar[str] = "embed"
    encoder: str = "e"


def followed(people: int = 18, times: int = 3, once: int = 2) -> pd.DataFrame:
    """Sessions two years apart; every third person converts at the last, and some are scanned once."""
    rows = [
        {
            "participant": f"p{p:02}",
            "session": f"ses-{s + 1}",
            "age": 60.0 + p + 2 * s,
            "diagnosis": "AD" if p % 3 == 0 and s == times - 1 else "CN",
        }
        for p in range(people + once)
        for s in range(times if p < people else 1)
    ]
    table = pd.DataFrame(rows)
    return table.assign(scan_id=table["participant"] + "_" + table["session"], seen_in_pretraining=False)


def embed_run(folder: Path, scans: pd.DataFrame, drift: float, converters: float = 0.0, seed: int = 0) -> Path:
    """People apart by 1, scans of one by 0.2 (standard deviations); SIMULATED numbers."""
    rng = np.random.default_rng(seed)
    code = np.unique(scans["participant"], return_inverse=True)[1]
    vectors = rng.normal(0, 1, (code.max() + 1, WIDTH))[code] + rng.normal(0, 0.2, (len(scans), WIDTH))
    years = (scans["age"] - scans.groupby("participant")["age"].transform("min")).to_numpy()
    ill = scans["diagnosis"].eq("AD").groupby(scans["participant"]).transform("any").to_numpy()
    vectors[:, :8] += ((drift + converters * ill) * years)[:, None]
    with start_run(FakeEmbed(out=folder), simulated=True) as run:
        run.write_table("scans", scans.assign(score=3.0 - 0.5 * years + 0.1 * rng.normal(size=len(scans))))
        run.write_table("embeddings", pd.DataFrame({"scan_id": scans["scan_id"], "cls": list(vectors.astype("f4"))}))
    return folder


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("change")
    scans = followed()
    rows = scans.assign(volume=5.0 - 0.1 * (scans["age"] - 60), text="x")  # of all ages alike
    rows["participant_id"] = "sub-" + rows["participant"]
    rows["session_id"] = rows["session"].str.removeprefix("ses-")
    rows[["participant_id", "session_id", "volume", "text"]].to_csv(folder / "volumes.tsv", sep="\t", index=False)
    embed = embed_run(folder / "embed", scans, DRIFT, converters=DRIFT)
    settings = {"columns": ("score",), "table": folder / "volumes.tsv", "components": 1}
    return run_change(ChangeConfig(out=folder / "out", runs=(embed,), **settings))


def test_planted_slopes_are_found(found):
    slopes = found.read_table("slopes").set_index(["name", "group", "other"])
    score = slopes.loc["score", "", ""]
    assert score["low"] < -0.5 < score["high"] and score["people"] == 18 and score["method"].startswith("random")
    volume = slopes.loc["volume", "", ""]
    assert volume["value"] == pytest.approx(-0.1) and volume["scans"] == 54
    first = slopes.loc["component 1", "", ""]
    assert first["low"] > 0 and first["p_holm"] >= first["p"]
    assert abs(slopes.loc[("component 1", "CN", "CN → AD"), "value"]) > 0.02  # converters drift twice as fast


def test_people_move_together_and_converters_move_more(found):
    summary = found.read_table("summary").set_index(["group", "other", "measure"])
    shared = summary.loc["", "", "shared direction of change"]
    assert shared["low"] > 0.3 and shared["p"] < 0.01
    apart = summary.loc["", "", "apart per year beyond that"]
    assert apart["low"] > 0 and summary.loc[("", "", "apart with no time between"), "value"] > 0
    more = summary.loc["CN", "CN → AD", "moved per year"]
    assert more["high"] < 0 and more["people"] == 18
    people = found.read_table("people").set_index("participant")
    assert people.loc["p00", "group"] == "CN → AD" and people.loc["p01", "group"] == "CN" and "p18" not in people.index


def test_it_says_what_it_found_who_converted_and_who_is_left_out(found):
    told = found_by(found)
    assert told.words.startswith("embed: moved per year, in distances between two people 0.") and found.simulated
    assert any("score, change per year −0.5" in line and "mixed model" in line for line in told.beside)
    assert {"run", "measure", "estimate", "low", "high", "n"} <= set(told.numbers[0])
    notes = " ".join(found.read_table("notes")["note"])
    assert "years are told by age" in notes and "2 people who were scanned at one time alone" in notes
    assert "diagnosis changes in 6 people: p00 (CN → AD, after 4.0 years)" in notes
    assert "no numbers in text" in notes and "ages are whole years" in notes
    page = (found.path / "report.html").read_text()
    assert "simulated data" in page and page.count("<svg") == 3
    assert "CN minus CN → AD" in page


def test_noise_has_no_shared_direction(tmp_path):
    embed = embed_run(tmp_path / "e", followed().assign(diagnosis="CN"), 0.0, seed=1)
    run = run_change(ChangeConfig(out=tmp_path / "o", runs=(embed,), components=1))
    summary = run.read_table("summary").set_index("measure")
    direction = summary.loc["shared direction of change"]
    assert direction["low"] < 0 < direction["high"] and direction["p"] > 0.05
    apart = summary.loc["apart per year beyond that"]
    assert apart["low"] < 0 < apart["high"] and set(summary["group"]) == {""}


def test_a_shared_direction_is_found_in_noise_as_rarely_as_it_says(monkeypatch):
    monkeypatch.setattr(distances, "DRAWS", 199)
    rng, found = np.random.default_rng(0), []
    for _ in range(120):
        unit = rng.normal(size=(14, 24))
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        found.append(distances.shared(unit @ unit.T, 0))
    assert np.mean([one["p"] <= 0.05 for one in found]) < 0.11
    assert np.mean([one["low"] <= 0 <= one["high"] for one in found]) > 0.92


def test_times_in_the_spellings_of_data_sets():
    told = times_of(pd.Series(["2004-03-01", "ses-20040301", "d0365", "ses-M06", "bl", "2004-13-40", None, "x"]))
    assert told.iloc[0] == told.iloc[1] and told.iloc[2:5].tolist() == pytest.approx([365 / 365.25, 0.5, 0])
    assert told.iloc[5:].isna().all()


def test_years_by_dates_where_everybody_has_one_age_and_refusals():
    scans = followed(people=4).assign(age=70.0)
    with pytest.raises(WorkbenchError, match="several times are too few"):
        with_years(scans, "", "here")
    dated = scans.assign(examdate=[f"20{s[-1:]}0-05-01" for s in scans["session"]])
    some, notes = with_years(dated, "", "here")
    assert "told by examdate" in notes[0] and some["years"].max() == pytest.approx(20, abs=0.01)
    assert (some["first_age"] == 70).all()  # one age is that of the first session
    with pytest.raises(WorkbenchError, match="no column 'when'"):
        with_years(scans, "when", "here")
    moved = followed(people=4).assign(scanner=lambda t: t["session"])
    assert any("4 people changed the scanner" in note for note in with_years(moved, "", "here")[1])


def test_a_label_that_is_not_known_is_no_group():
    scans, _ = with_years(followed(people=4), "", "here")
    scans.loc[scans["participant"] == "p01", "diagnosis"] = None
    some, notes = with_groups(scans, "diagnosis", "here")
    assert some.groupby("participant")["group"].first().to_dict()["p01"] == ""
    assert "of 1 people is not known" in notes[-1]
    assert (with_groups(scans, "apoe", "here")[0]["group"] == "").all()


def test_what_cannot_be_told_is_refused(tmp_path):
    embed = embed_run(tmp_path / "e", followed(people=4, once=0), 0.1)
    (tmp_path / "t.csv").write_text("volume\n3\n")
    (tmp_path / "twice.csv").write_text("scan_id,volume\np00_ses-1,3\np00_ses-1,4\n")
    for number, (settings, words) in enumerate(
        [
            ({"table": tmp_path / "t.csv"}, "which scan a row is of"),
            ({"table": tmp_path / "twice.csv"}, "two rows are of one session"),
            ({"table": tmp_path / "no.csv"}, "no such table"),
            ({"columns": ("mmse",)}, "no column 'mmse'"),
            ({"groups": ("MCI",)}, "no group 'MCI'"),
        ]
    ):
        with pytest.raises(WorkbenchError, match=words):
            run_change(ChangeConfig(out=tmp_path / f"o{number}", runs=(embed,), **settings))
