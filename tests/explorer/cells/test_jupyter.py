import sys
import types

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.explorer import show, view_itk
from workbench.explorer.cells import itk
from workbench.explorer.viewer.nifti_view import NiftiView
from workbench.testing import MARKER_MM, phantom, phantom_labels
from workbench.volumes import Volume


@pytest.mark.parametrize(("axcodes", "oblique"), [("RAS", 0), ("LAS", 0), ("LPI", 0), ("PSR", 0), ("RAS", 15)])
def test_the_brightest_voxel_of_the_itk_image_is_the_marker_in_lps(axcodes, oblique):
    image = itk.itk_image(phantom(axcodes, oblique=oblique))
    z, y, x = np.unravel_index(image["data"].argmax(), image["data"].shape)
    bright = np.argwhere(image["data"] == image["data"].max()).mean(0)[::-1]
    place = np.array(image["origin"]) + image["direction"] @ (bright * image["spacing"])
    assert np.abs(place - itk.LPS_FROM_RAS @ MARKER_MM).max() < 0.7
    assert image["size"] == list(image["data"].shape[::-1]) and (x, y, z) < tuple(image["size"])
    assert np.linalg.det(image["direction"]) == pytest.approx(1)
    if not oblique:  # the viewer drops the direction: it must be none
        np.testing.assert_allclose(image["direction"], np.eye(3), atol=1e-9)


def test_a_sheared_affine_is_refused():
    scan = phantom()
    affine = scan.affine.copy()
    affine[0, 1] = 0.5
    with pytest.raises(WorkbenchError, match="right angles"):
        itk.itk_image(Volume(scan.data, affine))


def test_without_the_viewer_one_sentence_and_niivue(monkeypatch):
    monkeypatch.setitem(sys.modules, "itkwidgets", None)
    scan = phantom("LAS")
    with pytest.warns(UserWarning, match=r"itkwidgets.*here is the NiiVue view") as said:
        view = view_itk(scan, phantom_labels(scan.grid))
    assert len(said) == 1 and isinstance(view, NiftiView) and view.base and view.truth
    np.testing.assert_allclose(np.array(view.looks["base"]["affine"]).reshape(4, 4), scan.affine)


def test_image_and_labels_go_to_the_viewer(monkeypatch):
    """The viewer itself is a test double: the real one needs a notebook and the network."""
    got = {}
    double = types.ModuleType("itkwidgets")
    double.view = lambda **images: got.update(images) or "shown"
    wasm = types.ModuleType("itkwasm")
    wasm.Image, wasm.ImageType = (lambda **fields: types.SimpleNamespace(**fields),) * 2
    monkeypatch.setitem(sys.modules, "itkwidgets", double)
    monkeypatch.setitem(sys.modules, "itkwasm", wasm)
    monkeypatch.setattr(itk, "_network", lambda: True)
    scan = phantom("PSR")
    assert view_itk(scan, phantom_labels(scan.grid)) == "shown"
    assert got["image"].spacing == got["label_image"].spacing == [2.0, 2.0, 2.0]
    assert got["image"].imageType.componentType == "float32" and got["label_image"].imageType.componentType == "uint8"
    monkeypatch.setattr(itk, "_network", lambda: False)
    with pytest.warns(UserWarning, match="from the network, and there is none"):
        assert isinstance(view_itk(scan), NiftiView)


def test_show_opens_on_the_run_with_its_neighbours_at_hand(fake_runs):
    page = show(fake_runs / "embed")
    page.selection = ["fake_sub-03", "fake_sub-01"]
    assert page.selection == page.state.selection and list(page.selected["scan_id"]) == ["fake_sub-01", "fake_sub-03"]
    page.state.select_ids(["fake_sub-02"])  # by a lasso
    assert page.selection == ["fake_sub-02"] and page.case == "fake_sub-02"
    page.case = "fake_sub-05"
    for wrong in ({"case": "../x"}, {"selection": ["fake_sub-01", "../x"]}):
        with pytest.raises(WorkbenchError, match=r"\.\./x: no such scan"):
            setattr(page, *next(iter(wrong.items())))
    assert page.selection == ["fake_sub-02"] and page.case == "fake_sub-05"
    from workbench.explorer.cells.jupyter import choose
    from workbench.explorer.session.state import ExplorerState
    from workbench.runs import Run

    state = ExplorerState(fake_runs)
    choose(state, Run(fake_runs / "attend-random"))
    assert state.attend_run == "attend-random" and state.embed_run == "embed"
    with pytest.raises(WorkbenchError, match="no such folder"):
        show(fake_runs / "nothing")
