"""Mirror images in training and in prediction, for structures that have no side."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.finetune.test_networks import config
from workbench.errors import ConfigError
from workbench.finetune.segment_data import Crops
from workbench.finetune.windows import probabilities
from workbench.prepare import open_store

STILL = {"rotation": 0, "zoom": 0, "intensity": 0, "structures": ("right_hippocampus",), "foreground": 0}


def test_half_of_the_crops_are_mirrored_with_their_labels_and_else_nothing_changes(study, monkeypatch):
    monkeypatch.setattr("workbench.finetune.config.SIDED", ())
    store = open_store(study.store)
    edges = max(store.shape(scan) for scan in store.scan_ids)  # the whole scan: its middle is the crop's
    plain, mirrored = (
        Crops(store, store.scan_ids, config(study, mirror=axes, **STILL), edges) for axes in ((), ("x",))
    )
    turned = 0
    for step in range(8):
        (image, label), (other, other_label) = plain.batch(step), mirrored.batch(step)
        for one, its, two, theirs in zip(image, label, other, other_label, strict=True):
            flipped = not torch.allclose(one, two, atol=1e-4)
            turned += flipped
            assert not flipped or torch.allclose(one.flip(1), two, atol=1e-4), "a mirror image, left for right"
            assert torch.equal(its.flip(1) if flipped else its, theirs)
    assert 2 <= turned <= 14


@pytest.mark.parametrize("mirror", [("x",), ("x", "z")])
def test_the_answer_of_a_mirrored_scan_is_the_mirrored_answer(mirror):
    class Where(torch.nn.Module):
        def forward(self, x):
            ramp = torch.linspace(0, 4, x.shape[2]).view(1, 1, -1, 1, 1) + torch.linspace(0, 2, x.shape[4])
            return torch.cat([torch.zeros_like(x), ramp * x], dim=1)

    scan = np.random.default_rng(0).random((1, 12, 9, 10), np.float32)
    flips = [1 + "xyz".index(axis) for axis in mirror]

    def found(voxels, axes):
        return probabilities(
            Where(), np.ascontiguousarray(voxels), crop=(8, 8, 8), overlap=0.5, device="cpu", mirror=axes
        )

    assert np.allclose(found(np.flip(scan, flips), mirror), np.flip(found(scan, mirror), flips), atol=1e-5)
    assert not np.allclose(found(np.flip(scan, flips), ()), np.flip(found(scan, ()), flips), atol=1e-2)


def test_a_structure_with_a_side_is_not_mirrored_left_to_right(study):
    assert config(study, mirror=("y",)).mirror == ("y",)
    assert config(study, mirror=("x",), structures=("anterior", "posterior")).mirror == ("x",)
    with pytest.raises(ConfigError, match="would make left_hippocampus one of the other side"):
        config(study, mirror=("x",))
    with pytest.raises(ConfigError, match="an axis twice"):
        config(study, mirror=("y", "y"))
