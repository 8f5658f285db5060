"""A fine-tuned model applied to one scan gives what its run wrote."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from workbench.errors import ScanError, WorkbenchError
from workbench.finetune import ClassifyConfig, SegmentConfig, run_classify, run_segment
from workbench.predict.classifier import load_classifier
from workbench.predict.segmenter import load_segmenter
from workbench.prepare import open_store


def common(study, **changes):
    return {"store": study.store, "split": study.split, "encoder": study.encoder_run, "accelerator": "cpu", **changes}


@pytest.fixture(scope="module")
def segmented(study, tmp_path_factory):
    out = tmp_path_factory.mktemp("predict") / "segment"
    return run_segment(SegmentConfig(out=out, steps=60, features=8, learning_rate=3e-3, **common(study)))


def test_a_segmentation_is_the_one_that_the_run_wrote(segmented, study):
    segmenter = load_segmenter(segmented, device="cpu")
    paths = open_store(study.store).index.set_index("scan_id")["path"]
    written = segmented.read_table("dice").drop_duplicates("scan_id")
    assert segmenter.codes == {"left_hippocampus": 1, "right_hippocampus": 2} and segmenter.card.simulated
    some = 0
    for row in written.itertuples():
        found = segmenter.predict(paths[row.scan_id])
        expected = nib.load(segmented.path / row.file)
        np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))
        np.testing.assert_allclose(found.affine, expected.affine, atol=1e-4)
        some += int(np.asarray(found.dataobj).sum())
    assert some > 0
    probabilities = segmenter.probabilities(paths[row.scan_id])
    assert set(probabilities) == set(segmenter.codes)
    assert 0 < probabilities["left_hippocampus"].get_fdata().max() <= 1


def test_a_run_of_before_models_were_exported_is_applied_from_its_checkpoint(segmented, study, tmp_path):
    old = shutil.copytree(segmented.path, tmp_path / "old")
    shutil.rmtree(old / "model")
    path = open_store(study.store).index["path"].iloc[0]
    new, before = (load_segmenter(p, device="cpu").predict(path) for p in (segmented, old))
    np.testing.assert_array_equal(np.asarray(new.dataobj), np.asarray(before.dataobj))
    shutil.rmtree(old / "checkpoints")
    (old / "checkpoints").mkdir()
    with pytest.raises(WorkbenchError, match="has no model"):
        load_segmenter(old)


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "linear"},
        {"mode": "knn"},
        {"mode": "full", "epochs": 1},
        {"mode": "linear", "target": "age", "task": "regression"},
        {"mode": "knn", "target": "age", "task": "regression"},
        {"mode": "pca", "components": 3, "encoder": None, "init": "random"},
        {"mode": "brain_volume", "encoder": None, "init": "random"},
        {"mode": "cnn", "epochs": 1, "cnn_features": 8, "encoder": None, "init": "random"},
        {"mode": "untrained_cnn", "cnn_features": 4, "encoder": None, "init": "random"},
    ],
    ids=lambda c: f"{c['mode']}-{c.get('task', 'classes')}",
)
def test_a_prediction_is_the_one_that_the_run_wrote(study, tmp_path, changes):
    run = run_classify(ClassifyConfig.build({"out": tmp_path / "run", **common(study, **changes)}))
    classifier = load_classifier(run, device="cpu")
    paths = open_store(study.store).index.set_index("scan_id")["path"]
    for row in run.read_table("predictions").query("split == 'test'").itertuples():
        found = classifier.predict(paths[row.scan_id])
        if changes.get("task") == "regression":
            assert found.predicted == pytest.approx(row.predicted, abs=1e-3) and not found.probabilities
        else:
            assert found.probabilities["M"] == pytest.approx(row.p_M, abs=1e-4)
            assert found.predicted == row.predicted or abs(row.p_M - 0.5) < 1e-3


def test_a_probe_wants_the_encoder_it_was_fitted_on(study, tmp_path):
    encoder = shutil.copytree(study.encoder_run, tmp_path / "pre")
    run = run_classify(ClassifyConfig.build({"out": tmp_path / "run", **common(study, encoder=encoder)}))
    encoder.rename(tmp_path / "moved")
    with pytest.raises(WorkbenchError, match="not at hand"):
        load_classifier(run)
    load_classifier(run, encoder=tmp_path / "moved")
    weights = tmp_path / "moved" / "model" / "encoder.safetensors"
    from safetensors.torch import load_file, save_file

    save_file({k: v + 1e-3 for k, v in load_file(weights).items()}, weights)
    with pytest.raises(WorkbenchError, match="its weights differ"):
        load_classifier(run, encoder=tmp_path / "moved")


def test_one_kind_is_not_taken_for_another(segmented, study):
    with pytest.raises(WorkbenchError, match="it is a segmenter"):
        load_classifier(segmented)
    with pytest.raises(WorkbenchError, match="it is a pretrained encoder"):
        load_segmenter(study.encoder_run)
    with pytest.raises(WorkbenchError, match="it is a run of 'prepare'"):
        load_segmenter(study.store)
    with pytest.raises(ScanError, match="no such file"):
        load_segmenter(segmented).predict("nowhere.nii.gz")
