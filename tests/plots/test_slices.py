import holoviews as hv
import numpy as np
import pytest

from workbench.plots import densest_point, slices
from workbench.testing import HIPPOCAMPI_MM, MARKER_MM, intensity, phantom, phantom_labels
from workbench.volumes import Volume

CODES = {"right_hippocampus": 1, "left_hippocampus": 2}
PLANES = {"sagittal": ("y", "z"), "coronal": ("x", "z"), "axial": ("x", "y")}
ORIENTATIONS = pytest.mark.parametrize("axcodes", ["RAS", "LAS", "PSR", "ILP"])


def images(layout, plane, which=0):
    overlay = list(layout)[list(PLANES).index(plane)]
    return [element for element in overlay if isinstance(element, hv.Image)][which]


@ORIENTATIONS
@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("oblique", [0, 10])
def test_each_pixel_shows_what_lies_at_its_millimetres(axcodes, plane, oblique):
    image = images(slices(phantom(axcodes, oblique=oblique), at=MARKER_MM), plane)
    a, b = PLANES[plane]
    for shift in ([0, 0, 0], [3, 1, 2], [10, -6, -4]):
        world = MARKER_MM + np.array(shift)
        world[["x", "y", "z"].index(({"x", "y", "z"} - {a, b}).pop())] = MARKER_MM[list(PLANES).index(plane)]
        here = dict(zip("xyz", world, strict=True))
        inside = [intensity(world + np.array(step)) for step in np.ndindex(3, 3, 3)]  # no edge of the marker nearby
        if np.ptp(inside) < 10:
            assert image[here[a], here[b]] == pytest.approx(float(intensity(world)), abs=4)


@ORIENTATIONS
def test_left_is_on_the_left_and_marked_so(axcodes):
    layout = slices(phantom(axcodes), at=MARKER_MM)  # the only bright thing is in the left half
    for plane in ("coronal", "axial"):
        image = images(layout, plane)
        data = image.dimension_values(2, flat=False)
        assert image.dimension_values(0, expanded=False)[np.unravel_index(data.argmax(), data.shape)[1]] < 0
        marks = next(e for e in list(layout)[list(PLANES).index(plane)] if isinstance(e, hv.Labels)).dframe()
        places = marks.set_index("direction").iloc[:, 0]
        assert places["L"] < 0 < places["R"]


def test_axes_are_named_and_in_millimetres():
    layout = slices(phantom("PSR"), phantom("PSR"), value="intensity", overlay_value="attention")
    for plane, (a, b) in PLANES.items():
        for which, value in enumerate(["intensity", "attention"]):
            image = images(layout, plane, which)
            assert [d.name for d in image.dimensions()] == [a, b, value]
            assert [d.unit for d in image.kdims] == ["mm", "mm"]


@ORIENTATIONS
def test_labels_lie_where_they_are_whatever_the_grid_of_the_scan(axcodes):
    labels = phantom_labels(phantom(axcodes, spacing=(2, 3, 2)).grid)
    layout = slices(phantom("RAS"), labels, codes=CODES, at=HIPPOCAMPI_MM[2])
    image = images(layout, "coronal", 1)
    x, _, z = HIPPOCAMPI_MM[2]
    assert image[x, z] == 2 and image[-x, z] == 1 and image[0.0, z] == 0
    assert set(np.unique(image.dimension_values(2))) == {0, 1, 2}


def test_the_colour_bar_names_the_structures_and_nothing_is_drawn_elsewhere():
    scan = phantom()
    plot = hv.render(list(slices(scan, phantom_labels(scan.grid), codes=CODES))[2], backend="bokeh")
    (bar,) = (item for item in plot.right if type(item).__name__ == "ColorBar")
    assert bar.major_label_overrides == {1: "right hippocampus", 2: "left hippocampus"}
    assert bar.color_mapper.low == 0.5 and bar.color_mapper.high == 2.5
    assert bar.color_mapper.low_color == "rgba(0, 0, 0, 0)"


def test_one_scale_for_the_three_planes_and_the_same_millimetres_a_pixel():
    scan = phantom()
    plots = [hv.render(overlay, backend="bokeh") for overlay in slices(scan, scan, limit=7.0)]
    for plot in plots:
        mapper = plot.renderers[1].glyph.color_mapper
        assert mapper.high == 7
        scales = [
            plot.frame_width / (plot.x_range.end - plot.x_range.start),
            plot.frame_height / (plot.y_range.end - plot.y_range.start),
        ]
        assert scales[0] == pytest.approx(scales[1], rel=0.02)
    assert sum(type(item).__name__ == "ColorBar" for plot in plots for item in plot.right) == 1


@ORIENTATIONS
def test_the_densest_point_is_in_the_larger_structure(axcodes):
    labels = phantom_labels(phantom(axcodes).grid)
    assert np.abs(densest_point(labels, [2]) - HIPPOCAMPI_MM[2]).max() <= 2
    assert np.abs(densest_point(labels, [1, 2]) - HIPPOCAMPI_MM[2]).max() <= 2  # the left one is larger
    with pytest.raises(ValueError, match="no voxel"):
        densest_point(labels, [9])


def test_scans_with_nothing_to_centre_on_are_drawn():
    flat = Volume(np.zeros((4, 5, 6), np.float32), np.diag([2.0, 2, 2, 1]))
    empty = Volume(np.zeros((4, 5, 6), np.int32), flat.affine)
    assert hv.render(slices(flat, empty, codes=CODES), backend="bokeh") is not None
    assert hv.render(slices(flat, empty), backend="bokeh") is not None


def test_colours_lie_where_their_maps_do_and_are_see_through_where_there_is_none():
    labels = phantom_labels(phantom("PSR", spacing=(2, 3, 2)).grid)
    red, blue = (Volume((labels.data == code).astype(np.float32), labels.affine) for code in (1, 2))
    none = Volume(np.zeros_like(red.data), labels.affine)
    layout = slices(phantom("LAS"), colours=(red, none, blue), at=HIPPOCAMPI_MM[2], opacity=0.5)
    (picture,) = [element for element in list(layout)[1] if isinstance(element, hv.RGB)]
    x, _, z = HIPPOCAMPI_MM[2]

    def colour(x):
        return picture[x, z].array()[0].tolist()

    assert colour(x) == [0, 0, 1, 0.5] and colour(HIPPOCAMPI_MM[1][0]) == [1, 0, 0, 0.5]
    assert colour(0.0)[3] == 0, "the scan is seen there"
    hv.render(layout, backend="bokeh")
