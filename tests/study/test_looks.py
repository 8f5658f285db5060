"""Looks into an encoder as tasks of a study; what is run first; arms with seeds of their own; a budget of minutes."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.study.made import people_of
from tests.study.test_job import build, settings
from workbench.errors import ConfigError, WorkbenchError
from workbench.found import found_by
from workbench.runs import Run
from workbench.study.cells.estimate import Budget, Pace
from workbench.study.cells.plan import Plan
from workbench.study.evidence.intervals import difference_table
from workbench.study.job import plan_all_data, run_study
from workbench.study.report.words import caveats
from workbench.study.settings.config import StudyConfig
from workbench.study.settings.fair import check_fair


def looks(study, out, **changes):
    """An encoder that is there against random weights: nothing is trained."""
    tasks = {
        "tokens": {"data": "tiny", "tokens": {}, "directions": [{"within": []}], "margin": 0.9},
        "attention": {"data": "tiny", "attend": {"sanity": False}, "directions": [{"within": []}]},
        "linear": {"data": "tiny", "probe": {"draws": 1}, "directions": [{"within": []}]},
    }
    arms = {
        "random": None,
        "given": {"encoder": str(study.encoder_run)},
        "volumes": {"classify": {"mode": "brain_volume"}},
    }
    compares = ["encoder", "classify.mode"]
    return build(study, out, arms=arms, tasks=tasks, compares=compares, transductive=True, **changes)


@pytest.fixture(scope="module")
def looked(study, tmp_path_factory):
    return run_study(looks(study, tmp_path_factory.mktemp("looks") / "study"))


def test_a_look_is_compared_as_a_fine_tuning_is(looked):
    people = looked.read_table("people")
    probed = {"probe_between", "probe_within", "probe_hit_between"}
    assert set(people["metric"]) == {"token_hit", "token_distance_mm", "attention_outside", *probed}
    hits = people[(people["metric"] == "token_hit") & (people["structure"] == "mean")]
    assert (hits.groupby("arm")["participant"].nunique() == 12).all() and set(hits["arm"]) == {"random", "given"}
    table = looked.read_table("differences").set_index("metric")
    row = table.loc["token_hit"]
    assert row["n"] == 12 and row["equivalent"] and "Equivalent within ±90.0 points of tokens" in row["verdict"]
    other = table.loc["attention_outside"]
    assert not other["equivalent"] and "quivalen" not in other["verdict"] and other["transductive"]
    probe = people[(people["metric"] == "probe_between") & (people["structure"] == "mean")]
    assert (probe.groupby("arm")["participant"].nunique() == 12).all() and probe["value"].between(0.001, 1).all()
    run = Run(next(looked.path.glob("cells/test-linear*")))
    rows = run.read_table("probe")
    told = rows[rows["sites"] == "between"].groupby("participant")["average_precision"].mean()
    arm = probe[probe["arm"] == ("random" if run.config["init"] == "random" else "given")].set_index("participant")
    assert (arm["value"] - told).abs().max() < 1e-6 and set(rows["labelled"]) == {"2"}
    cells = looked.read_table("cells")
    assert len(cells) == 6 and (cells["fold"].dropna() == 0).all()  # one encoder serves everybody at once


def test_its_report_speaks_of_no_labels_and_names_who_has_no_encoder(looked):
    text = (looked.path / "results.md").read_text()
    assert "of the labels" not in text and "| labels |" not in text and "TRANSDUCTIVE" in text
    assert "volumes not in attention, linear, tokens" in text and "were read from each encoder as it is" in text
    assert "looked at" in (looked.path / "report.html").read_text()
    assert "tokens compared between people; 12 people tested, of 2 sites" in text


def test_where_pretraining_is_of_each_split_only_its_tested_people_are_looked_at(study, tmp_path):
    tasks = {"tokens": {"data": "tiny", "tokens": {}, "directions": [{"within": []}]}}
    config = build(study, tmp_path / "s", tasks=tasks, run_folds=2)
    plan = Plan(config, plan_all_data(config))
    folds = {node.about["fold"] for node in plan.nodes.values() if node.about["stage"] == "test"}
    assert folds == {0, 1} and sum(node.about["stage"] == "pretrain" for node in plan.nodes.values()) == 2
    cell = plan.cell(next(id for id in plan.nodes if id.startswith("test/tokens")))
    sides = pd.read_parquet(cell.config.split)["split"].value_counts()
    assert sides["test"] == 6 and cell.config.rgb is False and cell.config.sanity is False


def test_what_makes_no_sense_of_a_look_is_refused(study, tmp_path):
    one = {"data": "tiny", "directions": [{"within": []}]}
    for task, words in [
        ({**one, "tokens": {}, "fractions": [0.5]}, "no share of labels"),
        ({**one, "tokens": {}, "segment": {}}, "give one of"),
        ({**one, "margin": -1, "segment": {}}, "margin"),
    ]:
        with pytest.raises(ConfigError, match=words):
            build(study, tmp_path / "s", tasks={"t": task})
    with pytest.raises(ConfigError, match="encoder may not be set"):
        check_fair(build(study, tmp_path / "s", tasks={"t": {**one, "tokens": {"encoder": "x"}}}))
    with pytest.raises(ConfigError, match="averaged over"):
        check_fair(build(study, tmp_path / "s", tasks={"t": {**one, "probe": {"labelled": [2, 5]}}}))
    config = build(study, tmp_path / "s", tasks={"t": {**one, "reliability": {}}})
    with pytest.raises(WorkbenchError, match="nobody has several scans"):
        Plan(config, plan_all_data(config))


def test_encoders_pretrained_on_other_data_serve_every_fold_and_may_not_have_seen_these_people(study, tmp_path):
    data = {"tiny": {"store": str(study.store)}, "more": {"store": str(study.store), "pretrained_on": "tiny"}}
    task = {"data": "more", "tokens": {}, "directions": [{"within": []}]}
    config = build(study, tmp_path / "s", data=data, tasks={"t": task})
    with pytest.raises(WorkbenchError, match="people of more are in tiny too"):
        Plan(config, plan_all_data(config))
    config = config.model_copy(update={"transductive": True})
    plan = Plan(config, plan_all_data(config))
    (made,) = [node for node in plan.nodes.values() if node.about["stage"] == "pretrain"]
    assert made.about["data"] == "tiny"
    assert set(pd.read_parquet(plan.cell(made.id).config.split)["split"]) == {"train"}
    with pytest.raises(ConfigError, match="is no data that is pretrained on"):
        build(study, tmp_path / "s", data={"tiny": {**data["tiny"], "pretrained_on": "nowhere"}})


def test_what_a_report_needs_first_is_run_first(study, tmp_path):
    config = build(study, tmp_path / "s", seeds=[0, 1], run_folds=2, finetune_seeds=[0, 1])
    plan = Plan(config, plan_all_data(config))
    order = plan.in_order()
    assert {node.id for node in order} == set(plan.nodes) and len(order) == len(plan.nodes)
    place = {node.id: i for i, node in enumerate(order)}
    assert all(place[needed] < place[node.id] for node in order for needed in (*node.after, *node.one_of))
    tests = [node.about for node in order if node.about["stage"] == "test"]
    first = tests[:4]  # both arms in both tasks, the reference first
    assert [(a["task"], a["arm"]) for a in first] == [
        (task, arm) for task in ("hippocampus", "sex") for arm in ("random", "volta")
    ]
    assert all(a["seed"] == a["fold"] == 0 for a in tests[:4])
    seeds = [a["seed"] for a in tests]
    assert seeds == sorted(seeds)


def test_arms_may_have_fewer_seeds_and_are_compared_over_those_that_both_have(study, tmp_path):
    arms = {"random": None, "volta": {"pretrain": {}, "seeds": [1]}}
    config = build(study, tmp_path / "s", arms=arms, seeds=[0, 1, 2])
    plan = Plan(config, plan_all_data(config))
    by_arm = pd.DataFrame([node.about for node in plan.nodes.values() if node.about["stage"] == "test"])
    assert by_arm.groupby("arm")["seed"].agg(set).to_dict() == {"random": {0, 1, 2}, "volta": {1}}
    empty = pd.DataFrame(columns=["simulated", "transductive", "metric", "n", "task", "direction"])
    assert any("seeds of their own: volta: 1" in told for told in caveats(plan, empty))
    people = people_of({"a": {0: [1.0, 0.5, 0.9], 1: [0.5, 0.4, 0.52]}, "b": {1: [0.4, 0.32, 0.4]}})
    row = difference_table(people, [("a", "b")]).iloc[0]
    assert row["difference"] == pytest.approx(0.1) and row["seeds"] == 1
    for wrong, words in [({"seeds": [7]}, "7 is not one of"), ({"seeds": [0]}, "no seed in common")]:
        with pytest.raises(ConfigError, match=words):
            given = {**arms, "volta": {**arms["volta"], "seeds": [1]}, "random": {**wrong}}
            build(study, tmp_path / "s", arms=given, seeds=[0, 1, 2])


def test_a_setting_that_joined_later_changes_no_key(study, tmp_path):
    """Finished cells of before must not be run again."""
    from workbench.analysis.config import TokensConfig
    from workbench.simulate.config import SimulateConfig
    from workbench.study.cells.cell import make_cell

    def key(config):
        return make_cell(tmp_path, config, {}, "x", {}).key

    old = SimulateConfig(out="x", participants=9)
    assert key(old) == key(SimulateConfig(out="y", participants=9, travelling=False, followups=0))
    assert key(old) != key(SimulateConfig(out="x", participants=9, travelling=True))
    paths = {"out": "x", "store": "s", "encoder": "e"}
    assert key(TokensConfig(**paths)) != key(TokensConfig(**paths, split="p"))


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("workbench.study.cells.estimate.time.monotonic", lambda: self.now)


def test_a_budget_begins_what_ends_in_time(monkeypatch):
    clock = Clock(monkeypatch)
    about = {"stage": "test", "task": "t", "arm": "a", "kind": "segment"}
    budget = Budget(2, Pace([(about, 50.0)]))
    assert budget.fits(about) and budget.fits({"stage": "pretrain"}) and not budget.over
    clock.now = 80
    assert not budget.fits(about) and budget.fits({"stage": "pretrain"})  # of an unknown kind one is tried
    clock.now = 121
    assert budget.over and not budget.fits({"stage": "pretrain"})


def test_a_study_whose_time_is_over_says_what_was_not_run_and_goes_on(study, looked, tmp_path):
    config = looks(study, tmp_path / "s", minutes=1e-6)
    run = run_study(config)
    assert run.ok and run.provenance["not_run"] == 6 and set(run.read_table("cells")["state"]) == {"not run"}
    assert "6 of 6 cells were not run" in (run.path / "results.md").read_text()
    assert "6 cells not run" in found_by(run).words
    done = StudyConfig.build({**config.model_dump(), "out": looked.path, "minutes": 1e-6})
    again = run_study(done)  # what is done is taken, however little time there is
    assert again.provenance["not_run"] == 0 and len(again.read_table("differences"))
    assert "minutes" not in settings(study, "x") and "minutes" not in again.config


def test_the_referees_table_is_fair_and_within_an_hour(tmp_path):
    file = Path(__file__).parents[2] / "configs" / "referee.yaml"
    config = StudyConfig.build({**yaml.safe_load(file.read_text()), "out": tmp_path})
    assert config.minutes <= 60 and config.workers == 2 and len(config.seeds) >= 3
    assert {task.job for task in config.tasks.values()} == {"segment", "classify", "reliability"}
    assert {s.name for s in check_fair(config) if s.arms} >= {"objective.name", "network", "mode"}
    data = plan_all_data(config)
    assert [cell.config.job for cell in data["travellers"].cells] == ["simulate", "cohort", "prepare"]
    assert data["travellers"].cells[0].config.travelling and not data["people"].cells[0].config.travelling
