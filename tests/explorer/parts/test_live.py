"""What is computed while somebody waits equals what the jobs store."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from workbench.analysis import EmbedConfig, WhatifConfig, run_embed, run_whatif
from workbench.errors import WorkbenchError
from workbench.explorer.own.place import place
from workbench.explorer.parts.live import Live, open_encoder
from workbench.explorer.scan.similarity import similar_to
from workbench.explorer.stored.catalog import Catalog
from workbench.explorer.whatif.change import change
from workbench.volumes import read_volume


def no_step(share, text):
    assert 0 <= share <= 1 and text


@pytest.fixture(scope="module")
def runs(study, tmp_path_factory):
    root = tmp_path_factory.mktemp("live")
    common = {"store": study.store, "encoder": study.encoder_run, "accelerator": "cpu"}
    run_embed(EmbedConfig(out=root / "embed", **common))
    run_whatif(
        WhatifConfig(
            out=root / "whatif",
            embed=root / "embed",
            changes=("blur", "rotation"),
            strengths=(0.5,),
            people=2,
            **common,
        )
    )
    return Catalog.scan(root)


def test_a_change_computed_now_is_the_stored_one(runs):
    stored = runs.table("whatif", "whatif")
    for row in stored[stored["strength"] > 0].itertuples():
        found = change(runs, "embed", "whatif", row.scan_id, {"gamma": 0.0, row.change: 0.5}, no_step)
        for measure in ("moved", "cosine", "attention_change", "attention_correlation"):
            assert found.measures[measure] == pytest.approx(getattr(row, measure), rel=1e-4, nan_ok=True), measure


def test_a_scan_of_the_store_is_placed_on_itself(runs):
    row = runs.table("embed", "scans").iloc[3]
    found = place(read_volume(row["path"]), runs, "embed", no_step)
    assert found.neighbours["scan_id"].iloc[0] == row["scan_id"]
    assert found.neighbours["distance"].iloc[0] < 0.05 < found.neighbours["distance"].iloc[1]
    own = runs.table("embed", "projections").set_index("scan_id").loc[row["scan_id"]]
    both = ["pca_1", "pca_2"]
    assert np.abs(found.places.iloc[0][both].astype(float) - own[both].astype(float)).max() < 0.05
    assert found.n == 12 and found.farther == 0


def test_the_place_itself_is_the_most_similar_and_lies_where_it_was_clicked(runs):
    import gzip

    import nibabel as nib

    store, encoder, _ = open_encoder(runs, "embed")
    scan, other = store.scan_ids[:2]
    mm = tuple(float(v) for v in store.grid(scan).to_world(np.array(store.shape(scan)) / 2))
    found = similar_to(store, encoder, scan, mm, scan)
    assert found.brain_P[-1] == pytest.approx(1, abs=1e-5) and found.best < 1
    image = nib.Nifti1Image.from_bytes(gzip.decompress(found.file.content))
    values = np.asarray(image.dataobj)
    voxel = np.rint(np.linalg.solve(image.affine, [*mm, 1])[:3]).astype(int)
    assert values[tuple(voxel)] == pytest.approx(1, abs=1e-5)
    assert values[store.read_brain(scan)].max() <= 1 + 1e-5
    low, high = found.range(10)
    assert low < high and (found.brain_P >= low).mean() == pytest.approx(0.1, abs=0.2)
    elsewhere = similar_to(store, encoder, scan, mm, other)
    assert not elsewhere.own and elsewhere.brain_P[-1] < 1 - 1e-6


def test_an_encoder_that_is_not_there_is_said(runs, tmp_path):
    shutil.copytree(runs.root / "embed", tmp_path / "embed")
    config = tmp_path / "embed" / "config.yaml"
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "encoder": str(tmp_path / "gone")}))
    with pytest.raises(WorkbenchError, match="not at hand"):
        open_encoder(Catalog.scan(tmp_path), "embed")


def test_a_relative_path_is_from_where_the_job_was_started(runs, tmp_path, monkeypatch):
    """The explorer may be started elsewhere; the store and the encoder are then found from the run's own place."""
    work = tmp_path / "work"
    shutil.copytree(runs.run("embed").path, work / "runs" / "embed")
    for name in ("store", "encoder"):
        (work / name).symlink_to(Path(str(runs.run("embed").config[name])).resolve())
    file = work / "runs" / "embed" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**config, "store": "store", "encoder": "encoder"}))
    monkeypatch.chdir(tmp_path)
    store, _, _ = open_encoder(Catalog.scan(work / "runs"), "embed")
    assert store.path.resolve() == (work / "store").resolve()


def test_a_cancelled_job_ends_between_two_steps_and_gives_nothing():
    import threading

    live, reached, go = Live(), threading.Event(), threading.Event()
    said = []

    def work(step):
        reached.set()
        go.wait(10)
        step(0.5, "never shown")
        raise AssertionError("went on")

    live.start(work, lambda _: said.append("done"), said.append)
    assert reached.wait(10) and live.busy
    live.stop()
    go.set()
    live._thread.join(10)
    assert said == [""] and not live._box.visible


def test_an_error_in_a_job_is_told():
    live, said = Live(), []
    live.start(lambda step: 1 / 0, said.append, said.append)
    live._thread.join(10)
    assert "ZeroDivisionError" in said[0]
