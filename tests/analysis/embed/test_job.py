import numpy as np
import pandas as pd
import pytest
import torch

from workbench.analysis.config import EmbedConfig
from workbench.analysis.embed import neighbours
from workbench.analysis.embed.job import make_reference, run_embed
from workbench.analysis.embed.neighbours import nearest, picture_quality
from workbench.errors import ConfigError, WorkbenchError
from workbench.predict import nearest as exact
from workbench.predict.query import region_mask
from workbench.predict.reference import load_reference


def config(study, out, **changes):
    return EmbedConfig(out=out, store=study.store, encoder=study.encoder_run, accelerator="cpu", **changes)


@pytest.fixture(scope="module")
def embedded(study, tmp_path_factory):
    return run_embed(config(study, tmp_path_factory.mktemp("embed") / "run"))


@pytest.fixture(scope="module")
def grouped():
    """Two planted groups, their reference, and its coordinates."""
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(0, 1, (20, 30)), rng.normal(4, 1, (20, 30))]).astype(np.float32)
    names = [str(i) for i in range(40)]
    asked = EmbedConfig(out="unused", store="unused", encoder="unused", neighbours=8)
    return names, vectors, asked, make_reference(names, vectors, asked)


def test_every_scan_has_vectors_and_coordinates(embedded):
    vectors, places, scans = (embedded.read_table(n) for n in ("embeddings", "projections", "scans"))
    assert list(vectors["scan_id"]) == list(places["scan_id"]) == list(scans["scan_id"])
    for column in ("cls", "patch_mean", "region_left_hippocampus", "region_right_hippocampus"):
        assert np.stack(list(vectors[column])).shape == (12, 192)
    assert np.isfinite(places[["pca_1", "pca_2", "umap_1", "umap_2", "tsne_1", "tsne_2"]].to_numpy()).all()
    assert embedded.simulated and places["in_reference"].all()
    quality = embedded.read_table("quality")
    assert set(quality["picture"]) == {"pca", "umap", "tsne"} and quality["trustworthiness"].between(0, 1).all()


def test_vectors_are_those_of_the_encoder(embedded, study):
    from workbench.model import load_encoder
    from workbench.model.encode import encode_scans, padded_box, whole_scan
    from workbench.prepare import open_store

    store, (encoder, _) = open_store(study.store), load_encoder(study.encoder_run)
    table = embedded.read_table("embeddings")
    for row, (scan, cls, mean) in zip(
        table.itertuples(), encode_scans(encoder, store, store.scan_ids[:3]), strict=False
    ):
        assert row.scan_id == scan
        np.testing.assert_allclose(row.cls, cls, atol=1e-6)
        np.testing.assert_allclose(row.patch_mean, mean, atol=1e-6)
    with torch.no_grad():  # a region: voxel by voxel the token that the voxel is in, averaged
        scan = store.scan_ids[0]
        tokens = encoder(whole_scan(store, scan, (8, 8, 8)))
        low, _ = padded_box(store.shape(scan), (8, 8, 8))
        x, y, z = (np.argwhere(region_mask(store, scan, "left_hippocampus")) - low).T // 8
        expected = tokens.patch_map()[0][:, x, y, z].mean(dim=1)
    np.testing.assert_allclose(table["region_left_hippocampus"].iloc[0], expected, atol=1e-5)


def test_who_was_seen_in_pretraining_is_told(embedded):
    scans = embedded.read_table("scans")
    assert scans["seen_in_pretraining"].sum() == 6
    assert set(scans.loc[scans["seen_in_pretraining"], "participant"]) == set(
        embedded.provenance["pretraining_participants"]
    )


def test_projections_find_planted_groups_and_repeat(grouped):
    names, vectors, asked, reference = grouped
    first, second = reference.place(names, vectors), make_reference(names, vectors, asked).place(names, vectors)
    assert first.equals(second)
    for method in ("pca", "umap", "tsne"):
        xy = first[[f"{method}_1", f"{method}_2"]].to_numpy()
        gap = np.linalg.norm(xy[:20].mean(0) - xy[20:].mean(0))
        assert gap > 2 * max(xy[:20].std(), xy[20:].std())


