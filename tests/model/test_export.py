import json

import pytest
import torch

from workbench.errors import WorkbenchError
from workbench.model.config import EncoderConfig
from workbench.model.export import EncoderCard, fresh_encoder, load_encoder, save_encoder

CONFIG = EncoderConfig(preset="micro", image_size=16, patch=8)


@pytest.fixture
def exported(tmp_path):
    card = EncoderCard(CONFIG, "abc", 2.0, ("site/sub-01", "site/sub-02"), ("f1", "f2"), "volta", 10, 3, True)
    encoder = fresh_encoder(CONFIG, 7)
    return save_encoder(tmp_path / "model", encoder.state_dict(), card), encoder, card


def test_round_trip_gives_the_same_encoder_and_card(exported):
    folder, encoder, card = exported
    loaded, facts = load_encoder(folder)
    assert facts == card
    volume = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(loaded(volume).cls_BD, encoder(volume).cls_BD)


def test_random_takes_the_shape_only_and_has_seen_nobody(exported):
    folder, encoder, _ = exported
    fresh, facts = load_encoder(folder, init="random", seed=1)
    again, _ = load_encoder(folder, init="random", seed=1)
    assert facts.participants == () and facts.init == "random" and facts.preparation == "abc"
    assert torch.equal(fresh.embed.weight, again.embed.weight)
    assert not torch.equal(fresh.embed.weight, encoder.embed.weight)


def test_drawing_fresh_weights_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    fresh_encoder(CONFIG, 5)
    assert torch.equal(torch.rand(1), expected)


def test_the_model_card_tells_who_was_seen_and_that_it_was_simulated(exported):
    text = (exported[0] / "README.md").read_text()
    assert "simulated" in text and "2 people" in text and "Not for diagnosis" in text


def test_weights_that_do_not_fit_are_refused(exported):
    folder = exported[0]
    facts = json.loads((folder / "config.json").read_text())
    facts["config"]["patch"] = 4
    (folder / "config.json").write_text(json.dumps(facts))
    with pytest.raises(WorkbenchError, match="do not fit"):
        load_encoder(folder)


def test_a_folder_without_encoder_is_named(tmp_path):
    with pytest.raises(WorkbenchError, match="no exported encoder"):
        load_encoder(tmp_path)
