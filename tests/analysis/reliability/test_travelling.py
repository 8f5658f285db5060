"""Simulated people who travelled, from their scans to a study: no training, two encoders with weights of no worth."""

from pathlib import Path

import pytest

from workbench.analysis.config import ReliabilityConfig
from workbench.analysis.reliability.job import run_reliability
from workbench.model.config import EncoderConfig
from workbench.model.export import EncoderCard, fresh_encoder, save_encoder
from workbench.prepare.store import open_store
from workbench.study.job import run_study
from workbench.study.settings.config import StudyConfig

SHAPE = {"preset": "micro", "image_size": 16, "patch": 8}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A study whose one task is whether four people are known again at three sites, at 6 mm."""
    folder = tmp_path_factory.mktemp("travelling")
    settings = {
        "out": folder / "study",
        "data": {
            "travellers": {
                "simulate": {"participants": 4, "spacing": 6.0, "travelling": True},
                "prepare": {"spacing": 6.0},
            }
        },
        "pretrain": {"encoder": SHAPE},
        "arms": {"random": None},
        "tasks": {"again": {"data": "travellers", "reliability": {"across": "site"}}},
        "seeds": [0, 1],
        "folds": 2,
    }
    first = run_study(StudyConfig.build(settings))
    store = open_store(next(Path(first.path / "cells").glob("prepare-travellers-*")))
    config = EncoderConfig(**SHAPE)
    about = ("made up", 0, 0, True, "pretrained", store.settings)
    card = EncoderCard(config, store.fingerprint, store.spacing, (), (), *about)
    save_encoder(folder / "other", fresh_encoder(config, 7).state_dict(), card)
    arms = {"random": None, "other": {"encoder": str(folder / "other")}}
    return run_study(StudyConfig.build({**settings, "arms": arms, "compares": ["encoder"]})), store


def test_people_who_travelled_are_compared_person_by_person(compared):
    run, store = compared
    assert len(store) == 12 and run.ok and (run.path / "report.html").is_file()
    people = run.read_table("people")
    assert set(people["metric"]) == {"discriminability", "identified"} and people["simulated"].all()
    assert (people.groupby(["arm", "seed", "metric"])["participant"].nunique() == 4).all()
    row = run.read_table("differences").set_index("metric").loc["discriminability"]
    assert row["n"] == 4 and "points of discriminability" in row["verdict"] and "simulated data" in row["verdict"]
    text = (run.path / "results.md").read_text()
    assert "people scanned several times; 4 people tested" in text and "of the labels" not in text


def test_cells_that_were_done_were_not_done_again(compared):
    run, _ = compared
    cells = run.read_table("cells")
    assert (cells["state"] == "ok").all() and (cells["job"] == "reliability").sum() == 4  # two seeds of each arm
    assert cells.groupby("cell")["seconds"].first().notna().all()


def test_an_encoder_is_asked_about_them_directly(compared, tmp_path):
    run, store = compared
    encoder = next((run.path / "architectures").iterdir())
    settings = {"store": store.path, "encoder": encoder, "init": "random", "accelerator": "cpu"}
    made = run_reliability(ReliabilityConfig(out=tmp_path / "out", **settings))
    summary = made.read_table("summary").set_index("measure")
    assert summary.loc["discriminability", "people"] == 4 and summary.loc["discriminability", "conditions"] == 3
    parts = made.read_table("shares").set_index("part")["value"]
    assert {"person", "rest"} < set(parts.index) and parts.sum() == pytest.approx(1)
    icc = made.read_table("icc")
    assert (icc["kind"] == "dimension").sum() == 192 and (icc["people"] == 4).all() and (icc["conditions"] == 3).all()
    said = " ".join(made.read_table("notes")["note"])
    assert "across s" in said and "go together" in said  # each site has one scanner, and a session is at a site