def test_a_new_scan_is_placed_by_itself(grouped, tmp_path):
    """Its coordinates do not depend on its batch-mates, to the last bit, and it lands in its own group."""
    names, vectors, _, reference = grouped
    reference.save(tmp_path / "reference")
    again = load_reference(tmp_path)
    new = np.random.default_rng(1).normal(4, 1, (7, 30)).astype(np.float32)
    together = again.place([f"new{i}" for i in range(7)], new)
    alone = again.place(["new3"], new[3:4])
    assert (together.iloc[3].drop("scan_id") == alone.iloc[0].drop("scan_id")).all()
    assert not together["in_reference"].any()
    known = reference.place(names, vectors)
    for method in ("pca", "umap", "tsne"):
        columns = [f"{method}_1", f"{method}_2"]
        gaps = [
            np.linalg.norm(together[columns] - known[columns][part].mean().to_numpy(), axis=1)
            for part in (slice(0, 20), slice(20, 40))
        ]
        assert (gaps[1] < gaps[0]).all()


def test_a_run_against_a_reference_gives_the_same_places(embedded, study, tmp_path):
    run = run_embed(config(study, tmp_path / "new", reference=embedded.path))
    a, b = (r.read_table("projections") for r in (run, embedded))
    np.testing.assert_allclose(a.iloc[:, 1:7].to_numpy(float), b.iloc[:, 1:7].to_numpy(float), atol=1e-5)
    assert not (run.path / "reference").exists() and a["in_reference"].all()
    with pytest.raises(ConfigError, match="token: cls there, patch_mean now"):
        run_embed(config(study, tmp_path / "x", reference=embedded.path, token="patch_mean"))
    with pytest.raises(WorkbenchError, match="no reference here"):
        run_embed(config(study, tmp_path / "x", reference=run.path))


def test_more_scans_than_the_reference_holds(study, tmp_path):
    run = run_embed(config(study, tmp_path / "x", reference_scans=8))
    places = run.read_table("projections")
    assert set(run.read_table("quality")["fitted"]) == {8} and set(run.read_table("quality")["placed"]) == {4}
    assert places["in_reference"].sum() == 8 and np.isfinite(places.iloc[:, 1:7].to_numpy(float)).all()


def test_neighbours_are_the_nearest_others(grouped):
    names, vectors, _, _ = grouped
    table = nearest(names, vectors, names, vectors, k=4)
    assert (table["scan_id"] != table["neighbour"]).all() and len(table) == 40 * 4
    distances = np.linalg.norm(vectors - vectors[7], axis=1)
    expected = [names[i] for i in np.argsort(distances)[1:5]]
    assert list(table.loc[table["scan_id"] == "7", "neighbour"]) == expected
    twins = np.concatenate([vectors[:3], vectors[:3]])  # two scans with the same vector: neither is its own neighbour
    table = nearest(names[:6], twins, names[:6], twins, k=2)
    assert (table["scan_id"] != table["neighbour"]).all() and (table.groupby("scan_id").size() == 2).all()


def test_neighbours_of_many_are_those_of_few(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(600, 3)) @ rng.normal(size=(3, 20)) + 5).astype(np.float32)
    vectors[1] = vectors[0]
    names = [f"s{i}" for i in range(600)]
    few = nearest(names, vectors, names, vectors, k=3)
    monkeypatch.setattr(neighbours, "MANY", 10)
    monkeypatch.setattr(exact, "FEW", 0)
    many = nearest(names, vectors, names, vectors, k=3)
    assert many["distance"].dtype == few["distance"].dtype
    pd.testing.assert_frame_equal(many, few, atol=2e-2)  # of few a root is taken of a difference of large numbers
    assert (many.loc[many["scan_id"].isin(["s0", "s1"]) & (many["rank"] == 1), "distance"] == 0).all()


def test_a_picture_that_keeps_nothing_is_told(grouped):
    names, vectors, _, reference = grouped
    places = reference.place(names, vectors)
    shuffled = places.sample(frac=1, random_state=0).reset_index(drop=True)
    good, bad = (picture_quality(vectors, p, 5, 0).set_index("picture") for p in (places, shuffled))
    assert (good["trustworthiness"] > 0.7).all() and (bad["trustworthiness"] < 0.65).all()
    assert (good["continuity"] > bad["continuity"] + 0.1).all()


def test_random_weights_give_other_vectors(embedded, study, tmp_path):
    other = run_embed(config(study, tmp_path / "random", init="random", seed=5))
    a, b = (np.stack(list(r.read_table("embeddings")["cls"])) for r in (embedded, other))
    assert not np.allclose(a, b) and not other.read_table("scans")["seen_in_pretraining"].any()


def test_an_embedding_that_is_not_there_is_refused(study, tmp_path):
    with pytest.raises(ConfigError, match="no such embedding"):
        run_embed(config(study, tmp_path / "x", token="region:nothing"))
