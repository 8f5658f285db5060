"""Parts of a study's statistics and report on tables whose answer is known."""

import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import balanced_accuracy_score

from tests.phantom import phantom, phantom_labels
from workbench.stats import auroc
from workbench.study.cells.estimate import minutes_left, told
from workbench.study.evidence.class_scores import auroc_parts, balanced_parts, sensitivity
from workbench.study.evidence.flow import flow_table
from workbench.study.evidence.intervals import arm_table, difference_table
from workbench.study.evidence.numbers import _segmentation
from workbench.study.evidence.timing import reached_table
from workbench.study.report import figures
from workbench.study.report.canvas import arm_colours
from workbench.study.report.cases import case_figures, worst_cases
from workbench.study.report.pictures import best_plane, case_picture, largest_error
from workbench.volumes import Volume

PLACE = {
    "task": "t",
    "kind": "classify",
    "direction": "A → B",
    "fraction": 1.0,
    "finetune_seed": 0,
    "fold": 0,
    "site": "B",
    "structure": "mean",
    "cell": "c",
}


def predictions(classes, n=60, seeds=(0,), skill=1.0):
    rng = np.random.default_rng(1)
    rows = []
    for seed in seeds:
        truth = np.arange(n) % classes
        logits = rng.normal(0, 1, (n, classes)) + skill * np.eye(classes)[truth]
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        for i in range(n):
            own = {
                "class": truth[i],
                "correct": float(chances[i].argmax() == truth[i]),
                "brier": ((chances[i] - np.eye(classes)[truth[i]]) ** 2).sum(),
            }
            own |= (
                {"score": chances[i, 1], "truth": truth[i]}
                if classes == 2
                else {f"p_{c}": chances[i, c] for c in range(classes)}
            )
            rows += [
                {**PLACE, "arm": "a", "seed": seed, "participant": f"p{i:02}", "metric": k, "value": float(v)}
                for k, v in own.items()
            ]
    return pd.DataFrame(rows)


def test_pseudo_values_of_the_balanced_accuracy_are_the_jackknife():
    classes, right = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2]), np.array([1, 0, 1, 1, 0, 1, 1, 0, 1])

    def whole(keep):
        return np.mean([right[keep & (classes == c)].mean() for c in range(3)])

    everybody = np.ones(9, bool)
    expected = [9 * whole(everybody) - 8 * whole(np.arange(9) != i) for i in range(9)]
    assert balanced_parts(right, classes) == pytest.approx(expected)
    assert balanced_parts(right, classes).mean() == pytest.approx(
        balanced_accuracy_score(classes, np.where(right == 1, classes, (classes + 1) % 3))
    )
    assert (balanced_parts(np.ones(9), classes) == 1).all()  # nobody wrong: no variation, whatever the class sizes


@pytest.mark.parametrize("classes", [2, 3])
def test_a_classification_has_its_scores_whatever_the_number_of_classes(classes):
    people = predictions(classes)
    arms = arm_table(people).set_index("metric")
    wide = people.pivot_table("value", "participant", "metric")
    truth = wide["class"].to_numpy()
    expected = (
        [auroc(wide[f"p_{c}"], truth == c) for c in range(3)] if classes == 3 else auroc(wide["score"], truth == 1)
    )
    assert arms.loc["auroc", "estimate"] == pytest.approx(np.mean(expected), abs=0.01)
    assert {"balanced_accuracy", "brier", "correct"} <= set(arms.index)
    assert not {"score", "truth", "class", "p_0"} & set(arms.index)
    assert (arms["low"] <= arms["estimate"]).all() and (arms["high"] <= arms["estimate"] + 0.4).all()
    assert ("sensitivity_at_90" in arms.index) == (classes == 2)


def test_sensitivity_is_a_mean_over_pretrainings():
    people = predictions(2, seeds=(0, 1, 2))
    scores = people.pivot_table("value", ["participant", "seed"], "metric").reset_index()
    found, each = sensitivity(scores, 0.9), [sensitivity(one, 0.9).estimate for _, one in scores.groupby("seed")]
    assert found.estimate == pytest.approx(np.mean(each)) and len(set(each)) > 1
    assert found.low < found.estimate < found.high and (found.n, found.seeds) == (60, 3)


def test_too_large_on_the_left_does_not_make_up_for_too_small_on_the_right():
    table = pd.DataFrame(
        {
            "participant": "p",
            "site": "A",
            "split": "test",
            "structure": ["left", "right"],
            "dice": 0.5,
            "hd95_mm": 1.0,
            "surface_dice_1mm": 0.5,
            "volume_error_ml": [0.4, -0.4],
            "volume_error_percent": [20.0, -20.0],
            "empty": ["", "prediction"],
        }
    )
    long = _segmentation(SimpleNamespace(read_table=lambda name: table))
    mean = long[long["structure"] == "mean"].set_index("metric")["value"]
    assert mean["volume_error"] == 20 and mean["volume_error_percent"] == 0 and mean["missed"] == 0.5


