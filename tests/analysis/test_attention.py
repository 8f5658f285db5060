import json

import nibabel as nib
import numpy as np
import pytest
import torch

from workbench.analysis.attention import cls_maps, run_attend
from workbench.analysis.config import AttendConfig
from workbench.errors import WorkbenchError
from workbench.model import Encoder, EncoderConfig
from workbench.prepare import open_store


class Pointer(Encoder):
    """An encoder that looks at one patch alone: the one that holds a given voxel of the padded box."""

    def __init__(self, voxel):
        super().__init__(EncoderConfig(preset="micro", image_size=16, patch=8))
        self.voxel = voxel

    def cls_attention(self, volume_B1XYZ, *, block=-1):
        grid = tuple(n // 8 for n in volume_B1XYZ.shape[2:])
        row = torch.zeros(1, 3, *grid)
        x, y, z = (int(v) // 8 for v in self.voxel)
        row[:, :, x, y, z] = 1.0
        return row.flatten(2), grid


def config(study, out, **changes):
    return AttendConfig(out=out, store=study.store, encoder=study.encoder_run, accelerator="cpu", **changes)


@pytest.fixture(scope="module")
def attended(study, tmp_path_factory):
    return run_attend(config(study, tmp_path_factory.mktemp("attend") / "run"))


def test_what_was_looked_at_lies_in_the_same_place_of_the_scan(study, tmp_path, monkeypatch):
    """RAS, LAS and PSR scans: attention on the patch around a world point is written around that world point."""
    store = open_store(study.store)
    assert set(store.index["axcodes"]) == {"RAS", "LAS", "PSR"}
    for scan in store.index.drop_duplicates("axcodes").itertuples():
        grid = store.grid(scan.scan_id)
        target = np.argwhere(store.read_seg(scan.scan_id) == store.codes(scan.scan_id, "left_hippocampus")[0])[0]
        from workbench.model.encode import padded_box

        low, _ = padded_box(store.shape(scan.scan_id), (8, 8, 8))
        pointer = Pointer(target - low)
        monkeypatch.setattr("workbench.analysis.attention.open_matching", lambda *a, p=pointer, **k: (
            store, p, type("Card", (), {"objective": "pointer"})))
        run = run_attend(config(study, tmp_path / scan.axcodes, scans=(scan.scan_id,)))
        image = nib.load(run.path / f"volumes/{scan.scan_id}_desc-attnmean_map.nii.gz")
        data = np.asanyarray(image.dataobj)
        assert nib.aff2axcodes(image.affine) == tuple(scan.axcodes)
        world = grid.to_world(target)
        inside = nib.affines.apply_affine(np.linalg.inv(image.affine), world).round().astype(int)
        assert data[tuple(inside)] > 0
        lit = nib.affines.apply_affine(image.affine, np.argwhere(data > 0))
        assert np.abs(lit - world).max() < 8 * 3.0 + 3.0  # nothing further away than one patch of 8 voxels of 3 mm
        assert (lit.mean(0) - world)[0] < 24 and lit[:, 0].mean() < 12  # the left stays on the left


def test_a_map_for_each_head_and_their_mean(attended, study):
    table = attended.read_table("attention")
    assert len(table) == 12 * 4 and set(table["head"]) == {"mean", "1", "2", "3"}
    one = table[table["scan_id"] == table["scan_id"].iloc[0]].set_index("head")
    maps = {h: nib.load(attended.path / f).get_fdata() for h, f in one["file"].items()}
    np.testing.assert_allclose(maps["mean"], (maps["1"] + maps["2"] + maps["3"]) / 3, atol=1e-5)
    sidecar = json.loads((attended.path / one.loc["2", "file"].replace(".nii.gz", ".json")).read_text())
    assert sidecar["head"] == "2" and sidecar["unit"] == "times uniform" and sidecar["simulated"]
    assert table["outside_brain"].between(0, 1).all()


def test_the_unit_is_multiples_of_uniform_attention(study):
    """Each voxel has its patch's attention times the number of patches."""
    from workbench.model import load_encoder

    store, (encoder, _) = open_store(study.store), load_encoder(study.encoder_run)
    maps, rows = cls_maps(encoder, store, store.scan_ids[0])
    assert maps.shape == (3, *store.shape(store.scan_ids[0]))
    assert (rows.sum(1) <= 1 + 1e-5).all() and (rows.sum(1) > 0).all()
    shape = store.shape(store.scan_ids[0])
    values = np.unique(maps[0])
    assert all(np.isclose(rows[0] * rows.shape[1], v, rtol=1e-5).any() for v in values)
    centre = tuple(n // 2 for n in shape)
    assert np.isclose(rows[0] * rows.shape[1], maps[0][centre], rtol=1e-5).any()
    assert len(np.unique(maps[0])) <= rows.shape[1]  # nearest: tokens look like tokens


def test_linear_enlargement_is_smoother(study):
    from workbench.model import load_encoder

    store, (encoder, _) = open_store(study.store), load_encoder(study.encoder_run)
    nearest, _ = cls_maps(encoder, store, store.scan_ids[0])
    linear, _ = cls_maps(encoder, store, store.scan_ids[0], interpolation="linear")
    assert np.abs(np.diff(linear, axis=1)).max() < np.abs(np.diff(nearest, axis=1)).max()


def test_an_unknown_scan_is_refused_before_anything_is_written(study, tmp_path):
    with pytest.raises(WorkbenchError, match=r"nobody"):
        run_attend(config(study, tmp_path / "x", scans=("nobody",)))
    assert not (tmp_path / "x").exists()


def test_attention_on_padding_counts_as_outside_the_brain(study):
    from workbench.analysis.attention import brain_share

    store = open_store(study.store)
    share = brain_share(store, store.scan_ids[0], (8, 8, 8))
    brain = store.read_brain(store.scan_ids[0])
    assert share.sum() * 8**3 == pytest.approx(brain.sum())  # no voxel is lost, and padding adds none
    assert share.min() >= 0 and share.max() <= 1


def test_a_block_that_is_not_there_is_refused(study, tmp_path):
    with pytest.raises(WorkbenchError, match="choose 0 to 5"):
        run_attend(config(study, tmp_path / "x", block=99))
