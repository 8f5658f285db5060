"""A study from its settings to its report, on tiny simulated people."""

import contextlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.explorer.hostile import evil, markup_in
from workbench.errors import ConfigError, WorkbenchError
from workbench.runs import Run
from workbench.study.cells.execute import Outcome
from workbench.study.cells.plan import Plan
from workbench.study.evidence.intervals import arm_table, difference_table
from workbench.study.job import plan_all_data, plan_study, run_study
from workbench.study.report.words import caveats, methods
from workbench.study.report.write import write_report
from workbench.study.settings.config import StudyConfig
from workbench.study.settings.fair import check_fair


def settings(study, out, **changes):
    return {
        "out": out,
        "title": "A tiny study",
        "data": {"tiny": {"store": str(study.store)}},
        "pretrain": {
            "encoder": study.encoder,
            "objective": study.objective,
            "epochs": 1,
            "batch_size": 2,
            "warmup_epochs": 0.5,
        },
        "arms": {"random": None, "volta": {"pretrain": {}}},
        "tasks": {
            "hippocampus": {
                "data": "tiny",
                "segment": {"steps": 2, "features": 4, "crop": [16, 16, 16]},
                "directions": [{"within": []}],
            },
            "sex": {"data": "tiny", "classify": {"target": "sex", "mode": "linear"}, "directions": [{"within": []}]},
        },
        "folds": 2,
        "run_folds": 1,
        "validation": 0.3,
        **changes,
    }


def build(study, out, **changes):
    return StudyConfig.build(settings(study, out, **changes))


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    return run_study(build(study, tmp_path_factory.mktemp("compare") / "study"))


def ended(run):
    return {path.parent.name: path.stat().st_mtime_ns for path in run.path.glob("cells/*/status.json")}


def test_every_person_of_the_fold_is_tested_once_by_every_arm(done):
    people = done.read_table("people")
    dice = people[(people["metric"] == "dice") & (people["structure"] == "mean")]
    each = dice.groupby("arm")["participant"].agg(["count", "nunique"])
    assert set(each.index) == {"random", "volta"} and (each["count"] == each["nunique"]).all()
    arms = done.read_table("arms").query("metric == 'dice'").set_index("arm")
    for arm, one in dice.groupby("arm"):  # the table is the mean of what the people have
        assert arms.loc[arm, "estimate"] == pytest.approx(one["value"].mean())
        assert arms.loc[arm, "n"] == len(one)
    assert (done.path / "results" / "people.csv").is_file()


def test_the_report_asks_nothing_of_a_network_and_says_what_it_is(done):
    text = (done.path / "report.html").read_text()
    loads = re.findall(r"""(?:src|href)\s*=\s*["']?(?!#|data:)[^"'>\s]+|url\((?!#)[^)]*\)|@import|<script""", text)
    assert loads == []
    assert "SIMULATED DATA" in text and "A tiny study" in text and "<svg" in text
    words = html.unescape(re.sub(r"<[^>]+>", "", text))
    for verdict in done.read_table("differences").query("metric in ['dice', 'auroc']")["verdict"]:
        assert verdict in words and "n = " in verdict


@pytest.mark.ui
def test_the_report_opens_with_the_network_cut(done, browser):
    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((done.path / "report.html").as_uri())
    first = page.locator(".found")
    assert first.bounding_box()["y"] < 500 and "no difference shown" in first.inner_text()
    assert page.locator(".lead").inner_text().count("6 people tested") == 2  # one fold of two
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    figures = page.locator("svg, img")
    assert figures.count() >= 6  # forest, people, cases; forest, calibration, classes
    for i in range(figures.count()):
        box = figures.nth(i).bounding_box()
        assert box["width"] > 100 and box["height"] > 50 and box["x"] + box["width"] <= 1200
    assert page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 100)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200
    context.close()
    assert all(url.startswith(("file://", "data:")) for url in asked) and not errors


def test_the_numbers_are_there_as_markdown_without_anybodys_name(done):
    text = (done.path / "results.md").read_text()
    assert "**SIMULATED DATA**" in text and "| random |" in text
    for verdict in done.read_table("differences").query("metric in ['dice', 'auroc']")["verdict"]:
        assert verdict in text
    assert not [name for name in done.read_table("people")["participant"].unique() if name in text]
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) >= 6 and all(len({line.count(" | ") for line in one[2:]}) == 1 for one in tables)


def test_markup_in_titles_reasons_and_values_stays_text_in_the_report(study, done, tmp_path):
    shutil.copytree(done.path, tmp_path / "study")
    run = Run(tmp_path / "study")
    settings_of = build(study, run.path, title=evil("title"))
    plan = Plan(settings_of, plan_all_data(settings_of), write=False)
    for name in run.tables():
        table = run.read_table(name)
        hostile = [c for c in ("site", "what", "verdict", "why", "cause", "words") if c in table]
        run.write_table(name, table.assign(**{c: evil(f"{c} of {name}") for c in hostile}))
    write_report(run, plan, Outcome(failed={evil("cell"): evil("why")}), check_fair(settings_of))
    text = (run.path / "report.html").read_text()
    assert text.count("onerror=pwned") > 5 and not list(markup_in(text))


