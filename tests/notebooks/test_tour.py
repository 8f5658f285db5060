"""Notebooks 01 to 08 run once, one after the other, on a tiny simulated cohort with a damaged scan: what they show is
what lies in the run folders, worked out here again."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from docs.notebooks import FOLDER, SMALL, tour
from tests.notebooks.executed import Report
from workbench.runs import Run, find_runs
from workbench.stats import bootstrap_interval, delong, holm

# 12 people of three sites, one lost to the damage
TINY = {
    "01_cohort": ["participants=12", "source_spacing=6", "spacing=6", "damage=1", "fractions=[0.4, 0.0, 0.6]"],
    "02_pretrain": ["image_size=16", "epochs=2", "warmup_epochs=1", "batch_size=2", "workers=0"],
    "03_segmentation": ["steps=30", "learning_rate=0.02"],
    "04_classification": [],
    "05_attention_and_tokens": ["placed=10"],
    "06_embeddings": ["neighbours=3"],
    "07_domain_shift": ["smallest_site=3", "permutations=19", "people=3", "strengths=[1.0]", "changes=[gamma, noise]"],
    "08_compare": [
        "pretrain={encoder: {preset: micro, image_size: 16, patch: 8}, objective: {prototypes_cls: 32, "
        "prototypes_patch: 32, head_hidden: 32, head_bottleneck: 16}, epochs: 1, warmup_epochs: 0.5, batch_size: 2}",
        "tasks={hippocampus: {data: scans, segment: {steps: 20, features: 4, learning_rate: 0.02}}, "
        "sex: {data: scans, classify: {target: sex, mode: linear}}}",
        "arms={random: null, volta: {pretrain: {}}}",
        "folds=2",
        "run_folds=1",
    ],
}
PEOPLE = 11


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return tour(tmp_path_factory.mktemp("tour"), TINY)


@pytest.fixture(scope="module")
def reports(pages):
    root = pages[0].parent
    return {
        page.stem[:2]: Report(Run(root / "reports" / page.stem), find_runs(root / "runs" / page.stem)) for page in pages
    }


def noted(report):
    return report.run.provenance["recorded"]


def test_all_ran_in_a_batch_and_made_what_they_say(reports):
    every = {path.stem for path in FOLDER.glob("*.ipynb")}
    assert set(SMALL) == every == {*TINY, "quickstart"}, "`make tutorials` leaves none out"
    made = {number: sorted(report.made) for number, report in reports.items()}
    assert made == {
        "01": ["bids", "cohort", "split", "store"],
        "02": ["encoder"],
        "03": ["pretrained", "random"],
        "04": ["brain_volume", "pretrained", "random"],
        "05": ["attend", "tokens"],
        "06": ["pretrained", "random"],
        "07": ["shift-pretrained", "shift-random", "whatif"],
        "08": ["study"],
    }
    for report in reports.values():
        assert report.run.ok and noted(report)["simulated"] is True
        assert all(run.ok and run.simulated for run in report.made.values())


def test_everything_shown_says_that_it_is_simulated(reports):
    for number, report in reports.items():
        assert report.figures
        for figure in report.figures:
            assert "Simulated data: " in figure, f"a figure of notebook {number}"
        assert "Simulated data: " in report.text


def test_no_menu_in_a_batch(reports):
    for report in reports.values():
        shown = [output.get("data", {}).get("text/plain", "") for output in report.outputs]
        assert not any(text.startswith("interactive(") for text in shown)


def test_the_pages_open_without_a_network(pages):
    for page in pages:
        html = page.read_text()
        for pattern in (
            r"<script[^>]+src=",
            r"<link[^>]+href=\"?http",
            r"<img[^>]+src=\"?http",
            r'"url":\s*"https?:',
            r"@import",
        ):
            assert not re.search(pattern, html), f"{page.name}: {pattern}"
        assert "KeyError" not in html and "Traceback" not in html


def test_the_damaged_scan_is_set_aside_and_told(reports):
    report = reports["01"]
    assert f"Simulated data: {PEOPLE} scans of {PEOPLE} people can be used, 1 files were set aside" in report.text
    shown = report.table("path", "kind", "cause", "remedy")
    (row,) = report.made["cohort"].read_table("set_aside").itertuples()
    assert shown["path"].tolist() == ["sub-SIM001_T1w.nii.gz"] and row.path.endswith("sub-SIM001_T1w.nii.gz")
    assert shown["cause"].tolist() == [row.cause] and row.kind == "scan"
    assert (noted(report)["scans"], noted(report)["set_aside"], noted(report)["sites"]) == (PEOPLE, 1, 3)
    table = report.made["cohort"].read_table("scans")
    by_site = report.table("people", "women", "men", "age").set_index("site")
    for site, rows in table.groupby("site"):
        assert by_site.loc[site, ["people", "women"]].astype(int).tolist() == [len(rows), (rows["sex"] == "F").sum()]
        assert float(by_site.loc[site, "age"]) == pytest.approx(rows["age"].mean(), abs=0.06)
    split = report.table("site", "train", "test")
    parts = report.made["split"].read_table("split")["split"].value_counts()
    assert split[["train", "test"]].astype(int).sum().to_dict() == parts.to_dict()


def test_pretraining_tells_its_last_losses_and_whom_it_saw(reports):
    report = reports["02"]
    run = report.made["encoder"]
    last = run.metrics().dropna(subset=["loss_patch", "patch_top1"]).iloc[-1]
    assert noted(report)["loss_patch"] == pytest.approx(last["loss_patch"])
    column = report.table("first step").iloc[:, [0, -1]].set_axis(["name", "value"], axis=1).set_index("name")["value"]
    assert float(column["patch_top1"]) == pytest.approx(last["patch_top1"], abs=6e-4)
    parts = reports["01"].made["split"].read_table("split")
    assert set(run.provenance["participants"]) == set(parts.loc[parts["split"] == "train", "participant"])
    assert f"has seen {min(run.provenance['participants'])}" in report.text
    shown = [output.get("data", {}).get("text/html", "") for output in report.outputs]
    assert any("Encoder (pretrained weights)" in html for html in shown)
    assert ("No collapse alarm" in report.text) == (not noted(report)["alarm"])


def people_of(run):
    return run.read_table("dice").query("split == 'test'").groupby(["participant", "site"])["dice"].mean()


def test_dice_its_interval_and_the_difference_are_those_of_the_runs(reports):
    report = reports["03"]
    a, b = (people_of(report.made[arm]) for arm in ("pretrained", "random"))
    assert ((a >= 0) & (a <= 1)).all() and a.max() > 0.02, "something was found"
    shown = report.table("measure", "arm", "n", "estimate").set_index(["measure", "arm"])
    for arm, values in (("pretrained", a), ("random", b)):
        row = shown.loc[("dice", arm)]
        interval = bootstrap_interval(values.to_numpy())
        assert int(row["n"]) == len(values) == interval.n
        assert [float(row[name]) for name in ("estimate", "low", "high")] == pytest.approx(
            [values.mean(), interval.low, interval.high], abs=2e-3
        )
    found = bootstrap_interval((a - b).to_numpy())
    assert noted(report)["difference"] == pytest.approx((a - b).mean())
    assert [noted(report)["difference_low"], noted(report)["difference_high"]] == pytest.approx([found.low, found.high])
    assert "simulated data" in report.text and ("no difference shown" in report.text) == (
        not found.excludes(0) or noted(report)["p"] >= 0.05
    )
    hd = report.made["pretrained"].read_table("dice").groupby("participant")["hd95_mm"].mean().mean()
    assert float(shown.loc[("hd95_mm", "pretrained"), "estimate"]) == pytest.approx(hd, abs=2e-3)


def test_auroc_and_its_differences_are_those_of_the_runs(reports):
    report = reports["04"]
    tables = {
        arm: report.made[arm].read_table("predictions").query("split == 'test'").set_index("participant")
        for arm in ("pretrained", "random", "brain_volume")
    }
    positive = sorted(set(tables["random"]["truth"]))[1]
    of = {arm: roc_auc_score(rows["truth"] == positive, rows["score"]) for arm, rows in tables.items()}
    assert noted(report)["auroc"] == pytest.approx(of["pretrained"])
    assert noted(report)["auroc_volume"] == pytest.approx(of["brain_volume"])
    shown = report.table("arm", "auroc", "brier").set_index("arm")
    scores = report.made["pretrained"].read_table("scores").query("split == 'test'").set_index("score")
    low, high = scores.loc["auroc", ["low", "high"]]
    assert shown.loc["pretrained", "auroc"] == f"{of['pretrained']:.2f} [{low:.2f}, {high:.2f}]"
    rows = report.table("a", "b", "difference", "p (DeLong)").set_index("b")
    assert float(rows.loc["brain volume", "difference"]) == pytest.approx(
        of["pretrained"] - of["brain_volume"], abs=6e-4
    )


def test_attention_and_tokens_are_those_of_the_runs(reports):
    report = reports["05"]
    attend = report.made["attend"]
    outside = attend.read_table("attention").query("head == 'mean'")["outside_brain"].mean()
    assert noted(report)["outside_brain"] == pytest.approx(outside) and 0 < outside < 1
    shown = report.table("outside the brain")["outside the brain"].tolist()
    even = attend.read_table("attention").query("head == 'mean'")["outside_if_even"].mean()
    beside = attend.read_table("attention_random")["outside_brain"].mean()
    assert [text.split()[0] for text in shown] == [f"{share:.1%}" for share in (outside, even, beside)]
    found = bootstrap_interval(attend.read_table("attention_random").set_index("scan_id")["outside_brain"].to_numpy())
    assert shown[2] == f"{beside:.1%} [{found.low:.1%}, {found.high:.1%}]"
    pairs = report.made["tokens"].read_table("site_pairs").query("weights == 'pretrained'")
    assert noted(report)["hit"] == pytest.approx(pairs["hit"].mean()) and noted(report)["scans"] == PEOPLE
    table = report.table("structure", "where", "weights", "hit", "chance")
    assert set(table["weights"]) == {"pretrained", "random beside"} and len(table) == 2 * 2 * 2
    by_pair = report.table("source_site", "weights", "people", "hit_low", "hit_high")
    assert len(by_pair) == 2 * 2 * 9 and set(by_pair["weights"]) == {"pretrained", "random beside"}
    assert any("its tokens as colours" in figure for figure in report.figures)
    same = pairs.query("structure == 'left_hippocampus' and source_site == target_site")["hit"].mean()
    (row,) = table.query("structure == 'left_hippocampus' and where == 'same site' and weights == 'pretrained'").index
    assert float(table.loc[row, "hit"]) == pytest.approx(same, abs=6e-3)


def test_what_neighbours_share_is_what_they_share(reports):
    report = reports["06"]
    vectors = report.made["pretrained"].read_table("embeddings").set_index("scan_id")["cls"]
    scans = report.made["pretrained"].read_table("scans").set_index("scan_id")
    points = np.stack(vectors.tolist())
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1) + np.diag([np.inf] * len(points))
    sites = scans.loc[vectors.index, "site"].to_numpy()
    share = (sites == sites[apart.argmin(axis=1)]).mean()
    assert noted(report)["same_site"] == pytest.approx(share)
    row = report.table("column", "weights", "shared", "low", "high").iloc[0]
    found = bootstrap_interval((sites == sites[apart.argmin(axis=1)]).astype(float))
    assert row["column"] == "site" and [float(row[end]) for end in ("low", "high")] == pytest.approx(
        [found.low, found.high], abs=6e-3
    )
    counts = pd.Series(sites).value_counts()
    assert noted(report)["if_mixed"] == pytest.approx((counts * (counts - 1)).sum() / (PEOPLE * (PEOPLE - 1)))
    quality = report.table("picture", "trustworthiness").set_index("picture")
    assert float(quality.loc["pca", "trustworthiness"]) == pytest.approx(
        report.made["pretrained"].read_table("quality").set_index("picture").loc["pca", "trustworthiness"], abs=6e-3
    )


def test_the_site_is_predicted_as_often_as_the_table_says(reports):
    report = reports["07"]
    named = report.made["shift-pretrained"].read_table("predictions").query("space == 'as it is'")
    assert len(named) == PEOPLE
    accuracy = balanced_accuracy_score(named["site"], named["named"])
    assert noted(report)["site_accuracy"] == pytest.approx(accuracy) and noted(report)["chance"] == pytest.approx(1 / 3)
    shown = report.table("weights", "space", "value", "chance").set_index(["weights", "space"])
    assert float(shown.loc[("pretrained", "as it is"), "value"]) == pytest.approx(accuracy, abs=6e-3)
    of_table = report.made["shift-random"].read_table("shift").query("measure.str.startswith('site predicted')")
    for row in of_table.itertuples():
        assert float(shown.loc[("random", row.space), "value"]) == pytest.approx(row.value, abs=6e-3)
    curves = report.made["whatif"].read_table("curves").query("measure == 'moved' and strength == 1")
    assert noted(report)["moved"] == pytest.approx(curves["value"].max())
    task = report.table("energy_from_training").set_index("site")["value"].astype(float)
    dice = people_of(reports["03"].made["pretrained"]).groupby("site").mean()
    assert task.to_dict() == pytest.approx(dice.to_dict(), abs=6e-4)


def test_the_comparison_is_worked_out_from_the_cells_and_corrected_together(reports):
    report = reports["08"]
    study = report.made["study"]
    differences = study.read_table("differences")
    main = differences[differences["metric"].isin(["dice", "auroc"])].reset_index(drop=True)
    assert main[["task", "a", "b"]].values.tolist() == [["hippocampus", "volta", "random"], ["sex", "volta", "random"]]
    cells = study.read_table("cells")
    assert (cells["state"] == "ok").all() and f"{len(cells)} cells, {len(cells)} of them well" in report.text

    def tested(task, table):
        of = {}
        for row in cells.query("stage == 'test' and task == @task").itertuples():
            of[row.arm] = Run(study.path / "cells" / row.cell).read_table(table).query("split == 'test'")
        return of["volta"], of["random"]

    a, b = (rows.groupby("participant")["dice"].mean() for rows in tested("hippocampus", "dice"))
    assert main.loc[0, ["mean_a", "difference"]].tolist() == pytest.approx([a.mean(), (a - b).mean()])
    assert main.loc[0, "n"] == len(a) and main.loc[0, "low"] <= (a - b).mean() <= main.loc[0, "high"]
    a, b = (rows.groupby("participant")[["truth", "score"]].first() for rows in tested("sex", "predictions"))
    positive = (a["truth"] == sorted(set(a["truth"]))[1]).to_numpy()
    test = delong(a["score"].to_numpy(), b.loc[a.index, "score"].to_numpy(), positive)
    assert main.loc[1, ["mean_a", "mean_b", "p"]].tolist() == pytest.approx([test.a, test.b, test.p])
    for _, rows in differences.groupby(["task", "metric"]):
        assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p"].tolist()).tolist())

    shown = report.table("task", "difference", "p_holm")
    assert shown["difference"].astype(float).tolist() == pytest.approx(main["difference"].tolist(), abs=6e-4)
    assert all(verdict in report.text for verdict in main["verdict"])
    assert noted(report)["sentence"] == main.loc[0, "verdict"] and noted(report)["cells"] == len(cells)
