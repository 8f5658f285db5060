"""Smallest sets that hold a share of the attention: against trying, and in a run."""

import nibabel as nib
import numpy as np
import pytest

from workbench.analysis.attention.job import run_attend
from workbench.analysis.attention.mass import nested_sets
from workbench.analysis.config import AttendConfig

LEVELS = (0.9, 0.5, 0.6)


def test_each_set_holds_its_share_and_none_smaller_does():
    rng = np.random.default_rng(0)
    values, brain = rng.gamma(0.3, size=(6, 7, 8)), rng.random((6, 7, 8)) < 0.6
    sets, shares = nested_sets(values, brain, LEVELS)
    total = values[brain].sum()
    assert not sets[~brain].any()
    for level, share in zip(LEVELS, shares, strict=True):
        held = (sets > 0) & (sets <= np.float32(level))
        assert share == held.sum() / brain.sum()
        mass = values[held].sum()
        assert mass >= level * total > mass - values[held].min()  # without its least voxel it does not hold the level
        assert values[held].min() > values[brain & ~held].max()


def test_tokens_are_never_cut_and_background_fills_no_set():
    values = np.kron(np.array([[[5.0, 3, 1, 1]]]), np.ones((2, 2, 2)))
    brain = np.ones(values.shape, bool)
    sets, shares = nested_sets(values, brain, (0.45, 0.5, 0.75, 0.95))
    assert np.unique(sets[0, 0]).tolist() == pytest.approx([0.45, 0.75, 0.95])
    assert shares == [0.25, 0.25, 0.5, 1.0]
    values[..., :2] = 1000  # outside: as if it were not there
    brain[..., :2] = False
    assert nested_sets(values, brain, (0.5,))[1] == [pytest.approx(1 / 3)]
    assert np.isnan(nested_sets(np.zeros_like(values), brain, (0.5,))[1]).all()


def test_a_run_writes_the_sets_of_both_weights(study, tmp_path):
    from workbench.prepare import open_store

    scan = open_store(study.store).scan_ids[0]
    run = run_attend(
        AttendConfig(
            out=tmp_path / "x",
            store=study.store,
            encoder=study.encoder_run,
            accelerator="cpu",
            scans=(scan,),
            cumulated=(0.5, 0.9),
            heads=False,
        )
    )
    table = run.read_table("cumulated")
    assert table["weights"].tolist() == ["pretrained"] * 2 + ["random beside"] * 2
    for _, rows in table.groupby("weights"):
        half, most = rows["brain_share"]
        assert 0 < half < most <= 1
    written = np.unique(np.asanyarray(nib.load(run.path / table["file"].iloc[0]).dataobj))
    assert written == pytest.approx([0, 0.5, 0.9])
