"""Several contrasts of a session, from their files to a segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from tests.conftest import Study
from workbench.cohort import CohortConfig, SplitConfig, load_cohort, run_cohort, run_split
from workbench.errors import WorkbenchError
from workbench.prepare import PrepareConfig, open_store, run_prepare
from workbench.testing import phantom, write_bids
from workbench.volumes import Volume, read_volume, write_volume


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Six phantoms in T1w and FLAIR; one FLAIR lies on another grid, one is missing."""
    root = tmp_path_factory.mktemp("two")
    made = Study(root)
    source = write_bids(root / "data", people=6, simulated=True, contrasts=("T1w", "FLAIR"))
    (source / "sub-05" / "anat" / "sub-05_FLAIR.nii.gz").unlink()
    other = phantom("LIA", spacing=(2, 2, 3), shape=(30, 34, 18))
    write_volume(
        source / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz",
        Volume(np.where(other.data > 0, 500 - other.data, 0).astype(np.float32), other.affine),
    )
    run_cohort(
        CohortConfig(out=made.cohort, sources=[source], workers=1, contrast=("t1", "flair"), missing_channel="zero")
    )
    run_split(SplitConfig(out=made.split, cohort=made.cohort, fractions=(0.5, 0.0, 0.5)))
    run_prepare(PrepareConfig(out=made.store, cohort=made.cohort, spacing=3.0, workers=1))
    return made


@pytest.fixture(scope="module")
def encoder(two: Study) -> Study:
    from workbench.pretrain.train import run_pretrain

    run_pretrain(two.pretrain(two.encoder_run, epochs=1.0, objective={}, views={"contrast": 0.3}))
    return two


def test_channels_of_a_store_are_those_of_the_files(two):
    cohort, store = load_cohort(two.cohort), open_store(two.store)
    assert cohort.contrasts == store.contrasts == ("T1w", "FLAIR")
    for scan in store.scan_ids:
        first, other = store.read_channels(scan).astype(np.float32)
        brain = store.read_brain(scan)
        assert ((first != 0) == brain).all() and store.read(scan).shape == store.shape(scan)
        if "sub-05" in scan:
            assert not other.any() and store.present(scan).tolist() == [True, False]
            continue
        assert store.present(scan).all() and abs(other[brain].mean()) < 0.01
        # dark and bright are exchanged, voxel by voxel: also where the second lay on another grid
        inner = binary_erosion(brain, iterations=2)
        assert np.corrcoef(first[inner], other[inner])[0, 1] < -0.8, scan
    assert store.index.set_index("scan_id")["channels_missing"].loc["data_sub-05"] == "FLAIR"


def test_a_pretraining_learns_from_both(encoder):
    from workbench.model import load_encoder
    from workbench.runs import Run

    loaded, card = load_encoder(encoder.encoder_run)
    assert card.contrasts == ("T1w", "FLAIR") and loaded.config.channels == 2
    assert "T1w+FLAIR" in (encoder.encoder_run / "model" / "README.md").read_text()
    assert np.isfinite(Run(encoder.encoder_run).metrics()["loss"]).all()
    store = open_store(encoder.store)
    from workbench.model.encode import whole_scan

    volume = whole_scan(store, store.scan_ids[0], loaded.config.patch_xyz)
    without = volume.clone()
    without[:, 1] = 0
    assert not np.allclose(loaded(volume).cls_BD.detach(), loaded(without).cls_BD.detach())


