import numpy as np
import pandas as pd
import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.finetune.classify import run_classify
from workbench.finetune.config import ClassifyConfig
from workbench.finetune.predictors import (
    apply_regression,
    choose_penalty,
    features_of,
    fit_regression,
    neighbours,
    regression,
    regression_arrays,
    small_picture,
    structure_volumes,
    structures_of,
)
from workbench.finetune.targets import Target, changing_people, read_target
from workbench.finetune.train_classifier import build_classifier, predict_scans, train_network
from workbench.model import load_encoder
from workbench.prepare import open_store
from workbench.runs import start_run
from workbench.volumes import read_volume


def config(study=None, out="unused", **changes):
    base = {"out": out, "store": "s", "split": "p", "accelerator": "cpu"}
    if study is not None:
        base |= {"store": study.store, "split": study.split, "encoder": study.encoder_run}
    if changes.get("mode", "linear") not in ("linear", "knn", "full"):
        base |= {"encoder": None, "init": "random"}
    elif study is None:
        base |= {"encoder": "e"}
    return ClassifyConfig.build({**base, **changes})


PLAIN = [
    {"mode": "knn"},
    {"mode": "cnn", "epochs": 1, "cnn_features": 8, "learning_rate": 1e-3},
    {"mode": "brain_volume"},
    {"mode": "structure_volume"},
    {"mode": "pca", "components": 3},
    {"mode": "untrained_cnn", "cnn_features": 4},
]


@pytest.mark.parametrize("changes", PLAIN, ids=lambda c: c["mode"])
def test_every_rival_gives_each_scan_a_probability_and_scores_with_intervals(study, tmp_path, changes):
    run = run_classify(config(study, tmp_path / "run", **changes))
    table = run.read_table("predictions")
    assert len(table) == 12 and np.allclose(table["p_F"] + table["p_M"], 1, atol=1e-5)
    assert np.allclose(table["score"], table["p_M"])
    assert table["score"].nunique() > 1 or "volume" in changes["mode"]  # all phantoms have one size
    scores = run.read_table("scores").set_index(["split", "score"])
    assert {"auroc", "balanced_accuracy", "brier", "ece", "sensitivity_at_90"} == set(scores.loc["test"].index)
    assert set(scores.loc["test", "n"]) == {6} and scores.loc[("test", "auroc"), "low"] >= 0
    assert run.read_table("reliability").groupby("split")["n"].sum().to_dict() == {"test": 6, "train": 6}
    assert run.provenance["people_by_class"]["train"] == {"F": 3, "M": 3}


@pytest.mark.parametrize(
    "changes",
    [{}, {"mode": "knn"}, {"mode": "brain_volume"}, {"mode": "full", "epochs": 1}],
    ids=lambda c: c.get("mode", "linear"),
)
def test_age_is_a_number_and_orientation_has_three_classes(study, tmp_path, changes):
    age = run_classify(config(study, tmp_path / "age", target="age", task="regression", **changes))
    table = age.read_table("predictions")
    assert table["truth"].between(20, 75).all() and np.isfinite(table["score"]).all()
    assert set(age.read_table("scores")["score"]) == {"mae", "r", "mean_error", "mae_of_constant_guess"}
    seen = table.loc[table["split"] == "train", "truth"]
    assert table["score"].between(seen.min(), seen.max()).all()  # never beyond the ages that were learnt from
    assert "reliability" not in age.tables()
    if changes.get("mode") == "full":  # learnt as z-scores: squared years would be thousands
        assert age.metrics()["loss"].max() < 30
    three = run_classify(config(study, tmp_path / "axes", target="axcodes", **changes)).read_table("predictions")
    p = three[["p_LAS", "p_PSR", "p_RAS"]]
    assert np.allclose(p.sum(axis=1), 1, atol=1e-5) and np.allclose(p.max(axis=1), three["score"])
    assert (three["predicted"] == p.idxmax(axis=1).str[2:]).all()


def people(counts, sides, scans=1):
    rows = [
        (f"p{i}", label, side)
        for i, (label, side) in enumerate(
            (label, side) for side in sides for label, n in counts.items() for _ in range(n)
        )
        for _ in range(scans)
    ]
    table = pd.DataFrame(rows, columns=["participant", "sex", "split"])
    return table.assign(scan_id=[f"s{i}" for i in range(len(table))])


def test_imbalance_is_said_and_each_class_counts_the_same(capsys):
    table = people({"F": 9, "M": 3}, ["train", "test"])
    target = read_target(table, config())
    train = (table["split"] == "train").to_numpy()
    for code in (0, 1):
        assert target.weights[train & (target.values == code)].sum() == pytest.approx(6)
    said = capsys.readouterr().err
    assert "{'F': 9, 'M': 3}" in said and target.facts["class_weights"] == {"F": 0.6667, "M": 2.0}
    assert set(read_target(table, config(balance=False)).weights) == {1.0}
    assert "not balanced" in capsys.readouterr().err