def people_of(values):
    """``values``: arm → seed → one number a person."""
    return pd.DataFrame(
        [
            {
                **PLACE,
                "kind": "segment",
                "arm": arm,
                "seed": seed,
                "participant": f"p{i:02}",
                "metric": "dice",
                "value": v,
            }
            for arm, seeds in values.items()
            for seed, each in seeds.items()
            for i, v in enumerate(each)
        ]
    )


def test_what_could_have_been_shown_has_the_variation_of_pretrainings_in_it():
    rng = np.random.default_rng(0)
    base, noise = rng.normal(0.8, 0.03, 30), rng.normal(0, 0.005, (2, 3, 30))
    steady = people_of({"a": dict(enumerate(base + noise[0])), "b": dict(enumerate(base + noise[1]))})
    shift = np.array([-0.05, 0.0, 0.05])[:, None]  # each pretraining of a is another one
    moody = people_of({"a": dict(enumerate(base + noise[0] + shift)), "b": dict(enumerate(base + noise[1]))})
    first, second = (difference_table(p, [("a", "b")]).iloc[0] for p in (steady, moody))
    assert second["detectable"] > 5 * first["detectable"] and second["high"] - second["low"] > 0.1
    assert "3 pretrainings" in second["verdict"] and second["difference"] == pytest.approx(first["difference"])
    few = difference_table(people_of({"a": {0: base * 0.2, 1: base}, "b": {0: base, 1: base}}), [("a", "b")]).iloc[0]
    assert few["detectable"] > 1 and "Not even the largest" in few["verdict"]
    assert "A true difference" not in few["verdict"]
    assert (few["low"], few["high"]) == (-1, 1)
    two = arm_table(people_of({"a": {0: base * 0.2, 1: base}}))
    assert two["low"].item() == 0 and two["high"].item() == 1  # there is no Dice beyond


def test_people_whom_a_failed_cell_cost_one_arm_are_left_out_of_the_pair_alone():
    rng = np.random.default_rng(0)
    base = rng.normal(0.8, 0.03, 20)
    people = people_of({"a": {0: base + 0.02, 1: base + 0.02}, "b": {0: base, 1: base}})
    lost = people[(people["arm"] == "b") | (people["seed"] == 0) | (people["participant"] < "p10")]
    found = difference_table(lost, [("a", "b")]).iloc[0]
    assert found["difference"] == pytest.approx(0.02) and found["n"] == 10
    apart = people[(people["participant"] < "p10") == (people["arm"] == "a")]  # nobody is in both
    assert not len(difference_table(apart, [("a", "b")])) and len(arm_table(apart)) == 2


def test_a_picture_that_cannot_be_made_is_a_sentence(tmp_path):
    people = people_of({"a": {0: [0.9, 0.2]}}).assign(cell="gone")
    worst, store = worst_cases(people, "t", "dice", 1), SimpleNamespace(simulated=True)
    (figure,) = case_figures(people, worst, "t", tmp_path, store)
    assert "no picture" in figure and "p01" in figure and "simulated data" in figure


def test_the_step_at_which_an_arm_is_there():
    rows = [
        {
            "task": "t",
            "direction": "d",
            "fraction": 1.0,
            "arm": arm,
            "seed": 0,
            "fold": 0,
            "step": step,
            "seconds": 60.0 * step,
            "participant": f"p{i}",
            "dice": min(0.8, speed * step * 0.1) + 0.001 * i,
        }
        for arm, speed in (("random", 1), ("fast", 2), ("slow", 0.5))
        for step in range(1, 9)
        for i in range(6)
    ]
    found = reached_table(pd.DataFrame(rows), "random").set_index("arm")
    assert found.loc["random", "goal"] == pytest.approx(0.95 * 0.8025)
    assert (found.loc["random", "steps"], found.loc["fast", "steps"]) == (8, 4)
    assert found.loc["fast", "minutes"] == 4 and np.isinf(found.loc["slow", "steps"])
    assert found.loc["fast", "steps_low"] <= 4 <= found.loc["fast", "steps_high"]
    assert not len(reached_table(pd.DataFrame(rows), "another"))


def test_worst_is_least_dice_and_largest_distance():
    people = pd.concat(
        [people_of({"a": {0: [0.9, 0.2, 0.5]}}), people_of({"a": {0: [3.0, 1.0, 9.0]}}).assign(metric="hd95_mm")]
    )
    assert worst_cases(people, "t", "dice", 2)["participant"].tolist() == ["p01", "p02"]
    assert worst_cases(people, "t", "hd95_mm", 1)["participant"].tolist() == ["p02"]


