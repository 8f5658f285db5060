from __future__ import annotations

import numpy as np
import pytest

from workbench.prepare import to_source_space
from workbench.testing import HIPPOCAMPI_MM, MARKER_MM, intensity, phantom, phantom_grid, phantom_labels
from workbench.volumes import Grid, Volume, resample, spaced_grid
from workbench.volumes.regrid import regrid

STORED = ["RAS", "LAS", "LPI", "PSR", "IAR"]


def world(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))


@pytest.mark.parametrize("axcodes", STORED)
@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_grid_that_fits_is_flipped_and_cropped_without_touching_a_value(axcodes: str, order: int) -> None:
    scan = phantom(axcodes, noise=7)
    grid = spaced_grid(scan.grid, 2.0, (np.array([-15.0, -15, -15]), np.array([15.0, 15, 15])))
    moved = regrid(scan, grid, order=order)
    ijk = np.rint(scan.grid.to_voxel(world(grid))).astype(int)
    assert np.array_equal(moved.data, scan.data[tuple(np.moveaxis(ijk, -1, 0))])
    assert np.array_equal(moved.affine, grid.affine)


def test_what_lies_beyond_the_source_is_fill_on_both_ways() -> None:
    scan = phantom("LPI", shape=(8, 9, 10))
    larger = phantom_grid("RAS", shape=(14, 15, 16))
    moved = regrid(Volume(scan.data + 1, scan.affine), larger, order=1, fill=-5)
    assert (moved.data == -5).sum() == 14 * 15 * 16 - 8 * 9 * 10
    elsewhere = Grid((4, 4, 4), np.array(larger.affine) + np.pad([[500.0]] * 3, ((0, 1), (3, 0))))
    assert (regrid(scan, elsewhere, order=1, fill=3).data == 3).all()
    shifted = Grid((4, 4, 4), elsewhere.affine + np.pad([[0.7]] * 3, ((0, 1), (3, 0))))
    assert (regrid(scan, shifted, order=1, fill=3).data == 3).all()


@pytest.mark.parametrize("axcodes", ["RAS", "LPI", "PSR"])
@pytest.mark.parametrize(("order", "oblique"), [(0, 0), (1, 0), (3, 0), (1, 9), (3, 9)])
@pytest.mark.parametrize("to_spacing", [0.7, 1.5, 2.0, 3.1])
@pytest.mark.parametrize("reach", [8, 40])
def test_the_short_cuts_change_nothing(axcodes: str, order: int, oblique: float, to_spacing: float, reach: int) -> None:
    scan = phantom(axcodes, shape=(50, 47, 44), spacing=(1, 1.1, 1), oblique=oblique, noise=5)
    affine = np.diag([to_spacing] * 3 + [1]) + np.pad([[-7.03]] * 3, ((0, 1), (3, 0)))
    grid = Grid((reach, reach + 1, reach + 2), affine)
    got, expected = (f(scan, grid, order=order, fill=-3).data for f in (regrid, resample))
    assert got.dtype == expected.dtype == np.float32
    assert np.abs(got - expected).max() < 5e-3


@pytest.mark.parametrize("axcodes", STORED)
@pytest.mark.parametrize(("spacing", "oblique"), [((2, 2, 2), 0), ((2, 2, 3), 0), ((2, 2.5, 2), 12)])
def test_a_map_comes_back_to_the_place_it_was_made_for(axcodes: str, spacing: tuple, oblique: float) -> None:
    source = phantom_grid(axcodes, spacing=spacing, oblique=oblique)
    grid = spaced_grid(source, 2.0)
    marked = (intensity(world(grid)) == 400).astype(np.float32)  # the marker, drawn on the prepared grid
    for order in (0, 1):
        back = to_source_space(marked, grid, source, order=order)
        assert back.grid.shape == source.shape and np.array_equal(back.affine, source.affine)
        found = source.to_world(np.argwhere(back.data > 0.5)).mean(axis=0)
        assert np.abs(found - MARKER_MM).max() < 1.0, f"{found} for {MARKER_MM}"


@pytest.mark.parametrize("axcodes", STORED)
def test_labels_go_there_and_back_voxel_for_voxel_where_the_grids_agree(axcodes: str) -> None:
    labels = phantom_labels(phantom_grid(axcodes))
    grid = spaced_grid(labels.grid, 2.0)
    there = regrid(Volume(labels.data.astype(np.int16), labels.affine), grid, order=0)
    assert there.data.dtype == np.int16
    for code, centre in HIPPOCAMPI_MM.items():
        assert np.abs(grid.to_world(np.argwhere(there.data == code)).mean(axis=0) - centre).max() < 1
    assert np.array_equal(to_source_space(there.data, grid, labels.grid, order=0).data, labels.data)


def test_half_precision_and_boolean_maps_are_taken() -> None:
    source, grid = phantom_grid("PSR", oblique=5), spaced_grid(phantom_grid(), 3.0)
    for dtype in (np.float16, bool):
        assert to_source_space(np.ones(grid.shape, dtype), grid, source, order=0).data.max() == 1


def test_a_map_on_another_grid_is_refused() -> None:
    grid = phantom_grid()
    with pytest.raises(ValueError, match="its grid"):
        to_source_space(np.zeros((2, 2, 2)), grid, grid, order=0)
