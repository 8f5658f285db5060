"""What runs say they found, on tables whose answer is known."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml

from workbench import cli
from workbench.errors import WorkbenchError
from workbench.found import as_json, as_line, as_text, by_site, found_by
from workbench.jobs import JOBS, load
from workbench.runs import Run


def made(folder, job, tables=None, state="ok", provenance=None, metrics=(), **config):
    """A run folder as a job leaves it."""
    (folder / "results").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"job": job, **config}))
    (folder / "status.json").write_text(json.dumps({"state": state, "seconds": 2.0}))
    (folder / "provenance.json").write_text(json.dumps(provenance or {}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    for name, table in (tables or {}).items():
        table.to_parquet(folder / "results" / f"{name}.parquet")
    return Run(folder)


def dice(values, sites="A", split="test"):
    people = [f"p{i:02}" for i in range(len(values))]
    one = pd.DataFrame({"participant": people, "scan_id": people, "site": sites, "split": split, "dice": values})
    return pd.concat([one.assign(structure="left"), one.assign(structure="right", dice=one["dice"] + 0.02)])


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(0)
    base, sites = rng.normal(0.7, 0.04, 12), ["A"] * 6 + ["B"] * 6
    ours = {"dice": pd.concat([dice(base + 0.03, sites), dice(base * 0 + 0.1, sites, "train")])}
    own = made(
        tmp_path / "ours", "segment", ours, init="pretrained", steps=5, predict="test", provenance={"simulated": True}
    )
    made(tmp_path / "random", "segment", {"dice": dice(base, sites)}, init="random", steps=5, predict="test")
    made(tmp_path / "longer", "segment", {"dice": dice(base * 0, sites)}, init="random", steps=9, predict="test")
    return own, base


def test_every_job_can_say_what_it_found():
    for job in JOBS.values():
        assert job.found and callable(load(job.found))


def test_a_segmentation_says_its_dice_and_what_its_twin_on_random_weights_gave(pair):
    own, base = pair
    found = found_by(own)
    assert found.words.startswith(f"Dice {base.mean() + 0.04:.3f} [") and found.words.endswith("], n = 12")
    twin, verdict = found.beside
    assert twin.startswith(f"random weights {base.mean() + 0.01:.3f} [") and "(random)" in twin
    assert verdict.startswith("simulated data: pretrained is higher than random: pretrained − random = +0.030 Dice (")
    (number,) = found.numbers
    assert number["n"] == 12 and number["low"] < number["estimate"] < number["high"]


def test_without_a_twin_nothing_is_compared(tmp_path):
    own = made(tmp_path / "a", "segment", {"dice": dice([0.5, 0.6, 0.7])}, init="random", predict="test")
    made(tmp_path / "b", "segment", {"dice": dice([0.5] * 3)}, state="failed", init="pretrained", predict="test")
    found = found_by(own)
    assert not found.beside and "n = 3 (few" in found.words


def test_one_person_leaves_no_interval_and_says_so(tmp_path):
    found = found_by(made(tmp_path / "a", "segment", {"dice": dice([0.5])}, init="random", predict="test"))
    assert found.words == "Dice 0.510, n = 1, which leaves no interval" and found.numbers[0]["low"] is None


def test_a_classification_says_its_auroc(tmp_path):
    rows = [("auroc", 0.71, 0.6, 0.82, 40), ("brier", 0.2, 0.1, 0.3, 40)]
    table = pd.DataFrame(rows, columns=["score", "estimate", "low", "high", "n"]).assign(split="test")
    run = made(
        tmp_path / "a", "classify", {"scores": table}, init="pretrained", target="sex", provenance={"positive": "M"}
    )
    made(tmp_path / "b", "classify", {"scores": table.assign(estimate=0.5)}, init="random", target="sex")
    found = found_by(run)
    assert found.words == "AUROC 0.710 [0.600, 0.820], n = 40 (sex = M)"
    assert found.beside == ("random weights 0.500 [0.600, 0.820], n = 40 (b)",)


def test_counts_and_collapse(tmp_path):
    steps = [{"step": i, "loss": 5.0 - i} for i in range(1, 4)]
    alarm = {"alarm": {"step": 2, "why": "the teacher says the same of every scan"}}
    run = made(tmp_path / "p", "pretrain", provenance={"participants": ["a", "b"], **alarm}, metrics=steps)
    found = found_by(run)
    assert found.words == "3 steps on 2 people, loss 4 → 2; COLLAPSED at step 2" and "teacher" in found.beside[0]
    split = pd.DataFrame({"participant": list("abc"), "split": ["train", "train", "test"]})
    assert found_by(made(tmp_path / "s", "split", {"split": split})).words == "people: 2 train, 0 validation, 1 test"


def test_the_same_site_is_told_beside_chance(tmp_path):
    ids = [f"s{i}" for i in range(20)]
    scans = pd.DataFrame({"scan_id": ids, "participant": ids, "site": ["A", "B"] * 10, "seen_in_pretraining": False})
    near = pd.DataFrame({"scan_id": ids, "rank": 1, "neighbour": [ids[(i + 2) % 20] for i in range(20)]})
    run = made(tmp_path / "e", "embed", {"scans": scans, "neighbours": near.assign(same_participant=False)})
    (told,) = found_by(run).beside
    assert "same site 100 [100, 100] %, n = 20; 47 % by chance" in told


def test_what_looks_say(tmp_path):
    row = {"site": "all", "outside_brain": 0.3, "outside_brain_low": 0.2, "outside_brain_high": 0.4, "people": 12}
    table = pd.DataFrame([{**row, "weights": "pretrained"}, {**row, "weights": "random beside", "outside_brain": 0.5}])
    found = found_by(made(tmp_path / "a", "attend", {"outside_summary": table}, init="pretrained"))
    assert found.words == "attention outside the brain 30.0 [20.0, 40.0] %, n = 12"
    assert found.beside == ("random weights 50.0 [20.0, 40.0] %, n = 12",)
    measures = {"space": "as it is", "measure": "site predicted (balanced accuracy)", "people": 60, "sites": 3}
    table = pd.DataFrame([{**measures, "value": 0.9, "low": 0.8, "high": 1.0, "chance": 1 / 3}])
    assert (
        "90.0 [80.0, 100.0] %, n = 60 at 3 sites, 33 % by chance"
        in found_by(made(tmp_path / "s", "shift", {"shift": table})).words
    )
    curve = {"change": "bias_field", "strength": 1.0, "measure": "moved", "low": 0.1, "high": 0.9, "people": 12}
    curves = pd.DataFrame([{**curve, "value": 0.2}, {**curve, "change": "noise", "value": 0.7}])
    assert found_by(made(tmp_path / "w", "whatif", {"curves": curves})).words.startswith("noise at strength 1 moves")


def test_a_run_that_failed_or_is_damaged_fails_nobody(tmp_path):
    assert found_by(made(tmp_path / "f", "segment", state="failed")) is None
    damaged = made(tmp_path / "d", "segment", init="random")
    assert found_by(damaged).words == "not told: has no table 'dice'" and "not told" in as_line("d", damaged)
    assert found_by(made(tmp_path / "o", "something")) is None


def test_as_text_line_and_json(pair):
    own, _ = pair
    lines = as_text(own).splitlines()
    assert lines[0].startswith("segment: ok, ") and lines[0].endswith("(simulated data)") and len(lines) == 4
    assert "Dice" in as_line("ours", own) and "simulated data" in as_line("ours", own)
    told = json.loads(as_json(own))
    assert told["numbers"][0]["measure"] == "dice" and told["simulated"] and told["state"] == "ok"


def test_the_table_by_site(pair, tmp_path, capsys):
    own, base = pair
    table = by_site([own, Run(tmp_path / "random")])
    assert "| site (simulated) | people |" in table and table.count("| +0.030 [+0.030, +0.030] |") == 3
    assert f"| all | 12 | {base.mean() + 0.04:.3f} [" in table
    with pytest.raises(WorkbenchError, match="no pretrained run"):
        by_site([Run(tmp_path / "random")])
    assert cli.main(["runs", str(tmp_path), "--by-site"]) == 0 and "| A | 6 |" in capsys.readouterr().out
    assert cli.main(["runs", str(tmp_path), "--json"]) == 0
    assert {json.loads(line)["job"] for line in capsys.readouterr().out.splitlines()} == {"segment"}
