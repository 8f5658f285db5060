"""Changes with known effect; models read back from their runs; the point where a decision flips."""

import numpy as np
import pandas as pd
import pytest

from workbench.analysis.config import EmbedConfig, WhatifConfig
from workbench.analysis.embed.job import run_embed
from workbench.analysis.whatif import changes
from workbench.analysis.whatif.changes import change_scan
from workbench.analysis.whatif.job import draw_people, run_whatif
from workbench.analysis.whatif.tables import curves, flips, spread_within_sites
from workbench.errors import ConfigError, WorkbenchError
from workbench.finetune import ClassifyConfig, SegmentConfig, run_classify, run_segment
from workbench.prepare import open_store

ALL = ("gamma", "bias", "noise", "blur", "thick_slices", "ghosting", "rotation")


@pytest.fixture(scope="module")
def scan():
    """A ball with a gradient and texture, z-scored, 0 outside."""
    rng = np.random.default_rng(0)
    where = np.indices((24, 28, 22)).astype(float) - np.array([11.5, 13.5, 10.5])[:, None, None, None]
    brain = (where**2).sum(0) < 100
    values = where[0] / 5 + rng.normal(0, 0.5, brain.shape)
    values = np.where(brain, (values - values[brain].mean()) / values[brain].std(), 0)
    return values.astype(np.float32)


def changed(scan, change, strength, seed=0):
    return change_scan(scan, None, change, strength, seed=seed, clip_percentile=100).scan


@pytest.mark.parametrize("change", ALL)
def test_a_change_grows_with_its_strength_and_is_nothing_at_0(scan, change):
    np.testing.assert_allclose(changed(scan, change, 0.0), scan, atol=5e-3)
    away = []
    for strength in (0.25, 0.5, 1.0):
        out = changed(scan, change, strength)
        brain = out != 0
        assert abs(out[brain].astype(float).mean()) < 0.01 and out[brain].std() == pytest.approx(1, abs=0.01)
        if change != "rotation":
            assert (brain == (scan != 0)).all()
        away.append(float(np.abs(out - scan).mean()))
    assert 0 < away[0] < away[1] < away[2]
    np.testing.assert_array_equal(changed(scan, change, 0.5), changed(scan, change, 0.5))


def test_noise_and_bias_come_from_the_seed_and_keep_their_pattern(scan):
    brain = scan != 0
    for change in ("noise", "bias"):
        one, two = changed(scan, change, 0.5), changed(scan, change, 0.5, seed=1)
        assert not np.allclose(one, two)
        weak, strong = (changed(scan, change, s)[brain].astype(float) - scan[brain] for s in (0.1, 0.2))
        assert np.corrcoef(weak, strong)[0, 1] > 0.9


def test_smoothing_takes_texture_and_leaves_the_large(scan):
    brain = scan != 0
    x = np.indices(scan.shape)[0][brain]
    for change in ("blur", "thick_slices"):
        out = changed(scan, change, 1.0)[brain].astype(float)
        assert np.corrcoef(out, x)[0, 1] > np.corrcoef(scan[brain], x)[0, 1]  # the gradient stands out more
    flat = np.where(brain, 2.0, 0).astype(np.float32)
    even = changes._within_brain(lambda v: changes.gaussian(v, 2.0), flat, brain)
    np.testing.assert_allclose(even[brain], 2, rtol=1e-4)  # the empty background does not darken the edge


def test_a_ghost_is_a_copy_half_a_field_of_view_away():
    image = np.zeros((4, 10, 4), np.float32)
    image[2, 1, 2] = 8
    out = changes.ghost(image, 0.25)
    assert out[2, 1, 2] == 8 and out[2, 6, 2] == 2 and out.sum() == 10


def test_a_rotation_moves_labels_with_the_head():
    scan = np.zeros((32, 32, 8), np.float32)
    scan[6:26, 6:26] = np.random.default_rng(0).normal(size=(20, 20, 8))
    labels = np.zeros(scan.shape, np.int16)
    labels[20:25, 14:18] = 5
    scan[labels == 5] = 6
    out = change_scan(scan, labels, "rotation", 1.0, seed=0, clip_percentile=100)
    assert out.scan[out.labels == 5].mean() > 2.5 * np.abs(out.scan[(out.labels == 0) & out.brain]).mean()
    assert abs((out.labels == 5).sum() - (labels == 5).sum()) < 0.2 * (labels == 5).sum()
    before, after = (np.argwhere(a == 5).mean(0)[:2] - 15.5 for a in (labels, out.labels))
    angle = np.rad2deg(np.arctan2(*after[::-1]) - np.arctan2(*before[::-1]))
    assert abs(angle) == pytest.approx(20, abs=2)


