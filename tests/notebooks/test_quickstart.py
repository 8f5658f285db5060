"""The quickstart, run for real on a tiny simulated cohort: what it shows is what lies in the run folders."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.notebooks.executed import Report
from workbench.batch import NotebookConfig, run_notebook
from workbench.runs import Run, find_runs

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
TINY = (
    "participants=9",
    "source_spacing=6",
    "spacing=6",
    "image_size=16",
    "epochs=2",
    "batch_size=2",
    "steps=3",
    "fractions=[0.34, 0.0, 0.66]",
)  # six test people, two a site
PEOPLE, TESTED = 9, 6


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    return NotebookConfig(out=folder / "report", notebook=NOTEBOOK, parameters=(f"out={folder / 'runs'}", *TINY))


@pytest.fixture(scope="module")
def report(config):
    run = run_notebook(config)
    return Report(run, find_runs(config.out.parent / "runs"))


def test_every_job_ran_to_its_end_and_is_marked_simulated(report):
    assert sorted(report.made) == sorted(
        [
            "bids",
            "cohort",
            "split",
            "store",
            "pretrain",
            "hippocampus-pretrained",
            "hippocampus-random",
            "diagnosis-pretrained",
            "diagnosis-random",
            "diagnosis-volume",
            "sex-pretrained",
            "sex-random",
            "sex-volume",
            "embed-pretrained",
            "embed-random",
            "attend-pretrained",
            "attend-random",
        ]
    )
    assert all(run.ok and run.simulated for run in report.made.values())
    assert report.run.ok and report.run.simulated
    assert set(report.run.provenance["runs"].values()) == {run.job for run in report.made.values()}
    shown = report.table("run", "job", "state")
    assert dict(zip(shown["run"], shown["job"], strict=True)) == {n: run.job for n, run in report.made.items()}
    assert set(shown["state"]) == {"ok"}


def test_the_arms_of_a_comparison_differ_in_nothing_but_init(report):
    for job in ("hippocampus", "diagnosis", "sex", "embed", "attend"):
        a, b = (report.made[f"{job}-{init}"].config for init in ("pretrained", "random"))
        assert {key for key in a if a[key] != b[key]} == {"out", "init"}


def test_the_cohort_and_the_split_are_those_on_the_disk(report):
    assert f"Simulated data: {PEOPLE} scans of {PEOPLE} people, 0 files set aside" in report.text
    by_site = report.table("people", "women", "stored")
    assert by_site["people"].astype(int).sum() == PEOPLE
    scans = report.made["cohort"].read_table("scans")
    assert (
        by_site["women"].astype(int).tolist() == scans.groupby("site")["sex"].apply(lambda s: (s == "F").sum()).tolist()
    )
    split = report.table("site", "test", "train")
    assert (split["test"].astype(int).sum(), split["train"].astype(int).sum()) == (TESTED, PEOPLE - TESTED)


def test_the_dice_shown_is_the_dice_of_the_runs(report):
    tables = {init: report.made[f"hippocampus-{init}"].read_table("dice") for init in ("pretrained", "random")}
    people = {init: table.groupby(["site", "participant"])["dice"].mean() for init, table in tables.items()}
    people["difference"] = people["pretrained"] - people["random"]
    shown = report.table("n", "mean", "from", "to").set_index(["site", "Dice"])
    assert len(shown) == 3 * 4
    for name, values in people.items():
        assert len(values) == TESTED
        for site, group in [*values.groupby("site"), ("all sites", values)]:
            row = shown.loc[(site, name)]
            assert int(row["n"]) == len(group)
            assert float(row["mean"]) == pytest.approx(group.mean(), abs=6e-4)
            assert float(row["from"]) - 1e-3 <= group.mean() <= float(row["to"]) + 1e-3
            assert group.min() - 1e-3 <= float(row["from"]) and float(row["to"]) <= group.max() + 1e-3


def test_the_auroc_shown_is_that_of_the_runs_and_has_a_plain_rival(report):
    shown = report.table("target", "AUROC").set_index(["target", "from"])
    assert len(shown) == 6
    index = report.made["store"].read_table("index").set_index("scan_id")
    for target in ("diagnosis", "sex"):
        arms = {"pretrained": "pretrained encoder", "random": "random encoder", "volume": "brain volume"}
        for name, arm in arms.items():
            table = report.made[f"{target}-{name}"].read_table("predictions").query("split == 'test'")
            positive = sorted(set(index[target]))[1]
            row = shown.loc[(target, arm)]
            assert int(row["people"]) == len(table) == TESTED
            found = roc_auc_score(table["truth"] == positive, table["score"])
            assert float(row["AUROC"]) == pytest.approx(found, abs=6e-3)
            assert float(row["low"]) - 6e-3 <= found <= float(row["high"]) + 6e-3
        volume = index.loc[table["scan_id"], "brain_ml"]  # a single number orders people as its score does, or turned
        turned = [roc_auc_score(table["truth"] == positive, sign * volume) for sign in (1, -1)]
        assert any(found == pytest.approx(value) for value in turned)


def test_its_numbers_are_noted_for_the_table_of_a_batch(report):
    noted = report.run.provenance["recorded"]
    dice = report.made["hippocampus-random"].read_table("dice").groupby("participant")["dice"].mean().mean()
    assert noted["scans"] == PEOPLE and noted["dice_random"] == pytest.approx(dice)
    shown = report.table("target", "AUROC").set_index(["target", "from"])["AUROC"].astype(float)
    assert noted["auroc_sex_brain_volume"] == pytest.approx(shown["sex", "brain volume"], abs=6e-3)


def test_the_health_of_pretraining_is_told_with_its_numbers(report):
    last = report.made["pretrain"].metrics().dropna(subset=["loss"]).iloc[-1]
    assert last["step"] == 3  # two passes over three people in batches of two
    assert f"step 3: a token finds its own in {last['patch_top1']:.0%} of cases in the same view" in report.text


def test_attention_is_of_the_test_people(report):
    table = report.made["attend-random"].read_table("attention")
    split = report.made["split"].read_table("split").set_index("participant")["split"]
    scans = report.made["cohort"].read_table("scans").set_index("scan_id")["participant"]
    assert set(scans[table["scan_id"].unique()].map(split)) == {"test"}
    share, even = table.query("head == 'mean'")[["outside_brain", "outside_if_even"]].mean()
    assert f"random encoder: {share:.1%} of the attention falls outside" in report.text
    assert f"spread evenly it would be {even:.1%} (mean of {TESTED} test scans)" in report.text


def test_every_figure_says_that_its_data_are_simulated(report):
    figures = report.figures
    assert len(figures) == 8
    for figure in figures:
        assert "Simulated data: " in figure


def test_the_report_opens_anywhere(report):
    html = (report.run.path / "notebook.html").read_text()
    assert "What these numbers can and cannot show" in html
    assert "Bokeh" in html and "docs_json" in html
    # what a browser would fetch; addresses in text and in code that never runs may stay
    for pattern in (
        r"<script[^>]+src=",
        r"<link[^>]+href=\"?http",
        r"<img[^>]+src=\"?http",
        r'"url":\s*"https?:',
        r"@import",
    ):
        assert not re.search(pattern, html), pattern


def test_the_same_command_finishes_at_once_because_all_is_there(config, report):
    before = {name: run.status for name, run in report.made.items()}
    status = report.run.status
    again = run_notebook(config)
    assert again.status == status
    assert {name: Run(run.path).status for name, run in report.made.items()} == before


def test_numbers_are_finite(report):
    vectors = np.stack(report.made["embed-pretrained"].read_table("embeddings")["cls"].tolist())
    assert vectors.shape[0] == PEOPLE and np.isfinite(vectors).all() and vectors.std(axis=0).max() > 0
    assert json.loads((report.run.path / "provenance.json").read_text())["parameters"]["participants"] == PEOPLE
