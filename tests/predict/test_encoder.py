"""An encoder asked about one scan gives what the jobs give, wherever the scan comes from and however it is stored."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from workbench.analysis import AttendConfig, EmbedConfig, run_attend, run_embed
from workbench.errors import ConfigError, ScanError, WorkbenchError
from workbench.model import load_encoder as load_network
from workbench.predict.encoder import load_encoder
from workbench.prepare import open_store
from workbench.volumes import read_volume


def inside_of(tokens) -> np.ndarray:
    """Index of a token that is brain."""
    return np.array(np.unravel_index(tokens.brain.argmax(), tokens.brain.shape))


@pytest.fixture(scope="module")
def looked(study, tmp_path_factory):
    """The encoder, the store, a scan of each stored orientation, and runs of the jobs."""
    root = tmp_path_factory.mktemp("looked")
    common = {"store": study.store, "encoder": study.encoder_run, "accelerator": "cpu"}
    store = open_store(study.store)
    rows = store.index.drop_duplicates("axcodes").set_index("scan_id")
    embed = run_embed(EmbedConfig(out=root / "embed", **common))
    attend = run_attend(AttendConfig(out=root / "attend", scans=tuple(rows.index), sanity=False, **common))
    return load_encoder(study.encoder_run, device="cpu"), store, rows, embed, attend


def test_an_embedding_is_that_of_the_job(looked):
    encoder, _, rows, embed, _ = looked
    table = embed.read_table("embeddings").set_index("scan_id")
    for scan, row in rows.iterrows():
        image = nib.load(row["path"])
        for given in (row["path"], image, (np.asarray(image.dataobj), image.affine), read_volume(row["path"])):
            found = encoder.embed(given)
            np.testing.assert_array_equal(found.cls, table.loc[scan, "cls"])
            np.testing.assert_array_equal(found.patch_mean, table.loc[scan, "patch_mean"])
        np.testing.assert_array_equal(np.asarray(found), found.cls)
        assert row["mask_kind"] in found.mask


def test_attention_is_that_of_the_job_in_the_scans_own_space(looked):
    encoder, _, rows, _, attend = looked
    files = attend.read_table("attention").set_index(["scan_id", "head"])["file"]
    for scan, row in rows.iterrows():
        for head, name in ((None, "mean"), (2, "2")):
            expected = nib.load(attend.path / files[scan, name])
            found = encoder.attention(row["path"], head=head)
            assert found.shape == nib.load(row["path"]).shape
            np.testing.assert_allclose(found.affine, nib.load(row["path"]).affine)
            np.testing.assert_allclose(found.get_fdata(), expected.get_fdata(), rtol=1e-5)


def test_the_like_of_a_place_is_most_like_at_the_place(looked):
    """Searched in the scan itself it is there with cosine 1; in the same head stored the other way, at the same mm."""
    encoder, _, rows, _, _ = looked
    path = rows["path"].iloc[0]
    tokens = encoder.tokens(path)
    mm = tokens.affine[:3, :3] @ inside_of(tokens) + tokens.affine[:3, 3]  # the middle of a patch
    found = encoder.similar(path, mm)
    inverse = np.linalg.inv(found.image.affine)
    voxel = tuple(np.rint(inverse[:3, :3] @ mm + inverse[:3, 3]).astype(int))
    values = found.image.get_fdata()
    assert values[voxel] == pytest.approx(1, abs=1e-5) and values.max() == pytest.approx(1, abs=1e-5)
    assert found.best < 1 and values.shape == nib.load(path).shape
    image = nib.as_closest_canonical(nib.load(path))
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = image.shape[0] - 1
    turned = (np.asarray(image.dataobj)[::-1], image.affine @ flip)  # stored from right to left: the same head
    other = encoder.similar(path, mm, in_=turned)
    assert other.best == pytest.approx(1, abs=1e-4) and np.linalg.norm(np.array(other.best_mm) - mm) < 8 * 3 * 0.9
    assert other.image.shape == image.shape
    averaged = encoder.similar(path, mm, in_=turned, grids=2)
    assert averaged.best == pytest.approx(1, abs=1e-4) and averaged.best_mm == pytest.approx(other.best_mm)


def test_tokens_lie_where_they_say(looked):
    encoder, store, rows, _, _ = looked
    scan, path = rows.index[0], rows["path"].iloc[0]
    tokens = encoder.tokens(path)
    x, y, z = tokens.values.shape[:3]
    mean = tokens.values.reshape(x * y * z, -1).mean(0)
    np.testing.assert_allclose(mean, encoder.embed(path).patch_mean, atol=1e-5)
    inside = inside_of(tokens)
    mm = tokens.affine[:3, :3] @ inside + tokens.affine[:3, 3]
    np.testing.assert_array_equal(tokens.at(mm + 4.0), tokens.values[tuple(inside)])  # patches are 24 mm wide
    voxel = np.rint(store.grid(scan).to_voxel(mm)).astype(int)
    assert store.read_brain(scan)[tuple(voxel)]
    with pytest.raises(WorkbenchError, match="outside"):
        tokens.at((900, 0, 0))


def test_a_prepared_scan_is_prepared_once_and_only_for_its_own_kind(looked, study, tmp_path):
    encoder, _, rows, _, _ = looked
    ready = encoder.prepare(rows["path"].iloc[0])
    np.testing.assert_array_equal(encoder.embed(ready).cls, encoder.embed(rows["path"].iloc[0]).cls)
    folder = shutil.copytree(study.encoder_run / "model", tmp_path / "other")
    facts = json.loads((folder / "config.json").read_text())
    facts["prepare"] |= {"interpolation": "cubic"}
    (folder / "config.json").write_text(json.dumps(facts))
    with pytest.raises(WorkbenchError, match="cannot be prepared here as they were"):
        load_encoder(folder)  # the fingerprint says linear


def test_what_a_scan_by_itself_cannot_answer_is_refused(looked):
    encoder, _, rows, _, _ = looked
    path = rows["path"].iloc[0]
    for question, error, words in [
        (lambda: encoder.attention(path, "region:left_hippocampus"), ConfigError, "no labels"),
        (lambda: encoder.attention(path, block=99), ConfigError, "block 99"),
        (lambda: encoder.attention(path, head=99), ConfigError, "head 99"),
        (lambda: encoder.attention(path, (900.0, 0, 0)), ScanError, "900"),
        (lambda: encoder.attention(path, "nose"), ConfigError, "not understood"),
        (lambda: encoder.embed(np.zeros((8, 8, 8))), TypeError, "affine"),
        (lambda: encoder.embed((np.zeros((8, 8, 8)), np.eye(4))), ScanError, "empty"),
        (lambda: encoder.embed((np.full((8, 8, 8), np.nan), np.eye(4))), ScanError, "NaN"),
        (lambda: encoder.embed((np.ones((8, 8, 8, 2)), np.eye(4))), ScanError, "not a 3D scan"),
        (lambda: encoder.embed((np.ones((8, 8, 8)), np.zeros((4, 4)))), ScanError, "singular"),
    ]:
        with pytest.raises(error, match=words):
            question()


def test_an_encoder_of_before_its_settings_were_exported_finds_them_by_their_hash(looked, study, tmp_path):
    encoder, _, rows, _, _ = looked
    folder = shutil.copytree(study.encoder_run / "model", tmp_path / "old")
    facts = json.loads((folder / "config.json").read_text())
    del facts["prepare"]
    (folder / "config.json").write_text(json.dumps(facts))
    path = rows["path"].iloc[0]
    for old in (load_encoder(folder), load_encoder(folder, prepare=study.store)):
        np.testing.assert_array_equal(old.embed(path).cls, encoder.embed(path).cls)
    (folder / "config.json").write_text(json.dumps(facts | {"preparation": "0" * 16}))
    with pytest.raises(ConfigError, match="not known"):
        load_encoder(folder)


def test_an_own_mask_is_used(looked):
    encoder, store, rows, _, _ = looked
    path = rows["path"].iloc[0]
    image = nib.load(path)
    half = np.asarray(image.dataobj) > 0
    half[: half.shape[0] // 2] = False
    ready = encoder.prepare(path, mask=nib.Nifti1Image(half.astype(np.uint8), image.affine))
    assert "given" in ready.mask and ready.read_brain().sum() < 0.7 * store.read_brain(rows.index[0]).sum()


def test_a_scan_is_placed_where_the_embed_run_has_it(looked):
    encoder, _, rows, embed, _ = looked
    places = embed.read_table("projections").set_index("scan_id")
    for scan, row in rows.iterrows():
        found = encoder.place(row["path"], embed)
        assert found.neighbours["scan_id"].iloc[0] == scan and found.neighbours["distance"].iloc[0] < 1e-3
        assert found.places["pca_1"].iloc[0] == pytest.approx(places.loc[scan, "pca_1"], abs=1e-3)


def test_random_weights_are_those_of_the_seed(study, looked):
    path = looked[2]["path"].iloc[0]
    one, two = (load_encoder(study.encoder_run, init="random", seed=s, device="cpu") for s in (3, 4))
    assert not np.allclose(one.embed(path).cls, two.embed(path).cls)
    network = load_network(study.encoder_run, init="random", seed=3)[0]
    assert all((a == b).all() for a, b in zip(network.parameters(), one.network.parameters(), strict=True))
    assert "random" in repr(one) and "random" in one._repr_html_()