@pytest.mark.parametrize(("axcodes", "oblique"), [("RAS", 0.0), ("PSR", 0.0), ("LPI", 12.0)])
def test_the_picture_goes_through_the_largest_error_in_the_world(axcodes, oblique):
    scan = phantom(axcodes, oblique=oblique)
    truth = phantom_labels(scan.grid)
    world = scan.grid.to_world(np.argwhere(truth.data >= 0))
    flat = (np.abs(world - [8, -4, 12]) < [8, 1.1, 8]).all(axis=1).reshape(truth.data.shape)  # a plate at y = −4 mm
    found = Volume(np.where(flat, 1, truth.data), truth.affine)
    plane, position = best_plane(largest_error(truth.data, found.data), truth.grid)
    assert plane == "coronal" and position == pytest.approx(-4, abs=2.1)
    picture = case_picture(scan, truth, {"one": found, "two": truth}, "one", {"one": "Dice 0.5"})
    data = base64.b64decode(re.search(r"base64,([^\"]+)", picture)[1])
    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    blue = (image[..., 2] > image[..., 0] + 60).sum(axis=0)
    yellow = (image[..., 0] > image[..., 2] + 90).sum(axis=0)
    half = image.shape[1] // 2
    assert blue[:half].any() and blue[half:].any()  # the truth in both panels
    assert yellow[:half].sum() > 1.2 * yellow[half:].sum()  # what was found beyond it only in the first


def test_nothing_found_where_nothing_is_makes_a_picture_too():
    scan = phantom()
    empty = Volume(np.zeros(scan.data.shape, int), scan.affine)
    assert case_picture(scan, empty, {"a": empty}, "a", {}).startswith("<img ")


def test_who_was_set_aside_is_counted_once_and_by_cause(tmp_path):
    (tmp_path / "results").mkdir()
    aside = pd.DataFrame(
        {
            "path": ["/x/a.nii", "/x/b.nii", "/x/c.nii"],
            "participant": ["d/1", "d/2", "d/3"],
            "kind": ["scan", "scan", "segmentation"],
            "stage": ["cohort", "prepare", "cohort"],
            "cause": ["/x/a.nii: too small: 3 mm", "/x/b.nii: too small: 4 mm", "not on the grid: 5"],
        }
    )
    aside.to_parquet(tmp_path / "results" / "set_aside.parquet")
    index = pd.DataFrame({"participant": ["d/3", "d/4", "d/4"], "site": ["A", "A", "A"], "sex": ["F", "M", "M"]})
    plan = SimpleNamespace(stores={"x": SimpleNamespace(index=index, path=tmp_path)}, study=SimpleNamespace(tasks={}))
    flow = flow_table(plan, pd.DataFrame(), []).set_index("what")
    assert flow.loc["found", ["people", "scans"]].tolist() == [4, 5]
    assert flow.loc["set aside: too small", ["people", "scans"]].tolist() == [2, 2]
    assert flow.loc["prepared", ["people", "scans"]].tolist() == [2, 3]
    assert "stays" in flow.index[flow.index.str.startswith("set aside: not on the grid")][0]


def test_what_is_left_is_estimated_from_the_nearest_kind_that_has_ended():
    done = [
        ({"stage": "test", "task": "t", "arm": "a", "kind": "segment"}, 60.0),
        ({"stage": "test", "task": "t", "arm": "b", "kind": "segment"}, 180.0),
    ]
    same, near = {**done[0][0], "fold": 3}, {**done[0][0], "arm": "c"}
    assert minutes_left(done, [same, same], 1) == (2.0, 0)
    assert minutes_left(done, [near], 2) == (1.0, 0)  # the mean of the task's other arms, on two processes
    assert minutes_left(done, [near, {"stage": "pretrain", "data": "d", "arm": "a"}], 1) == (2.0, 1)
    assert "not known" in told(0, 5, *minutes_left([], [same] * 5, 1)) and "nothing is left" in told(2, 0, 0.0, 0)


def test_a_matrix_has_a_field_for_every_pair_of_sites():
    rows = pd.DataFrame(
        [
            {"direction": f"{a} → {b}", "arm": arm, "estimate": 0.8, "n": 7}
            for a in "AB"
            for b in "AB"
            for arm in ("random", "volta")
        ]
    )
    text = figures.transfer(rows, {d: tuple(d.split(" → ")) for d in rows["direction"]}, 100, 1, "Dice points")
    assert text.count("n = 7") == 8 and text.count("80.0") == 8
    assert {"random", "volta", "A", "B"} <= set(re.findall(r">([^<]+)</text>", text))


def test_every_arm_keeps_its_colour_where_others_are_missing():
    colours = arm_colours([f"arm{i}" for i in range(9)])
    assert len(set(colours.values())) == 9
    rows = people_of({"arm4": {0: [0.5, 0.6]}})[["direction", "participant", "arm", "value"]]
    text = figures.people(rows, 100, "Dice points", ["A → B"], colours)
    assert colours["arm4"].lower() in text.lower() and colours["arm0"].lower() not in text.lower()
    assert auroc_parts(np.array([0.1, 0.9, 0.2, 0.8]), np.array([0, 1, 0, 1])).tolist() == [1, 1, 1, 1]
