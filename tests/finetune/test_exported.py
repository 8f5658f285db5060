"""What a fine-tuning leaves behind: a model that says whom it has learnt from and is refused when it is damaged."""

import json

import pytest

from workbench.errors import WorkbenchError
from workbench.finetune import ClassifyConfig, SegmentConfig, run_classify, run_segment
from workbench.finetune.export import ClassifierCard, SegmenterCard, read_model
from workbench.model import load_encoder
from workbench.prepare import open_store


@pytest.fixture(scope="module")
def segmented(study, tmp_path_factory):
    common = {"store": study.store, "split": study.split, "encoder": study.encoder_run, "accelerator": "cpu"}
    return run_segment(SegmentConfig(out=tmp_path_factory.mktemp("model") / "segment", steps=1, features=4, **common))


def test_a_segment_run_leaves_weights_a_card_and_no_pickle(segmented, study):
    folder = segmented.path / "model"
    assert {p.name for p in folder.iterdir()} == {"segmenter.safetensors", "config.json", "README.md"}
    card, weights = read_model(folder)
    assert isinstance(card, SegmenterCard) and card.structures == ("left_hippocampus", "right_hippocampus")
    sides, seen = segmented.provenance["participants"], load_encoder(study.encoder_run)[1].participants
    assert set(card.participants) == {*sides["train"], *seen} and not set(card.participants) & set(sides["test"])
    store = open_store(study.store)
    assert card.preparation == store.fingerprint and card.prepare["spacing"] == 3.0 and card.simulated
    assert card.crop == (16, 16, 16) and sum(w.numel() for w in weights.values()) > 1000
    text = (folder / "README.md").read_text()
    assert "Not for diagnosis" in text and "simulated" in text and f"{len(card.participants)} people" in text


@pytest.mark.parametrize("mode", ["linear", "knn", "brain_volume", "structure_volume"])
def test_a_classify_run_leaves_what_a_scan_alone_can_be_given_to(study, tmp_path, mode):
    encoder = {} if "volume" in mode else {"encoder": study.encoder_run}
    run = run_classify(
        ClassifyConfig.build(
            {
                "out": tmp_path / mode,
                "store": study.store,
                "split": study.split,
                "mode": mode,
                "init": "pretrained" if encoder else "random",
                "accelerator": "cpu",
                **encoder,
            }
        )
    )
    if mode == "structure_volume":  # it needs labels of the scan
        assert not (run.path / "model").exists()
        return
    card, _ = read_model(run.path / "model")
    assert isinstance(card, ClassifierCard) and card.classes == ("F", "M") and card.mode == mode
    assert (card.encoder is None) == (mode == "brain_volume")


def test_damage_is_named(segmented, tmp_path):
    folder = tmp_path / "model"
    with pytest.raises(WorkbenchError, match="no fine-tuned model"):
        read_model(folder)
    folder.mkdir()
    for file in (segmented.path / "model").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    card = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**card, "crop": "large"}))
    with pytest.raises(WorkbenchError, match=r"config\.json"):
        read_model(folder)
    (folder / "config.json").write_text(json.dumps(card))
    (folder / "segmenter.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(WorkbenchError, match="weights cannot be read"):
        read_model(folder)