def test_the_worst_cases_are_pictures_that_say_what_they_are(done):
    text = (done.path / "report.html").read_text()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert len(captions) >= 6 and all("simulated data" in caption for caption in captions)
    assert text.count("<img ") == len(captions) and "no picture" not in text
    dice = done.read_table("people").query("metric == 'dice' and structure == 'mean' and arm == 'random'")
    hardest = dice.sort_values("value")["participant"].iloc[0]
    assert any(hardest in caption for caption in captions)


def test_who_was_used_adds_up(done):
    flow = done.read_table("flow").query("kind != 'side'").set_index("what")["people"]
    people = done.read_table("people")
    assert flow["found"] == flow["prepared"] == 12
    for task in ("hippocampus", "sex"):
        tested = people.loc[people["task"] == task, "participant"].nunique()
        assert flow[f"tested in '{task}'"] == tested
        assert flow[f"in '{task}'"] == 12
    assert flow["learnt from or chosen on, not tested"].tolist() == [
        12 - flow["tested in 'hippocampus'"],
        12 - flow["tested in 'sex'"],
    ]


def test_a_finished_cell_is_not_run_again_unless_its_key_changes(study, done):
    before = ended(done)
    run_study(build(study, done.path))
    assert ended(done) == before
    changed = build(
        study,
        done.path,
        arms={"random": None, "volta": {"pretrain": {}}, "mae": {"pretrain": {"objective": {"name": "mae"}}}},
    )
    assert "3 to do" in plan_study(changed)  # pretraining, and the two tasks of the new arm
    run_study(changed)
    after = ended(done)
    assert {name: after[name] for name in before} == before and len(after) == len(before) + 3


def test_overwriting_a_study_never_deletes_finished_cells(study, done):
    before = ended(done)
    with pytest.raises(ConfigError, match=f"would delete {len(before)} finished cells"):
        run_study(build(study, done.path, title="Another title"), overwrite=True)
    assert ended(done) == before


def test_what_is_tested_waits_for_its_own_pretraining_and_not_only_for_the_choice_of_a_rate(study, tmp_path):
    """The candidates of a rate are of the first seed: the test of another seed has a pretraining of its own."""
    changed = settings(study, tmp_path / "study", seeds=[0, 1])
    changed["tasks"]["hippocampus"]["learning_rates"] = [1e-3, 1e-2]
    config = StudyConfig.build(changed)
    plan = Plan(config, plan_all_data(config), write=False)
    tests = [
        node
        for node in plan.nodes.values()
        if node.about["stage"] == "test" and node.about["arm"] == "volta" and node.about["task"] == "hippocampus"
    ]
    assert {node.about["seed"] for node in tests} == {0, 1}
    for node in tests:
        assert [one.endswith(f"volta/s{node.about['seed']}") for one in node.after] == [True], node.after
        assert len(node.one_of) == 2 and all("/s0.0/" in one for one in node.one_of)


def test_an_arm_with_another_setting_is_refused_by_name(study, tmp_path):
    unfair = build(study, tmp_path / "x", arms={"random": None, "volta": {"pretrain": {"epochs": 9}}})
    with pytest.raises(ConfigError) as refused:
        run_study(unfair)
    assert "volta" in str(refused.value.cause) and "epochs" in str(refused.value.cause)
    assert not (tmp_path / "x" / "cells").exists()
    assert plan_study(
        build(
            study, tmp_path / "x", arms=unfair.model_dump()["arms"], compares=["pretrain.objective", "pretrain.epochs"]
        )
    )


def test_a_task_may_run_fewer_of_the_seeds_and_the_report_says_so(study, tmp_path):
    changed = settings(study, tmp_path / "study", seeds=[0, 1])
    changed["tasks"]["sex"]["seeds"] = [1]
    config = StudyConfig.build(changed)
    plan = Plan(config, plan_all_data(config), write=False)
    tested = [node.split("/") for node in plan.nodes if node.startswith("test/")]
    seeds = {task: {parts[-1] for parts in tested if parts[1] == task} for task in changed["tasks"]}
    assert seeds == {"hippocampus": {"s0.0", "s1.0"}, "sex": {"s1.0"}}
    assert "sex: 1 alone" in methods(plan)
    none = pd.DataFrame({"simulated": [], "transductive": [], "metric": []})
    assert any("sex: 1 of 2" in told for told in caveats(plan, none))
    for wrong, said in (([2], "not one of the study's seeds"), ([1, 1], "none twice")):
        changed["tasks"]["sex"]["seeds"] = wrong
        with pytest.raises(WorkbenchError, match=said):
            StudyConfig.build(changed)


def test_a_planted_leak_is_refused(study, tmp_path):
    leaky = build(
        study,
        tmp_path / "x",
        arms={"random": None, "before": {"encoder": str(study.encoder_run)}},
        compares=["encoder"],
    )
    with pytest.raises(WorkbenchError, match="has seen"):
        run_study(leaky)
    assert plan_study(leaky.model_copy(update={"transductive": True}))


