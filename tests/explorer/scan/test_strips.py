"""Slices of several scans for a figure: what lies over them, one range of colours, the lines that make it again."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from tests.explorer.fake_runs import write_fake_runs, write_second_segmentation
from workbench.errors import WorkbenchError
from workbench.explorer.scan.paper import columns_of_page, strips_of_page
from workbench.explorer.scan.strips import RAMP, strips
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import files
from workbench.explorer.stored.catalog import Catalog
from workbench.explorer.viewer.nifti_view import BUNDLE
from workbench.plots import label_colors, strongest
from workbench.volumes import read_volume

MAPS = [("attention", "attend"), ("random", "attend")]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return write_second_segmentation(write_fake_runs(tmp_path_factory.mktemp("strips"), n=8))


@pytest.fixture(scope="module")
def alike(two):
    """The maps of both weights in one unit, as the job writes them."""
    for file in (two / "attend" / "volumes").glob("*attnmean_map.nii.gz"):
        file.with_name(file.name.replace(".nii.gz", ".json")).write_text('{"unit": "times uniform"}')
    return two


def test_the_strongest_part_of_a_map_holds_its_share():
    values = np.random.default_rng(0).gamma(1.0, size=(20, 20, 20)) - 0.2
    low, high = strongest(values, 30)
    above = values[values > 0]
    assert values[values >= low].sum() == pytest.approx(0.3 * above.sum(), rel=0.01)
    assert (values > high).sum() == len(above) // 1000 and low < high
    assert strongest(np.zeros((2, 2, 2)), 30) == (np.inf, -np.inf)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node: apt install nodejs")
@pytest.mark.parametrize("percent", [1, 25, 90])
def test_a_figure_s_range_of_a_map_is_that_of_the_viewer(percent):
    values = (np.random.default_rng(0).gamma(1.0, size=5000) - 0.2).round(5)
    script = f"""
import {{ histogram, massThreshold }} from "{BUNDLE.with_name("volumes.js").as_uri()}"
const image = {{ img: Float64Array.from({values.tolist()}), hdr: {{}} }}
console.log(JSON.stringify(massThreshold(histogram(image), {percent})))"""
    done = subprocess.run(
        ["node", "--input-type=module", "-"], input=script, capture_output=True, text=True, check=True
    )
    bin_width = values.max() / 4096  # the viewer counts in bins
    assert json.loads(done.stdout) == pytest.approx(strongest(values, percent), abs=2 * bin_width)


def test_maps_have_one_range_of_colours_and_what_lies_below_is_grey(alike):
    made = strips(Catalog.scan(alike), "embed", ["fake_sub-00", "fake_sub-01"], MAPS, mass=25)
    label, low, high, ramp = made["bar"]
    catalog, ends = Catalog.scan(alike), []
    for scan in ("fake_sub-00", "fake_sub-01"):
        for path in (
            files.attention_file(catalog, "attend", scan, "mean"),
            files.random_attention_file(catalog, "attend", scan),
        ):
            ends.append(strongest(read_volume(path).data, 25))
    assert (low, high) == (min(e[0] for e in ends), max(e[1] for e in ends))
    assert label == "attention (times uniform)" and ramp == RAMP and made["legend"] is None
    assert made["columns"] == ["attention, attend", "random weights, attend"]
    for _, (own, other) in made["strips"]:
        drawn = [np.ptp(p, axis=-1) > 0.05 for p in (own, other)]
        assert 5 < drawn[0].sum() < 0.3 * drawn[0].size  # a blob, in the slice where it is
        assert not (drawn[0] & drawn[1]).any()  # that of random weights lies elsewhere


def test_a_map_that_is_not_there_is_said_and_two_units_are_refused(two, alike, tmp_path):
    made = strips(Catalog.scan(alike), "embed", ["fake_sub-07"], [*MAPS, ("segmentation", "segment")])
    assert made["strips"][0][1] == [None] * 3 and made["bar"] is None
    side = alike / "attend" / "volumes" / "fake_sub-02_desc-attnmean_map.json"
    side.write_text('{"unit": "share"}')
    with pytest.raises(WorkbenchError, match="different units: share, times uniform"):
        strips(Catalog.scan(alike), "embed", ["fake_sub-02"], MAPS)
    side.write_text('{"unit": "times uniform"}')


def test_the_page_draws_what_lies_over_the_scan_and_its_lines_make_it_again(alike):
    state = ExplorerState(alike)
    state.param.update(show_attention=True, show_beside=True, show_prediction=True, show_error=False, layout="coronal")
    state.runs_beside = ["segment-b"]
    state.scans_beside = ["fake_sub-05"]
    columns = [*MAPS, ("segmentation", "segment"), ("segmentation", "segment-b")]
    assert columns_of_page(state) == columns
    figure, caption, code = strips_of_page(state)
    assert len(figure.axes) == 2 * 4 + 1 and "coronal" in caption and "Simulated data" in caption
    own = {}
    exec(f"from workbench import plots\nfrom workbench.explorer.stored.catalog import Catalog\n{code}", own)
    for one, other in zip(figure.axes[:8], own["figure"].axes[:8], strict=True):
        np.testing.assert_array_equal(one.images[0].get_array(), other.images[0].get_array())
    state.select_ids(["fake_sub-01", "fake_sub-03", "fake_sub-04"])
    state.param.update(show_attention=False, show_beside=False, show_prediction=False, show_truth=False, runs_beside=[])
    state.show_error = True
    figure, caption, _ = strips_of_page(state)
    assert len(figure.axes) == 3 and "3 scans (not drawn: Errors)" in caption


def test_a_strip_shows_what_a_run_gave_and_the_truth_as_an_outline(two):
    made = strips(
        Catalog.scan(two),
        "embed",
        ["fake_sub-04", "fake_sub-02"],
        [("segmentation", "segment"), ("segmentation", "segment-b")],
    )
    orange = np.array(label_colors(2, "prediction")) / 255
    blue = np.array(label_colors(2, "truth")) / 255

    def pixels(picture, colors, share):  # of a colour over any grey
        rest = (
            (picture[..., None, :] - share * colors) / (1 - share + 1e-9)
            if share < 1
            else picture[..., None, :] - colors
        )
        even = rest.max(-1) - rest.min(-1) < 1e-3 if share < 1 else np.abs(rest).max(-1) < 1e-3
        return int(even.any(-1).sum())

    (_, (a4, b4)), (_, (a2, b2)) = made["strips"]
    assert a4.shape == b4.shape and made["columns"] == ["segment", "segment-b"] and len(made["legend"]) == 4
    assert min(pixels(p, blue, 1.0) for p in (a4, b4, a2, b2)) > 5
    grey = (b4.max(-1) - b4.min(-1)) < 1e-6
    assert grey.sum() + pixels(b4, blue, 1.0) == grey.size  # B found nothing: no fill
    assert pixels(a4, orange, 0.7) > 5 < pixels(b2, orange, 0.7)
