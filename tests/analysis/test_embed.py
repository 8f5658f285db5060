import numpy as np
import pytest

from workbench.analysis.config import EmbedConfig
from workbench.analysis.embed import project, run_embed


@pytest.fixture(scope="module")
def embedded(study, tmp_path_factory):
    return run_embed(EmbedConfig(out=tmp_path_factory.mktemp("embed") / "run", store=study.store,
                                 encoder=study.encoder_run, accelerator="cpu"))


def test_every_scan_has_vectors_and_coordinates(embedded):
    vectors, places, scans = (embedded.read_table(n) for n in ("embeddings", "projections", "scans"))
    assert list(vectors["scan_id"]) == list(places["scan_id"]) == list(scans["scan_id"])
    assert np.stack(list(vectors["cls"])).shape == np.stack(list(vectors["patch_mean"])).shape == (12, 192)
    assert np.isfinite(places[["pca_1", "pca_2", "umap_1", "umap_2"]].to_numpy()).all()
    assert embedded.simulated


def test_who_was_seen_in_pretraining_is_told(embedded):
    scans = embedded.read_table("scans")
    assert scans["seen_in_pretraining"].sum() == 6
    assert set(scans.loc[scans["seen_in_pretraining"], "participant"]) == \
        set(embedded.provenance["pretraining_participants"])


def test_projections_find_planted_groups_and_repeat(embedded):
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(0, 1, (20, 30)), rng.normal(4, 1, (20, 30))])
    config = EmbedConfig(out="unused", store="unused", encoder="unused", neighbours=8)
    names = [str(i) for i in range(40)]
    first, second = project(vectors, names, config), project(vectors, names, config)
    assert first.equals(second)
    for method in ("pca", "umap"):
        xy = first[[f"{method}_1", f"{method}_2"]].to_numpy()
        gap = np.linalg.norm(xy[:20].mean(0) - xy[20:].mean(0))
        assert gap > 2 * max(xy[:20].std(), xy[20:].std())


def test_random_weights_give_other_vectors(embedded, study, tmp_path):
    other = run_embed(EmbedConfig(out=tmp_path / "random", store=study.store, encoder=study.encoder_run, init="random",
                                  accelerator="cpu"))
    a, b = (np.stack(list(r.read_table("embeddings")["cls"])) for r in (embedded, other))
    assert not np.allclose(a, b) and not other.read_table("scans")["seen_in_pretraining"].any()
