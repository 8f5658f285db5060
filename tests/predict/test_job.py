"""The job `predict`: each kind of model, scans of one name, scans that cannot be used, and what it says of memory."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from workbench import cli
from workbench.errors import ConfigError
from workbench.finetune import ClassifyConfig, SegmentConfig, run_classify, run_segment
from workbench.predict import PredictConfig, load_encoder, run_predict
from workbench.predict.given import list_scans
from workbench.predict.job import named, safe
from workbench.prepare import open_store


@pytest.fixture(scope="module")
def models(study, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    common = {"store": study.store, "split": study.split, "encoder": study.encoder_run, "accelerator": "cpu"}
    run_segment(SegmentConfig(out=root / "segment", steps=2, features=4, **common))
    run_classify(ClassifyConfig(out=root / "classify", **common))
    return root


@pytest.fixture
def scans(study, tmp_path):
    """Two people's scans under one name, as many labs keep them, and one that was cut short."""
    paths = open_store(study.store).index.drop_duplicates("participant")["path"].tolist()
    for person, path in zip(("P1", "P2"), paths, strict=False):
        (tmp_path / person).mkdir()
        shutil.copy(path, tmp_path / person / "t1.nii.gz")
    (tmp_path / "P3").mkdir()
    (tmp_path / "P3" / "t1.nii.gz").write_bytes((tmp_path / "P1" / "t1.nii.gz").read_bytes()[:500])
    return [str(tmp_path / person / "t1.nii.gz") for person in ("P1", "P2", "P3")]


def test_a_segmentation_lies_in_each_scans_own_space(models, scans, tmp_path):
    assert (
        cli.main(["predict", str(models / "segment"), *scans, "--out", str(tmp_path / "out"), "--probabilities"]) == 0
    )
    from workbench.runs import Run

    run = Run(tmp_path / "out")
    table = run.read_table("volumes").set_index(["scan_id", "structure"])
    assert {scan for scan, _ in table.index} == {"P1_t1", "P2_t1"} and run.simulated
    for person in ("P1", "P2"):
        source, made = (
            nib.load(tmp_path / person / "t1.nii.gz"),
            nib.load(run.path / f"volumes/{person}_t1_dseg.nii.gz"),
        )
        assert made.shape == source.shape
        np.testing.assert_allclose(made.affine, source.affine, atol=1e-4)
        ml = (np.asarray(made.dataobj) == 1).sum() * abs(np.linalg.det(made.affine[:3, :3])) / 1000
        assert table.loc[(f"{person}_t1", "left_hippocampus"), "volume_ml"] == pytest.approx(ml)
        assert (run.path / f"volumes/{person}_t1_desc-left_hippocampus_probseg.nii.gz").is_file()
    aside = run.read_table("set_aside")
    assert aside["scan_id"].tolist() == ["P3_t1"] and aside["remedy"].iloc[0]


def test_labels_and_whether_the_model_has_learnt_from_the_very_file(models, study, tmp_path):
    index = open_store(study.store).index
    run = run_predict(PredictConfig(out=tmp_path / "out", model=str(models / "classify"), scans=tuple(index["path"])))
    table = run.read_table("predictions").set_index("path")
    import pandas as pd

    sides = pd.read_parquet(models / "classify" / "results" / "predictions.parquet").set_index("scan_id")["split"]
    split = dict(zip(index["path"], index["scan_id"].map(sides), strict=True))
    assert len(table) == len(index)
    assert all(row.learnt_from == (split[path] == "train") for path, row in table.iterrows())
    assert table["predicted"].isin(["F", "M"]).all() and np.allclose(table["p_F"] + table["p_M"], 1)


def test_embeddings_and_maps(study, scans, tmp_path):
    config = PredictConfig(out=tmp_path / "out", model=str(study.encoder_run), scans=tuple(scans[:2]), query="cls")
    run = run_predict(config)
    table = run.read_table("embeddings").set_index("scan_id")
    expected = load_encoder(study.encoder_run, device="cpu").embed(scans[0]).cls
    np.testing.assert_allclose(table.loc["P1_t1", "cls"], expected, rtol=1e-5)
    assert (run.path / run.read_table("maps")["file"].iloc[0]).is_file()
    assert run_predict(config).status["updated"] == run.status["updated"]  # done: nothing is done again


def test_settings_that_do_nothing_are_refused(models, study, scans, tmp_path):
    for model, changes in ((models / "segment", {"query": "cls"}), (study.encoder_run, {"probabilities": True})):
        with pytest.raises(ConfigError, match="only for"):
            run_predict(PredictConfig(out=tmp_path / "x", model=str(model), scans=tuple(scans), **changes))
    with pytest.raises(ConfigError, match="no such file"):
        run_predict(PredictConfig(out=tmp_path / "x", model=str(study.encoder_run), scans=(tmp_path / "no.nii.gz",)))
    with pytest.raises(ConfigError, match="masks: 1 for 2"):
        PredictConfig.build({"out": "o", "model": "m", "scans": scans[:2], "masks": scans[:1]})
    assert not (tmp_path / "x").exists()


def test_names_tell_scans_apart_and_stay_in_their_folder(tmp_path):
    paths = [tmp_path / "a" / "x" / "t1.nii.gz", tmp_path / "b" / "x" / "t1.nii.gz", tmp_path / "a" / "x" / "t2.nii"]
    paths = [{"T1w": path} for path in paths]
    assert list(named(paths)) == ["a_x_t1", "b_x_t1", "a_x_t2"]
    assert list(named(paths[1:])) == ["t1", "t2"]
    with pytest.raises(ConfigError, match="given twice"):
        named([paths[0], paths[0]])
    assert safe("../é/x y") == "_.__x_y" or "/" not in safe("../é/x y")


def test_a_folder_means_the_files_in_it(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.nii.gz", "a.nii", "notes.txt", "deep/c.nii.gz"):
        (tmp_path / name).touch()
    assert [p["T1w"].name for p in list_scans((tmp_path,), ("T1w",))] == ["a.nii", "b.nii.gz"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no NIfTI"):
        list_scans((tmp_path / "empty",), ("T1w",))


def test_words_of_the_command_line_are_the_model_and_the_scans():
    for argv in (["M", "a.nii", "b.nii", "--out", "o"], ["--out", "o", "--model", "M", "--scans", "a.nii", "b.nii"]):
        config = cli.config_from("predict", argv).config
        assert config.model == "M" and [p.name for p in config.scans] == ["a.nii", "b.nii"]