def people_table(effect, n=40):
    rng = np.random.default_rng(0)
    skill = rng.normal(0.8, 0.05, n)
    rows = [
        {
            "task": "t",
            "kind": "segment",
            "direction": "A→B",
            "fraction": 1.0,
            "arm": arm,
            "seed": 0,
            "finetune_seed": 0,
            "fold": 0,
            "participant": f"p{i}",
            "site": "B",
            "structure": "mean",
            "metric": "dice",
            "value": skill[i] + shift + rng.normal(0, 0.02),
            "cell": arm,
        }
        for arm, shift in (("random", 0.0), ("volta", effect))
        for i in range(n)
    ]
    return pd.DataFrame(rows)


def test_a_planted_effect_is_found_and_none_where_none_is():
    found = difference_table(people_table(0.03).assign(simulated=True), [("volta", "random")]).iloc[0]
    assert 0 < found["low"] < 0.03 < found["high"] and found["p_holm"] < 0.01
    assert "no difference" not in found["verdict"] and "simulated data" in found["verdict"]
    assert "trained from one seed" in found["verdict"]
    none = difference_table(people_table(0.0), [("volta", "random")]).iloc[0]
    assert none["low"] < 0 < none["high"] and none["verdict"].startswith("no difference shown")
    half = people_table(0.0).assign(transductive=lambda rows: rows["arm"] == "volta")
    assert difference_table(half, [("volta", "random")]).iloc[0]["verdict"].startswith("transductive: ")
    assert arm_table(half).query("metric == 'dice'").set_index("arm")["transductive"].to_dict() == {
        "random": False,
        "volta": True,
    }


def states(out, words):
    """State of each cell whose name begins so."""
    found = {}
    for file in out.glob(f"cells/{words}*/status.json"):
        with contextlib.suppress(json.JSONDecodeError, FileNotFoundError):  # it is being replaced
            found[file.parent] = json.loads(file.read_text())["state"]
    return found


def preparing(out):
    return [
        cell
        for cell, state in states(out, "prepare").items()
        if state == "running" and len(list((cell / "scans").glob("*.npy"))) > 1
    ]


def pretraining_twice(out):
    busy = [
        cell
        for cell, state in states(out, "pretrain").items()
        if (cell / "metrics.jsonl").is_file() and (cell / "metrics.jsonl").read_text().count("\n") > 3
    ]
    return len(busy) == 2


def killed(command, out, when):
    """Run ``command`` until ``when(out)`` and kill it as nothing can be caught; its cells must end by themselves."""
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 300
    while not when(out):
        assert process.poll() is None and time.monotonic() < until, process.stderr.read()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return [cell.name for cell, state in states(out, "").items() if state == "running"]


def test_killed_in_any_cell_it_goes_on(study, tmp_path):
    out = tmp_path / "study"
    values = settings(
        study,
        str(out),
        arms={"random": None, "volta": {"pretrain": {}}, "mae": {"pretrain": {"objective": {"name": "mae"}}}},
    )
    values["data"] = {"tiny": {"cohort": str(study.cohort), "prepare": {"spacing": 1.5}}}
    values["pretrain"]["epochs"] = 30
    values["tasks"].pop("sex")
    asked = tmp_path / "study.yaml"
    asked.write_text(yaml.safe_dump({k: v for k, v in values.items() if k != "out"}))
    command = [
        sys.executable,
        "-m",
        "workbench.cli",
        "compare",
        "--config",
        str(asked),
        "--out",
        str(out),
        "--workers",
        "2",
    ]
    assert [name.split("-")[0] for name in killed(command, out, preparing)] == ["prepare"]
    assert not (out / "report.html").exists()
    stopped = {name.split("-")[2] for name in killed(command, out, pretraining_twice)}
    assert stopped and stopped <= {"volta", "mae"}
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True)
    while not (running := [cell for cell, state in states(out, "test").items() if state == "running"]):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    os.kill(json.loads((running[0] / "status.json").read_text())["pid"], signal.SIGKILL)  # as if memory had run out
    told = process.communicate(timeout=300)[1]
    assert process.returncode == 1 and "killed by signal 9" in told  # the others ended, and the report is of them
    assert "1 of 5 cells failed" in html.unescape((out / "report.html").read_text())
    again = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert (out / "report.html").is_file() and set(states(out, "").values()) == {"ok"}
    for file in out.glob("cells/pretrain*/metrics.jsonl"):  # no step is missing and none was done twice
        steps = pd.read_json(file, lines=True)["step"]
        assert list(steps) == list(range(len(steps))) or list(steps) == list(range(1, len(steps) + 1))
    people = pd.read_parquet(out / "results" / "people.parquet").query("metric == 'dice' and structure == 'mean'")
    assert people.groupby("arm")["participant"].nunique().tolist() == [6, 6, 6]