def test_the_unit_is_the_spread_within_sites_and_flips_are_interpolated():
    rng = np.random.default_rng(0)
    scans = pd.DataFrame({"participant": [f"p{i}" for i in range(4000)], "site": ["A", "B"] * 2000})
    vectors = rng.normal(size=(4000, 9)) * 3
    _, unit = spread_within_sites(scans, vectors)
    assert unit["spread"] == pytest.approx(3.0, rel=0.02)  # nine features of standard deviation 1
    vectors[1::2, 0] += 30
    scale, unit = spread_within_sites(scans, vectors)
    assert unit["between_site_means"] * unit["spread"] == pytest.approx(30 / scale[0], rel=0.02)
    table = pd.DataFrame(
        [
            {"scan_id": s, "change": "noise", "strength": k, "score": v}
            for s, scores in {"a": (0.9, 0.7, 0.3), "b": (0.9, 0.8, 0.6), "c": (0.2, 0.6, 0.4)}.items()
            for k, v in enumerate(scores)
        ]
    )
    at = flips(table).set_index("scan_id")["flips_at"]
    assert at["a"] == pytest.approx(1.5) and np.isnan(at["b"]) and at["c"] == pytest.approx(0.75)


def test_curves_are_over_people():
    table = pd.DataFrame(
        [
            {"scan_id": f"{p}{i}", "change": "noise", "strength": 1.0, "moved": float(p)}
            for p in range(5)
            for i in range(p + 1)
        ]
    )
    table[["cosine", "attention_correlation", "attention_change", "dice", "dice_to_unchanged", "score", "flipped"]] = (
        np.nan
    )
    row = curves(table, {s: s[0] for s in table["scan_id"]}, 0).iloc[0]
    assert len(curves(table, {s: s[0] for s in table["scan_id"]}, 0)) == 1
    assert row["value"] == 2.0 and row["people"] == 5 and row["low"] < 2 < row["high"]


@pytest.fixture(scope="module")
def runs(study, tmp_path_factory):
    root = tmp_path_factory.mktemp("whatif")
    common = {"store": study.store, "encoder": study.encoder_run, "accelerator": "cpu"}
    run_embed(EmbedConfig(out=root / "embed", **common))
    run_segment(SegmentConfig(out=root / "segment", split=study.split, steps=2, features=4, **common))
    run_classify(ClassifyConfig(out=root / "classify", split=study.split, **common))
    return root, common


def test_everything_that_moves_is_told(runs, study):
    root, common = runs
    config = WhatifConfig(
        out=root / "whatif",
        embed=root / "embed",
        segment=root / "segment",
        people=3,
        classify=root / "classify",
        changes=("noise", "rotation"),
        strengths=(0.5, 1.0),
        **common,
    )
    run = run_whatif(config)
    table = run.read_table("whatif")
    assert len(table) == 3 * 2 * 3 and set(table["strength"]) == {0, 0.5, 1}
    start, end = (table[table["strength"] == s] for s in (0, 1))
    assert (start["moved"] == 0).all() and start["cosine"].to_numpy() == pytest.approx(1)
    assert (start["attention_change"] == 0).all() and (start["dice_to_unchanged"].dropna() == 1).all()
    assert (end["moved"] > 0).all() and table["dice"].notna().any()
    noise = end[end["change"] == "noise"]
    assert (noise["attention_change"] > 0).all() and end.query("change == 'rotation'")["attention_change"].isna().all()
    scores = run.read_table("flips").set_index("scan_id")["score_unchanged"]
    from workbench.runs import Run

    written = Run(root / "classify").read_table("predictions").set_index("scan_id")["score"]
    known = scores.index.intersection(written.index)
    # the unchanged scan is normalised once more, which clips a little more: nearly the score that the run wrote
    np.testing.assert_allclose(scores[known].to_numpy(), written[scores[known].index].to_numpy(), atol=0.1)
    measures = set(run.read_table("curves")["measure"])
    assert {"moved", "cosine", "dice", "score", "flipped", "attention_change"} <= measures
    assert run.read_table("unit")["spread"].iloc[0] > 0 and run.simulated


