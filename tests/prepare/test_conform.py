from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.errors import ScanError
from workbench.prepare import PrepareConfig
from workbench.prepare.conform import conform
from workbench.testing import HIPPOCAMPI_MM, MARKER_MM, phantom, phantom_grid, phantom_labels
from workbench.volumes import Volume


def settings(**values: Any) -> PrepareConfig:
    return PrepareConfig(**{"out": Path("out"), "cohort": Path("cohort"), "spacing": 2.0, **values})


def marker(scan: Volume) -> np.ndarray:
    return scan.grid.to_world(np.argwhere(scan.data > 0.8 * scan.data.max())).mean(axis=0)


@pytest.mark.parametrize("axcodes", ["LAS", "LPI", "PSR", "IAR"])
def test_the_same_head_stored_otherwise_gives_the_same_voxels(axcodes: str) -> None:
    expected, got = conform(phantom("RAS"), settings()).scan, conform(phantom(axcodes), settings()).scan
    assert np.array_equal(got.data, expected.data) and np.array_equal(got.affine, expected.affine)


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_an_oblique_scan_gives_the_same_head_up_to_interpolation(interpolation: str) -> None:
    config = settings(interpolation=interpolation)
    straight = conform(phantom(spacing=(1, 1, 1), shape=(56, 64, 52)), config).scan
    oblique = conform(phantom("PSR", spacing=(1, 1, 1), shape=(66, 74, 62), oblique=8), config).scan
    assert oblique.axcodes == "RAS" and np.allclose(oblique.spacing, 2)
    assert np.abs(marker(oblique) - MARKER_MM).max() < 0.7
    from workbench.volumes import resample

    there = resample(Volume(oblique.data.astype(np.float32), oblique.affine), straight.grid).data
    both = (there != 0) & (straight.data != 0)
    assert np.corrcoef(there[both], straight.data[both].astype(np.float32))[0, 1] > 0.95


@pytest.mark.parametrize("spacing", [1.0, 2.0, 3.3])
@pytest.mark.parametrize("n4", [False, True])
def test_z_scores_in_the_brain_and_zero_outside_and_nowhere_else(spacing: float, n4: bool) -> None:
    done = conform(phantom("PSR", noise=10), settings(spacing=spacing, n4=n4))
    z, brain = done.scan.data.astype(np.float64), done.scan.data != 0
    assert done.scan.data.dtype == np.float16 and np.isfinite(z).all()
    assert done.facts["brain_voxels"] == brain.sum()
    assert abs(z[brain].mean()) < 2e-3 and abs(z[brain].std() - 1) < 2e-3
    volume = brain.sum() * spacing**3 / (4 / 3 * np.pi * 20 * 24 * 18)
    assert 0.92 < volume < 1.08
    assert done.scan.axcodes == "RAS" and np.allclose(done.scan.spacing, spacing)


def test_the_box_is_the_brain_and_its_margin() -> None:
    for margin in (0.0, 6.0):
        scan = conform(phantom("LPI", spacing=(1, 1, 1), shape=(80, 80, 80)), settings(spacing=1, margin=margin)).scan
        assert np.abs(np.array(scan.data.shape) - (np.array([40, 48, 36]) + 2 * margin)).max() <= 2
        inside = np.argwhere(scan.data != 0)
        assert inside.min() >= margin - 1


def test_the_margin_ends_with_the_field_of_view() -> None:
    scan = phantom(shape=(24, 28, 22))
    assert conform(scan, settings(margin=50)).scan.data.shape == scan.data.shape


def test_outliers_at_both_ends_are_clipped() -> None:
    plain = phantom(spacing=(1, 1, 1), shape=(50, 54, 44), noise=5)
    wild = Volume(plain.data.copy(), plain.affine)
    wild.data[25, 27, 22], wild.data[25, 27, 25] = 1e5, -1e5
    a, b = conform(plain, settings(spacing=1)), conform(wild, settings(spacing=1))
    assert (np.abs(a.scan.data.astype(float) - b.scan.data) > 0.1).sum() <= 2  # those two voxels and no other
    unclipped = conform(wild, settings(spacing=1, clip_percentile=100))
    assert unclipped.scan.data.max() > 50


