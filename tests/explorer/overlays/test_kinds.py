"""The table of overlays is the one place that knows them."""

import re
from pathlib import Path

import numpy as np
import pytest

import workbench.explorer.viewer.nifti_view as component
from workbench.explorer.overlays import KINDS, LAYERS, SLOTS, overlays
from workbench.explorer.overlays.error_map import AGAINST, CLASSES
from workbench.explorer.scan.chips import Chips
from workbench.explorer.session.state import ExplorerState
from workbench.plots import label_colors

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB
BLIND = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


def lab(rgb, seen_by):
    """CIE L*a*b* (D65) of an sRGB colour of 0–255, as somebody sees it."""
    c = np.asarray(rgb, float) / 255
    linear = np.clip(BLIND[seen_by] @ np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def labels():
    named = {
        f"{source} {i}": c for source in ("truth", "prediction", "other") for i, c in enumerate(label_colors(4, source))
    }
    return {**named, **{f"error: {name}": color for name, color in (*CLASSES, *AGAINST)}}


def nearest(ramp, seen_by):
    """Of each colour of a label how near the ramp comes to it."""
    return {
        name: min(float(np.linalg.norm(lab(a, seen_by) - lab(c, seen_by))) for a in ramp)
        for name, c in labels().items()
    }


@pytest.mark.parametrize("seen_by", list(BLIND))
def test_attention_has_no_colour_of_a_label(seen_by):
    ramp = next(kind.ramp for kind in KINDS if kind.key == "attention")
    near = nearest(ramp, seen_by)
    assert min(near.values()) > 20, near


@pytest.mark.parametrize("seen_by", list(BLIND))
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.draws == "map"], ids=lambda kind: kind.key)
def test_no_map_has_the_colours_of_a_label(kind, seen_by):
    near = nearest(kind.ramp, seen_by)
    assert min(near.values()) > 15, near


def test_the_first_screen_has_one_overlay(fake_runs):
    assert [kind.key for kind in KINDS if kind.on] == ["attention"] == ExplorerState(fake_runs).shown()


def test_truth_is_an_outline_over_the_filled_prediction():
    kinds = {kind.key: kind for kind in KINDS}
    assert kinds["truth"].outline == "always" and kinds["prediction"].outline == "asked"
    assert SLOTS.index("truth") > SLOTS.index("prediction") > max(SLOTS.index("error"), SLOTS.index("against"))
    order = [("colours", "map", "labels").index(kind.draws) for kind in LAYERS]
    assert order == sorted(order)


def test_every_kind_has_switch_slot_chip_and_something_to_say(fake_runs):
    state = ExplorerState(fake_runs)
    chips = Chips(state)
    row = state.row()
    found = overlays(state, row)
    for kind in KINDS:
        assert kind.key in component.NiftiView.param and kind.shown_by in state.param and kind.help
        assert all(name in state.param for name in kind.controls)
        assert kind.draws != "map" or len(kind.ramp) >= 2
        assert found[kind.key].source is not None or not getattr(state, kind.shown_by) or found[kind.key].note
        before = getattr(state, kind.shown_by)
        chips._handle_msg(kind.key)
        assert getattr(state, kind.shown_by) is not before
    chips._handle_msg("../../etc/passwd")
    assert [item["key"] for item in chips.items] == [kind.key for kind in KINDS]


def test_the_switch_of_what_a_scan_has_not_says_so(fake_runs):
    """Of the last scan there is neither attention nor segmentation, and nowhere is there a tokens run."""
    state = ExplorerState(fake_runs)
    chips = Chips(state)
    dashed = []
    for scan in state.cohort["scan_id"].iloc[[0, -1]]:
        state.case = scan
        found = overlays(state, state.row())
        chips.tell(found)
        assert [item["has"] for item in chips.items] == [found[kind.key].there for kind in KINDS]
        dashed.append({item["key"] for item in chips.items if not item["has"]})
        assert all(found[key].note and found[key].source is None for key in dashed[-1])
    never = {"similarity", "rgb", "other", "against"}
    assert dashed == [never, never | {"attention", "beside", "prediction", "truth", "error"}]


def test_the_script_of_the_viewer_names_no_kind():
    """So that a new one needs no new bundle."""
    folder = Path(component.__file__).parent
    for name in ("nifti_view.js", "legend.js", "picture.js", "solid.js", "frame.js"):
        code = re.sub(r"//.*|dataset.state = \"error\"|console.error", "", (folder / name).read_text())
        for kind in KINDS:
            assert not re.search(rf"[\"'.]{kind.key}\b", code), (name, kind.key)