@pytest.mark.parametrize("by", [1.0, 0.0])
def test_a_decision_flips_where_it_was_planted_and_stays_where_nothing_changes(runs, tmp_path, monkeypatch, by):
    """A change that raises the brain by its strength, and a score that falls from 0.9 by 0.7 for each unit of it."""
    root, common = runs

    def raised(scan, labels, change, strength, *, seed, clip_percentile):
        brain = scan != 0
        return changes.Changed(scan + np.float32(by * strength) * brain, brain, labels)

    class Known:
        def __init__(self, *_):
            self.start = None

        def score(self, volume, cls, patch_mean):
            mean = float(volume[volume != 0].mean())
            self.start = mean if self.start is None else self.start
            return 0.9 - 0.7 * (mean - self.start)

    monkeypatch.setattr("workbench.analysis.whatif.changes.change_scan", raised)
    monkeypatch.setattr("workbench.analysis.whatif.job.Scorer", Known)
    scan = open_store(common["store"]).scan_ids[0]
    run = run_whatif(
        WhatifConfig(
            out=tmp_path / "x",
            embed=root / "embed",
            scans=(scan,),
            segment=root / "segment",
            classify=root / "classify",
            changes=("gamma",),
            strengths=(0.5, 1.0),
            **common,
        )
    )
    table, flip = run.read_table("whatif").set_index("strength"), run.read_table("flips").iloc[0]
    if by:
        assert table["score"].to_numpy() == pytest.approx([0.9, 0.55, 0.2], abs=1e-3)
        assert flip["flips_at"] == pytest.approx(0.4 / 0.7, abs=2e-3) and table["flipped"].tolist() == [0, 0, 1]
        assert table.loc[1.0, "moved"] > table.loc[0.5, "moved"] > 0.05
    else:
        assert np.isnan(flip["flips_at"]) and (table["flipped"] == 0).all() and (table["moved"] == 0).all()
        assert table["attention_correlation"].to_numpy() == pytest.approx(1) and (table["attention_change"] == 0).all()
        assert (table["dice_to_unchanged"].dropna() == 1).all()


def test_the_network_read_back_is_the_one_that_segmented(runs, study):
    """Its segmentation is, voxel by voxel, that of the segment job's own inference on the file's weights."""
    from safetensors.torch import load_file

    from workbench.analysis.whatif.models import open_segmenter
    from workbench.engine.checkpoint import latest_checkpoint
    from workbench.finetune.segment import probabilities

    root, _ = runs
    store = open_store(study.store)
    scan = store.scan_ids[0]
    segmenter = open_segmenter(root / "segment", store, "cpu")
    weights = load_file(latest_checkpoint(root / "segment" / "checkpoints") / "objective.safetensors")
    assert all((segmenter.model.state_dict()[name] == value).all() for name, value in weights.items())
    segmenter.model.out.bias.data[0] -= 3  # after two steps everything is background: let the structures show
    voxels = store.read_channels(scan)
    expected = probabilities(segmenter.model, voxels, crop=segmenter.card.crop, overlap=0.5, device="cpu").argmax(0)
    np.testing.assert_array_equal(segmenter.classes(store.read(scan)), expected)
    assert len(np.unique(expected)) > 1


def test_people_are_drawn_alike_from_every_site(study):
    store = open_store(study.store)
    drawn = draw_people(store, 6, 0)
    table = store.index[store.index["scan_id"].isin(drawn)]
    assert table["participant"].nunique() == 6 and (table["site"].value_counts() == 3).all()
    assert drawn == draw_people(store, 6, 0) != draw_people(store, 6, 1)


def test_what_does_not_belong_together_is_refused(runs):
    root, common = runs
    with pytest.raises(WorkbenchError, match="another encoder"):
        run_whatif(WhatifConfig(out=root / "x", embed=root / "embed", init="random", **common))
    with pytest.raises(WorkbenchError, match="not a segment run"):
        run_whatif(WhatifConfig(out=root / "x", embed=root / "embed", segment=root / "classify", **common))
    with pytest.raises(ConfigError, match="move with the change"):
        run_whatif(WhatifConfig(out=root / "x", embed=root / "embed", token="region:left_hippocampus", **common))
