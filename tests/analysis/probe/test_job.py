"""The probe on a small study: planted tokens are found at both sites, nobody is tested who was learnt from."""

import numpy as np
import pytest

from tests.analysis.tokens.test_job import Blind, Bright, planted
from workbench.analysis.config import ProbeConfig
from workbench.analysis.probe.job import Labelled, Lesson, _learn, run_probe
from workbench.errors import ConfigError, WorkbenchError
from workbench.found import as_text
from workbench.model import EncoderConfig

FOURS = EncoderConfig(preset="micro", image_size=16, patch=4, registers=1)  # of the planted encoders


def config(study, out, **changes):
    return ProbeConfig(out=out, store=study.store, encoder=study.encoder_run, accelerator="cpu", **changes)


@pytest.fixture(scope="module")
def made(study, tmp_path_factory):
    """A run whose own encoder says where bright tokens are, beside random weights that were not replaced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.analysis.probe.job.open_matching", planted(Bright))
        patch.setattr("workbench.analysis.probe.job.random_beside", lambda config, card: Blind(FOURS).eval())
        return run_probe(config(study, tmp_path_factory.mktemp("probe") / "run", labelled=(2, 0), draws=2))


def test_a_planted_structure_is_found_and_the_difference_has_its_interval(made):
    short = made.read_table("in_short").set_index(["weights", "labelled", "sites"])
    own = made.provenance["first"]
    assert set(short.index.get_level_values("sites")) == {"within", "between"}
    assert (short.loc[own, "average_precision"] > short.loc["random beside", "average_precision"] + 0.2).all()
    assert (short["average_precision_low"] <= short["average_precision"]).all()
    paired = made.read_table("weights_paired")
    assert (paired.loc[paired["measure"] == "average_precision", "low"] > 0).all()
    said = as_text(made)
    assert "linear probe" in said and "2 people labelled" in said and "random beside" in said


def test_people_are_on_one_side(made):
    table = made.read_table("probe")
    for _, lesson in table.groupby(["weights", "train_site", "labelled", "draw"]):
        tested = set(lesson["participant"])
        at_home = set(lesson.loc[lesson["sites"] == "within", "participant"])
        assert len(tested) + lesson["learnt_from"].iloc[0] >= len(set(table["participant"]))
        assert at_home and tested - at_home
    folds = table[(table["labelled"] == "all") & (table["sites"] == "within")]
    counts = folds.groupby(["weights", "structure", "participant"]).size()
    assert (counts == 1).all()  # each is tested at home by the one fold that did not learn from them


def test_done_is_done_and_refusals_say_what_to_do(made, study, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="block"):
        run_probe(config(study, tmp_path / "a", block=40))
    with pytest.raises(ConfigError, match="two encoders"):
        run_probe(config(study, tmp_path / "b", against=(study.encoder_run,)))
    with pytest.raises(WorkbenchError, match="nothing to learn from"):
        run_probe(config(study, tmp_path / "c", structures=("left_amygdala",)))


def test_who_was_scanned_at_two_sites_is_learnt_from_at_one_and_tested_at_each():
    def scan(person, site, seed):
        rng = np.random.default_rng(seed)
        inside = {"a": np.arange(20) < 5}
        return Labelled(person, site, rng.normal(size=(20, 4)) + inside["a"][:, None], inside, {"a": np.ones(20)})

    read = {p: [scan(p, s, i) for s in "XY"] for i, p in enumerate("123")}
    lesson = Lesson("X", "2", 0, ("1", "2"), ("3",))
    rows, ended = _learn("w", lesson, read, ProbeConfig(out="o", store="s", encoder="e", structures=("a",)))
    assert ended and [(r["participant"], r["site"], r["train_site"]) for r in rows] == [
        ("3", "X", "X"),
        ("3", "Y", "X"),
    ]
    only_home = {p: [s for s in scans if s.site == "X"] for p, scans in read.items()}
    assert (
        _learn("w", lesson, only_home, ProbeConfig(out="o", store="s", encoder="e", structures=("a",)))[0] == rows[:1]
    )


def test_a_probe_is_not_said_to_be_spread():
    with pytest.raises(ConfigError, match="one process"):
        ProbeConfig.build({"out": "o", "store": "s", "encoder": "e", "executor": "slurm"})