def test_many_scans_of_a_person_weigh_as_one():
    table = pd.concat([people({"F": 3, "M": 3}, ["train"]), people({"F": 1}, ["train"], 9).assign(participant="x")])
    target = read_target(table.assign(scan_id=range(len(table))), config(balance=False))
    assert target.weights[-9:].sum() == pytest.approx(target.weights[0])


def test_targets_that_cannot_be_learnt_are_refused():
    with pytest.raises(WorkbenchError, match="all alike"):
        read_target(pd.concat([people({"F": 3}, ["train"]), people({"M": 3}, ["test"])]), config())
    with pytest.raises(WorkbenchError, match="no training person is c"):
        read_target(pd.concat([people({"a": 3, "b": 2}, ["train"]), people({"c": 3}, ["test"])]), config())
    with pytest.raises(WorkbenchError, match="not a number"):
        read_target(people({"F": 3}, ["train"]), config(task="regression"))
    with pytest.raises(WorkbenchError, match="two to 2 classes"):
        read_target(people({"a": 3, "b": 2, "c": 1}, ["train"]), config(max_classes=2))


def test_people_whose_label_changes_are_found():
    table = pd.DataFrame({"participant": list("aabb"), "diagnosis": ["CN", "AD", "CN", "CN"]})
    assert changing_people(table, "diagnosis") == {"a"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"neighbours": 3}, "neighbours: only for other modes"),
        ({"mode": "knn", "inverse_penalty": 1.0}, "inverse_pen"),
        ({"mode": "cnn", "layer_decay": 0.5}, "layer_decay"),
        ({"mode": "pca", "epochs": 3}, "epochs"),
        ({"mode": "brain_volume", "init": "pretrained"}, "nothing pretrained"),
        ({"task": "regression", "balance": False}, "only for classes"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(changes, said):
    with pytest.raises(WorkbenchError, match=said):
        config(**changes)


def two_clouds(n=40, seed=0):
    rng = np.random.default_rng(seed)
    values = np.arange(n) % 2
    features = rng.normal(size=(n, 30)) + values[:, None] * np.linspace(1, 0, 30)
    return features, Target(("a", "b"), values, np.ones(n), {}), np.arange(n) < n // 2, np.arange(n).astype(str)


def test_regression_separates_and_its_penalty_and_components_do_something():
    features, target, train, _ = two_clouds()
    loose, tight = (regression(features, target, train, config(), c) for c in (1.0, 1e-4))
    assert ((loose[~train].argmax(1)) == target.values[~train]).mean() > 0.8
    assert np.abs(tight - 0.5).max() < 0.1 < np.abs(loose - 0.5).max()
    one, many = (regression(features, target, train, config(mode="pca", components=k), 1.0) for k in (1, 10))
    assert not np.allclose(one, many)
    # more components than the training scans have are as many as there are
    np.testing.assert_allclose(
        regression(features, target, train, config(mode="pca", components=500), 1.0),
        regression(features, target, train, config(mode="pca", components=19), 1.0),
    )


def test_each_arm_chooses_its_penalty_on_its_training_people():
    """A strong signal asks for a weak penalty, noise for a strong one; test people have no say."""
    _, target, train, names = two_clouds(n=80)
    signal = 3 * (2 * target.values[:, None] - 1) + np.random.default_rng(0).normal(size=(80, 1))
    noise = np.random.default_rng(3).normal(size=(80, 60))
    strong = choose_penalty(signal, target, train, names, config())
    assert strong >= 1 > 0.01 > choose_penalty(noise, target, train, names, config())
    shuffled = Target(target.classes, np.where(train, target.values, 1 - target.values), target.weights, {})
    assert choose_penalty(signal, shuffled, train, names, config()) == strong
    assert choose_penalty(signal, target, train, names, config(inverse_penalty=0.3)) == 0.3
    # scans of one person are held out together: copies of people do not make noise look like signal
    doubled, twice = np.repeat(noise, 2, axis=0), np.repeat(names, 2)
    both = Target(target.classes, np.repeat(target.values, 2), np.ones(160), {})
    assert choose_penalty(doubled, both, np.repeat(train, 2), twice, config()) < 0.01


def test_a_regression_does_not_depend_on_the_unit_of_its_target():
    features, _, train, _ = two_clouds()
    age = 40 + 3 * features[:, 0]
    c = config(task="regression", target="age")
    years, days = (regression(features, Target((), age * u, np.ones(40), {}), train, c, 0.1) for u in (1, 365.0))
    np.testing.assert_allclose(days, 365 * years)


def test_neighbours_vote_by_similarity_and_never_for_themselves():
    features, target, train, names = two_clouds()
    found = neighbours(features, target, train, names, config(mode="knn", neighbours=5))
    assert (found[~train].argmax(1) == target.values[~train]).mean() > 0.75
    assert not np.allclose(found, neighbours(features, target, train, names, config(mode="knn", neighbours=1)))
    # labels drawn at random: with its own vote each training scan would be right
    noise = Target(("a", "b"), np.random.default_rng(1).integers(2, size=40), np.ones(40), {})
    one = neighbours(features, noise, train, names, config(mode="knn", neighbours=1))
    assert (one[train].argmax(1) == noise.values[train]).mean() < 0.9
    # of two equally near classes the heavier one wins
    heavy = Target(("a", "b"), target.values, np.where(target.values == 1, 50.0, 1.0), {})
    assert neighbours(features, heavy, train, names, config(mode="knn", neighbours=20))[:, 1].mean() > 0.8


def test_what_a_scan_weighs_is_what_its_loss_weighs(study, tmp_path):
    store, c = open_store(study.store), config(study, tmp_path / "run", mode="full", epochs=1)
    table = store.index.assign(split="train")
    target = Target(("F", "M"), (table["sex"] == "M").to_numpy(int), np.where(table["sex"] == "M", 0.0, 2.0), {})
    with start_run(c) as run:
        encoder = load_encoder(study.encoder_run)[0]
        model = train_network(encoder, store, table, target, c, run, "cpu")
        found = predict_scans(model, encoder, store, list(table["scan_id"]), c, "cpu").softmax(1)
    before = build_classifier(load_encoder(study.encoder_run)[0], 2, c)
    assert found.shape == (12, 2) and found[:, 0].mean() > 0.5  # men weigh nothing: everybody is a woman
    assert sum(p.numel() for p in before.parameters()) == run.provenance["trained"]


def test_volumes_of_structures_are_those_of_the_files(study):
    store = open_store(study.store)
    found = structure_volumes(store, store.index, ("left_hippocampus", "right_hippocampus"))
    for row, scan in zip(found, store.index.itertuples(), strict=True):
        labels = read_volume(scan.seg_path, labels=True)
        ml = abs(np.linalg.det(labels.affine[:3, :3])) / 1000
        assert row.tolist() == pytest.approx([(labels.data == 2).sum() * ml, (labels.data == 1).sum() * ml])


def test_a_wider_cnn_has_more_parameters_and_learns_a_planted_difference(tmp_path):
    """Bright against dark cubes: the loss of a few steps falls, which normalising must not prevent."""
    small, large = (build_classifier(None, 2, config(mode="cnn", cnn_features=f)) for f in (8, 16))
    assert sum(p.numel() for p in large.parameters()) > 3 * sum(p.numel() for p in small.parameters())
    scans = torch.rand(2, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    scans[1, :, 10:20, 10:20, 10:20] += 2
    optimiser, losses = torch.optim.AdamW(small.parameters(), lr=3e-3), []
    for _ in range(20):
        loss = sum(torch.nn.functional.cross_entropy(small(s[None]), torch.tensor([i])) for i, s in enumerate(scans))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_without_names_the_volumes_are_those_of_all_structures_that_everybody_has(study):
    every = structures_of(open_store(study.store), config(mode="structure_volume", structures=[]))
    assert {"left_hippocampus", "right_hippocampus"} <= set(every)
    run = run_classify(config(study, study.store.parent / "volumes-of-all", mode="structure_volume", structures=[]))
    assert run.provenance["structures_used"] == list(every)


@pytest.mark.parametrize("mode", ["pca", "untrained_cnn", "structure_volume", "linear"])
@pytest.mark.parametrize("task", ["classes", "regression"])
def test_nothing_that_is_fitted_sees_a_test_person(mode, task):
    """With other scans and other truths of the tested people the model, its penalty and its answers elsewhere are the
    same to the last bit."""
    rng, train = np.random.default_rng(0), np.arange(24) < 14
    people, values = np.array([f"p{i}" for i in range(24)]), np.arange(24) % 2
    c = config(
        mode=mode,
        task=task,
        target="age" if task == "regression" else "sex",
        **({"components": 3} if mode == "pca" else {}),
    )
    features, found = rng.normal(size=(24, 40)), []
    for features_of_test, truth_of_test in ((0.0, values[~train]), (50.0, 1 - values[~train])):
        x, y = features.copy(), values.copy()
        x[~train] += features_of_test
        y[~train] = truth_of_test
        target = Target(
            () if task == "regression" else ("a", "b"),
            y.astype(float if task == "regression" else int),
            np.ones(24),
            {},
        )
        penalty = choose_penalty(x, target, train, people, c)
        fitted = fit_regression(x, target, train, c, penalty)
        found.append(
            {**regression_arrays(fitted), "penalty": penalty, "said": apply_regression(fitted, x, target, train)[train]}
        )
    for name, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][name], err_msg=name)


def test_brain_volume_is_that_of_the_store(study):
    store = open_store(study.store)
    table = store.index.assign(brain_ml=np.arange(len(store), dtype=float))
    found = features_of("brain_volume", None, store, table, config(mode="brain_volume"), "cpu")
    assert found.ravel().tolist() == list(range(len(store)))


def test_small_pictures_have_one_size_whatever_the_scan():
    assert small_picture(np.ones((13, 40, 25), np.float16)).shape == (24**3,)
    assert small_picture(np.full((13, 40, 25), 2.0)).mean() == pytest.approx(2)
