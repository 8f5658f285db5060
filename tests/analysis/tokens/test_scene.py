"""Scans in memory: turned and cut, and their tokens on shifted grids."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.tokens.test_job import Bright, config, planted
from workbench.analysis.tokens.correspond import in_short
from workbench.analysis.tokens.job import run_tokens
from workbench.analysis.tokens.scene import KEPT, Scene, TokenSet, disturbed, scene_of, token_set
from workbench.model import EncoderConfig
from workbench.model.vit import Encoder
from workbench.prepare import open_store

SHAPE = (24, 30, 20)


def scene() -> Scene:
    """Each structure is a block that is brighter than the rest, so that mask and intensities can be held together."""
    volume = np.ones(SHAPE, np.float32)
    left, right = (np.zeros(SHAPE, bool) for _ in range(2))
    left[5:9, 12:17, 8:12], right[15:19, 12:17, 8:12] = True, True
    volume[left], volume[right] = 5.0, 9.0
    return Scene(volume, {"left_block": left, "right_block": right}, 2.0)


@given(seed=st.integers(0, 10_000), degrees=st.floats(1, 60))
@settings(max_examples=30, deadline=None)
def test_structures_and_intensities_are_turned_and_cut_alike(seed, degrees):
    turned = disturbed(scene(), np.random.default_rng(seed), degrees)
    assert turned.volume.shape == tuple(round(n * KEPT) for n in SHAPE) and turned.spacing == 2.0
    for name, bright in (("left_block", 5.0), ("right_block", 9.0)):
        inside = turned.volume[turned.masks[name]]
        assert inside.max() == pytest.approx(bright, rel=0.15)  # edges are interpolated, and the blocks are small
        assert inside.mean() > (1 + bright) / 2
        assert inside.size > 0.4 * scene().masks[name].sum()  # the cut holds its middle


def test_no_two_scans_are_disturbed_alike_and_the_same_scan_always_is():
    a, b = (disturbed(scene(), np.random.default_rng(1), 20).volume for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, disturbed(scene(), np.random.default_rng(2), 20).volume)


@pytest.mark.parametrize("shifts", [1, 2])
def test_shifted_grids_put_tokens_closer_together_and_lose_no_voxel(shifts):
    encoder = Encoder(EncoderConfig(preset="micro", image_size=16, patch=4, registers=1)).eval()
    tokens = token_set(encoder, scene(), -1, shifts)
    for name, mask in scene().masks.items():
        assert tokens.counts[name].sum() == mask.sum() * shifts**3  # each grid holds all of it
        fullest = tokens.centres[tokens.counts[name].argmax()]
        assert np.abs(fullest - np.argwhere(mask).mean(0)).max() <= 4
    assert len(np.unique(tokens.centres, axis=0)) == len(tokens.centres)
    np.testing.assert_allclose(np.linalg.norm(tokens.unit_PD, axis=1), 1, atol=1e-5)
    gaps = np.diff(np.unique(tokens.centres[:, 0]))
    assert gaps.min() == 4 / shifts


def test_of_turned_scans_the_place_tells_less_and_a_planted_answer_as_much(study, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.analysis.tokens.job.open_matching", planted(Bright))
    monkeypatch.setattr(Bright, "sides", False)  # brightness alone, which turns with the head
    run = run_tokens(config(study, tmp_path / "x", rgb=False, sanity=False, disturb=40.0, shifts=2))
    plain, turned = run.read_table("in_short"), run.read_table("in_short_disturbed")
    assert set(plain["sites"]) == {"within", "between"} and (turned["people"] == plain["people"]).all()
    assert turned["hit_by_position"].mean() < plain["hit_by_position"].mean() - 0.1
    assert turned["hit"].mean() > plain["hit"].mean() - 0.2
    assert ((plain["hit_low"] <= plain["hit"]) & (plain["hit"] <= plain["hit_high"])).all()


def test_in_short_counts_a_person_once(study, tmp_path):
    run = run_tokens(config(study, tmp_path / "x", rgb=False))
    table = run.read_table("correspondence")
    short = in_short(table, 0).set_index(["weights", "sites"])
    assert set(short.index) == {(w, s) for w in ("pretrained", "random beside") for s in ("within", "between")}
    part = table[(table["weights"] == "pretrained") & (table["source_site"] != table["target_site"])]
    by_person = part.groupby("participant")["distance_mm"].mean()
    assert short.loc[("pretrained", "between"), "distance_mm"] == pytest.approx(by_person.mean())
    assert short.loc[("pretrained", "between"), "people"] == len(by_person)
    scan = open_store(study.store).scan_ids[0]
    assert scene_of(open_store(study.store), scan, ("left_hippocampus", "nowhere")).masks.keys() == {"left_hippocampus"}


def test_what_a_scanner_does_to_all_tokens_of_a_scan_is_taken_away():
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(40, 16)).astype(np.float32)
    brain = np.r_[np.ones(30), np.zeros(10)]  # what lies outside the brain has no say in mean and deviation
    told = TokenSet(tokens, brain, np.zeros((40, 3)), {})
    scanner = rng.uniform(0.5, 2, 16) * tokens + rng.normal(size=16)
    scanner[30:] = 100
    other = TokenSet(scanner.astype(np.float32), brain, np.zeros((40, 3)), {})
    np.testing.assert_allclose(other.standardised().unit_PD[:30], told.standardised().unit_PD[:30], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(told.standardised().unit_PD, axis=1), 1, atol=1e-5)
    assert np.abs(told.standardised().unit_PD - told.unit_PD).max() > 0.1


class Tinted(Bright):
    """What `Bright` says, and behind it what a scanner adds to every token of a scan."""

    def forward(self, volume_B1XYZ, *, hidden=()):
        told = super().forward(volume_B1XYZ)
        tint = 20 * torch.sin(volume_B1XYZ.abs().sum() * torch.tensor([1.0, 2.0, 3.0]))
        return replace(told, all_BND=told.all_BND + tint)


def test_a_check_with_standardised_tokens_sees_through_what_a_scanner_adds(study, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.analysis.tokens.job.open_matching", planted(Tinted))
    as_is, standardised = (
        run_tokens(config(study, tmp_path / str(on), rgb=False, sanity=False, standardise=on)).read_table(
            "correspondence"
        )
        for on in (False, True)
    )
    assert standardised["hit"].mean() > as_is["hit"].mean() + 0.1