def test_scale_and_offset_of_the_intensities_do_not_matter() -> None:
    scan = phantom(noise=5)
    brain = scan.data > 0
    for scale, offset in ((1e-3, 0.0), (1e4, 300.0)):
        other = Volume(np.where(brain, scan.data * scale + offset, 0).astype(np.float32), scan.affine)
        difference = conform(other, settings()).scan.data.astype(float) - conform(scan, settings()).scan.data
        assert np.abs(difference).max() < 5e-3


def test_n4_takes_out_a_bias_field() -> None:
    grid = phantom_grid(shape=(40, 44, 36))
    x, y, z = np.moveaxis(grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)), -1, 0)
    brain = (x / 36) ** 2 + (y / 40) ** 2 + (z / 32) ** 2 < 1
    tissue = np.where((x // 8 + y // 8 + z // 8) % 2 > 0, 100, 60)  # two tissues everywhere
    biased = np.where(brain, tissue * np.exp(0.012 * x + 0.008 * y), 0).astype(np.float32)

    def spread(n4: bool) -> float:
        scan = conform(Volume(biased, grid.affine), settings(n4=n4)).scan.data
        return float(abs(scan[brain_right].mean(dtype=float) - scan[brain_left].mean(dtype=float)))

    done = conform(Volume(biased, grid.affine), settings()).scan
    middle = done.data.shape[0] // 2
    side = np.arange(done.data.shape[0])[:, None, None] > middle
    brain_right, brain_left = (done.data != 0) & side, (done.data != 0) & ~side
    assert spread(True) < 0.4 * spread(False)


@pytest.mark.parametrize("axcodes", ["RAS", "PSR"])
@pytest.mark.parametrize(("spacing", "oblique"), [(2.0, 0), (1.5, 0), (2.0, 7)])
def test_labels_stay_with_the_image_and_keep_their_volume(axcodes: str, spacing: float, oblique: float) -> None:
    scan = phantom(axcodes, spacing=(1, 1, 1), shape=(60, 66, 56), oblique=oblique)
    done = conform(scan, settings(spacing=spacing), seg=phantom_labels(scan.grid))
    assert done.seg is not None and done.seg.data.dtype == np.int16
    assert done.seg.data.shape == done.scan.data.shape and np.array_equal(done.seg.affine, done.scan.affine)
    for code, centre in HIPPOCAMPI_MM.items():
        voxels = np.argwhere(done.seg.data == code)
        assert np.abs(done.seg.grid.to_world(voxels).mean(axis=0) - centre).max() < 0.7
        true = (phantom_labels(scan.grid).data == code).sum()
        assert 0.85 < len(voxels) * spacing**3 / true < 1.15
    assert set(np.unique(done.seg.data)) == {0, 1, 2}


def test_labels_on_a_grid_of_their_own_are_placed_by_their_affine() -> None:
    seg = phantom_labels(phantom_grid("LPI", spacing=(1, 1, 1), shape=(60, 60, 60)))
    done = conform(phantom("PSR"), settings(), seg=seg)
    assert done.seg is not None
    assert np.abs(done.seg.grid.to_world(np.argwhere(done.seg.data == 2)).mean(0) - HIPPOCAMPI_MM[2]).max() < 0.7


def test_what_cannot_be_prepared_says_why() -> None:
    scan = phantom()
    far = Volume(phantom_labels(scan.grid).data, scan.affine + np.pad([[900.0]] * 3, ((0, 1), (3, 0))))
    with pytest.raises(ScanError, match="do not overlap"):
        conform(scan, settings(), seg=far)
    with pytest.raises(ScanError, match="outside the scan"):
        conform(scan, settings(), mask=Volume(np.ones((5, 5, 5), np.float32), far.affine))
    with pytest.raises(ScanError, match="int16"):
        conform(scan, settings(), seg=Volume(np.full(scan.data.shape, 70_000, np.int32), scan.affine))
    with pytest.raises(ScanError, match="too little brain"):
        conform(scan, settings(spacing=8.0))
    with pytest.raises(ScanError, match="no contrast"):
        conform(Volume(np.where(scan.data > 0, 7, 0).astype(np.float32), scan.affine), settings())
    with pytest.raises(ScanError, match="too large"):
        wide = Volume(scan.data, np.diag([20.0, 20, 20, 1]))
        conform(wide, settings(spacing=0.5, mask="nonzero"))
