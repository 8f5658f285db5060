"""Travelling heads with planted truths: how much is the person's is found, and who is left out is said."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from workbench.analysis.config import ReliabilityConfig
from workbench.analysis.reliability.conditions import complete, with_condition
from workbench.analysis.reliability.job import run_reliability
from workbench.errors import WorkbenchError
from workbench.found import found_by
from workbench.runs import JobConfig, start_run


class FakeEmbed(JobConfig):
    job: ClassVar[str] = "embed"
    encoder: str = "e"


class FakeSegment(JobConfig):
    job: ClassVar[str] = "segment"
    store: Path


def travelling(people: int = 12, sites: int = 3, again: int = 1, alone: int = 4) -> pd.DataFrame:
    """Everybody ``again`` times at every site, and ``alone`` people once."""
    rows = [(f"p{p:02}", f"s{s}", r) for p in range(people) for s in range(sites) for r in range(again)]
    rows += [(f"q{p:02}", "s0", 0) for p in range(alone)]
    table = pd.DataFrame(rows, columns=["participant", "site", "again"])
    table["scan_id"] = [f"scan{i:03}" for i in range(len(table))]
    table["session"] = "ses-" + table["site"] + "r" + table["again"].astype(str)
    return table.assign(scanner=table["site"].str.upper(), seen_in_pretraining=table["participant"].str.startswith("q"))


def embed_run(folder: Path, scans: pd.DataFrame, person: float, site: float, rest: float, seed: int = 0) -> Path:
    """An embed run whose vectors hold these variances; SIMULATED numbers."""
    rng, width = np.random.default_rng(seed), 24

    def part(column: str, variance: float) -> np.ndarray:
        codes = np.unique(scans[column], return_inverse=True)[1]
        return rng.normal(0, variance**0.5, (codes.max() + 1, width))[codes]

    vectors = part("participant", person) + part("site", site) + rng.normal(0, rest**0.5, (len(scans), width))
    with start_run(FakeEmbed(out=folder), simulated=True) as run:
        run.write_table("scans", scans)
        run.write_table(
            "embeddings", pd.DataFrame({"scan_id": scans["scan_id"], "cls": list(vectors.astype(np.float32))})
        )
    return folder


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reliability")
    scans = travelling(people=30, sites=5, again=2)
    embed = embed_run(folder / "embed", scans, person=0.6, site=0.2, rest=0.2)
    blind = embed_run(folder / "random", scans, person=0.0, site=0.5, rest=0.5, seed=1)
    return run_reliability(ReliabilityConfig(out=folder / "out", runs=(embed, blind), across="site"))


def test_planted_shares_and_iccs_are_found(measured):
    shares = measured.read_table("shares").set_index(["run", "part"])["value"]
    ours, theirs = list(dict.fromkeys(measured.read_table("summary")["run"]))
    assert [shares[ours, part] for part in ("person", "site", "rest")] == pytest.approx([0.6, 0.2, 0.2], abs=0.1)
    assert shares[theirs, "person"] < 0.05
    icc = measured.read_table("icc")
    dims = icc[(icc["run"] == ours) & (icc["kind"] == "dimension")]
    # a cell of the table is the mean of two scans, so that half of the rest is gone
    assert dims["consistency"].median() == pytest.approx(0.6 / 0.7, abs=0.05) and len(dims) == 24
    assert (dims["agreement_low"] <= dims["agreement"]).all() and (dims["people"] == 30).all()
    assert set(icc["kind"]) == {"dimension", "component"}


def test_people_are_recognised_and_those_scanned_once_are_in_no_table(measured):
    summary = measured.read_table("summary").set_index(["run", "measure"])
    ours, theirs = list(dict.fromkeys(measured.read_table("summary")["run"]))
    found = summary.loc[(ours, "discriminability")]
    assert found["low"] > 0.9 and found["people"] == 30 and found["conditions"] == 5
    null = summary.loc[(theirs, "discriminability")]
    assert null["value"] < 0.6
    assert summary.loc[(ours, "identified under another condition"), "chance"] == pytest.approx(1 / 30)
    assert measured.read_table("people")["participant"].str.startswith("p").all()
    assert len(measured.read_table("pairs")) == 2 * 10
    notes = " ".join(measured.read_table("notes")["note"])
    assert "4 people whom the pretraining has seen are left out" in notes and "scanner: site and scanner go" in notes


def test_it_says_what_it_found(measured):
    found = found_by(measured)
    assert found.words.startswith("embed: discriminability") and "over 5 sites (0.50 by chance)" in found.words
    assert any(line.startswith("random: ") for line in found.beside) and measured.simulated
    assert {"run", "measure", "estimate", "low", "high", "n"} <= set(found.numbers[0])


def test_the_condition_that_most_people_repeat_is_taken_and_said(tmp_path):
    scans = travelling(people=3, sites=2, alone=0)
    later = scans.assign(session="ses-late", scan_id="x" + scans["scan_id"], site="s9", scanner="S9")
    some, across, notes = with_condition(pd.concat([scans, later], ignore_index=True), "", "here")
    assert across == "scanner" and "across scanner, in which 3 people" in notes[0] and len(some) == 12
    unknown = scans.assign(scanner=None, site="unknown")
    assert with_condition(unknown, "", "here")[1] == "session"
    nothing = scans.assign(scanner="x", site="x", session="")
    assert with_condition(nothing, "", "here")[1] == "scan"
    for table, words in [(scans.drop_duplicates("participant"), "too few"), (scans, "no column 'coil'")]:
        with pytest.raises(WorkbenchError, match=words):
            with_condition(table, "coil" if "coil" in words else "", "here")


def test_conditions_that_few_people_have_are_let_go_and_named():
    scans = travelling(people=10, sites=3, alone=0)
    scans = scans[(scans["site"] != "s2") | scans["participant"].isin(["p00", "p01"])].assign(
        condition=lambda t: t["site"]
    )
    shared = complete(scans)
    assert shared.conditions == ["s0", "s1"] and len(shared.people) == 10 and shared.left_out == ["s2 (2 people)"]
    values = np.arange(len(scans), dtype=float)[:, None]
    assert shared.table(scans, values)[0].ravel().tolist() == values[:2].ravel().tolist()


def test_volumes_and_dice_of_a_segmentation(tmp_path, monkeypatch):
    """Volumes that are the person's, and a Dice that is nobody's; people of the training side are not in it."""
    index = travelling(people=12, sites=3, alone=2)
    rng = np.random.default_rng(0)
    size = {person: rng.normal(3, 0.5) for person in sorted(set(index["participant"]))}
    rows = [
        {
            "scan_id": scan.scan_id,
            "participant": scan.participant,
            "structure": structure,
            "split": "train" if scan.participant == "p00" else "test",
            "dice": rng.normal(0.8, 0.02),
            "volume_ml": size[scan.participant] + rng.normal(0, 0.1),
            "true_volume_ml": size[scan.participant],
        }
        for scan in index.itertuples()
        for structure in ("left", "right")
    ]
    with start_run(FakeSegment(out=tmp_path / "seg", store=tmp_path), simulated=True) as run:
        run.write_table("dice", pd.DataFrame(rows))
    fake = type("Store", (), {"index": index.drop(columns="seen_in_pretraining")})
    monkeypatch.setattr("workbench.analysis.reliability.quantities.open_store", lambda path: fake)
    made = run_reliability(ReliabilityConfig(out=tmp_path / "out", runs=(tmp_path / "seg",), across="site"))
    icc = made.read_table("icc").set_index(["kind", "name"])
    assert set(icc.index.get_level_values("kind")) == {"Dice", "volume", "volume of the labels"}
    assert icc.loc[("volume", "left"), "agreement_low"] > 0.8 and icc.loc[("volume", "left"), "people"] == 11
    assert icc.loc[("volume", "left"), "within_sd"] == pytest.approx(0.1, abs=0.04)
    assert icc.loc[("Dice", "left"), "agreement"] < 0.4 < icc.loc[("volume of the labels", "right"), "agreement"]
    assert any("volume of left, ICC(2,1) over 3 sites" in line for line in found_by(made).lines())
    assert made.provenance["participants"]["test"] == sorted(set(index["participant"]) - {"p00"})


def test_an_encoder_is_asked_directly_and_what_does_not_belong_together_is_refused(tmp_path, study):
    with pytest.raises(WorkbenchError, match="several scans are too few"):
        run_reliability(
            ReliabilityConfig(out=tmp_path / "a", store=study.store, encoder=study.encoder_run, accelerator="cpu")
        )
    for settings, words in [
        ({}, "nothing to look at"),
        ({"store": study.store}, "belong together"),
        ({"runs": (study.cohort,)}, "no numbers to compare"),
    ]:
        with pytest.raises(WorkbenchError, match=words):
            run_reliability(ReliabilityConfig(out=tmp_path / "b", **settings))