def test_what_is_not_there_is_not_rebuilt(encoder):
    """A missing contrast adds nothing to the reconstruction, whatever the network says of it."""
    import torch

    from workbench.pretrain.data import MicroBatches, on_device
    from workbench.pretrain.objectives.base import StepInfo
    from workbench.pretrain.train import fitted

    store = open_store(encoder.store)
    for objective in ({"name": "mae"}, {"weight_cls": 0.0, "weight_patch": 0.0, "weight_cross": 0.0}):
        config = fitted(encoder.pretrain(encoder.encoder_run, objective=objective), store)
        lacking = np.array([i for i in range(len(store)) if not store.present(i).all()] * 2, np.int32)
        batch = on_device(MicroBatches(store, lacking, config, size=2)[0], config, torch.device("cpu"))
        assert not batch.clean[:, :, 1].any() and not batch.corrupted[:, :, 1].any()
        torch.manual_seed(0)
        made: Any = config.objective.build(config.encoder)
        before = made(batch, StepInfo(0, 1, 1.0)).terms["reconstruction"]
        last = made.rebuild.bias if objective.get("name") == "mae" else made.reconstruct.unpatch.bias
        with torch.no_grad():
            last[len(last) // 2 :] += 5.0  # what it says of the second contrast
        after = made(batch, StepInfo(0, 1, 1.0)).terms["reconstruction"]
        assert float(before.detach()) == pytest.approx(float(after.detach()), rel=1e-5)


def test_the_jobs_behind_it_follow(encoder, tmp_path):
    from workbench.analysis import AttendConfig, EmbedConfig, run_attend, run_embed
    from workbench.finetune.config import SegmentConfig
    from workbench.finetune.segment import run_segment
    from workbench.predict.segmenter import load_segmenter

    both = {"store": encoder.store, "encoder": encoder.encoder_run}
    embedded = run_embed(EmbedConfig(out=tmp_path / "embed", **both)).read_table("embeddings")
    assert len(embedded) == 6 and np.isfinite(np.stack(embedded["cls"])).all()
    run_attend(AttendConfig(out=tmp_path / "attend", split=encoder.split, **both))
    run = run_segment(
        SegmentConfig(out=tmp_path / "segment", split=encoder.split, steps=2, features=4, accelerator="cpu", **both)
    )
    assert (run.path / "volumes").is_dir()
    segmenter = load_segmenter(run)
    files = {"T1w": _file(encoder, "01", "T1w"), "FLAIR": _file(encoder, "01", "FLAIR")}
    assert segmenter.predict(files).shape == read_volume(files["T1w"]).data.shape
    with pytest.raises(WorkbenchError, match="takes T1w\\+FLAIR"):
        segmenter.predict(files["T1w"])


def test_the_command_line_gives_each_model_its_contrasts(encoder, tmp_path, capsys):
    from workbench import cli
    from workbench.bids_app.main import main
    from workbench.predict import load_encoder
    from workbench.runs import Run

    data, model = encoder.cohort.parent / "data", str(encoder.encoder_run)
    predict = ["predict", model, "--out", str(tmp_path / "out"), "--accelerator", "cpu", "--quiet"]
    assert cli.main([*predict, str(data), "--contrast", "T1w", "FLAIR"]) == 0
    table = Run(tmp_path / "out").read_table("embeddings").set_index("path")
    assert len(table) == 5 and set(table["contrasts"]) == {"T1w+FLAIR"}
    assert Run(tmp_path / "out").read_table("set_aside")["what"].str.contains("sub-05.*no FLAIR").all()
    own = load_encoder(model, device="cpu").embed(
        {"T1w": _file(encoder, "01", "T1w"), "FLAIR": _file(encoder, "01", "FLAIR")}
    )
    np.testing.assert_allclose(table.loc[str(_file(encoder, "01", "T1w")), "cls"], own.cls, rtol=1e-5)
    capsys.readouterr()
    assert cli.main([*predict, str(data), "--contrast", "T1w"]) == 2
    assert "takes T1w+FLAIR" in capsys.readouterr().err
    # the cohort's own scans, and zeros for what one of them lacks
    assert (
        cli.main([*predict[:2], str(encoder.cohort), "--out", str(tmp_path / "all"), "--missing_channel", "zero"]) == 0
    )
    assert sorted(Run(tmp_path / "all").read_table("embeddings")["contrasts"]) == ["T1w"] + ["T1w+FLAIR"] * 5

    app = [str(data), str(tmp_path / "app"), "participant", "--encoder", model, "--accelerator", "cpu"]
    assert main([*app, "--participant-label", "01", "05", "--contrast", "T1w", "FLAIR"]) == 1  # 05 has no FLAIR
    told = next((tmp_path / "app").rglob("sub-01_desc-*_embedding.json")).read_text()
    assert "sub-01_T1w.nii.gz" in told and "sub-01_FLAIR.nii.gz" in told
    assert "no FLAIR" in (tmp_path / "app" / "sub-05.html").read_text()
    assert main([*app, "--contrast", "T1w"]) == 2


def test_an_encoder_refuses_other_channels_and_names_both(encoder, tmp_path):
    from workbench.analysis import EmbedConfig, run_embed

    run_prepare(PrepareConfig(out=tmp_path / "one", cohort=encoder.cohort, spacing=3.0, workers=1, contrasts=("T1w",)))
    assert open_store(tmp_path / "one").read(0).tolist() == open_store(encoder.store).read(0).tolist()
    with pytest.raises(WorkbenchError, match="takes T1w\\+FLAIR, the store has T1w"):
        run_embed(EmbedConfig(out=tmp_path / "embed", store=tmp_path / "one", encoder=encoder.encoder_run))


def _file(study: Study, person: str, suffix: str) -> Path:
    return study.cohort.parent / "data" / f"sub-{person}" / "anat" / f"sub-{person}_{suffix}.nii.gz"
