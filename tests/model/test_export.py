import json

import pytest
import torch
from safetensors.torch import save_file

from workbench.errors import WorkbenchError
from workbench.model.config import EncoderConfig
from workbench.model.export import EncoderCard, fresh_encoder, load_encoder, save_encoder
from workbench.model.foreign.vit import VitShape

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


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.999])
def test_truncated_weights_are_told(exported, share):
    path = exported[0] / "encoder.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WorkbenchError, match="truncated or damaged") as told:
        load_encoder(exported[0])
    assert told.value.cause and "checksums" in told.value.remedy


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_their_name(exported, value):
    folder, encoder, card = exported
    encoder.state_dict()["embed.weight"][0] = value
    save_encoder(folder, encoder.state_dict(), card)
    with pytest.raises(WorkbenchError, match=r"no numbers(.|\n)*embed\.weight"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spacing", {}),
        ("spacing", -1),
        ("spacing", 0),
        ("spacing", 1e999),
        ("spacing", float("nan")),
        ("spacing", "2"),
        ("simulated", None),
        ("simulated", "no"),
        ("simulated", 0),
        ("participants", "everybody"),
        ("participants", [1]),
        ("participants", None),
        ("scans", {}),
        ("preparation", ""),
        ("preparation", None),
        ("steps", -5),
        ("steps", 1.5),
        ("init", "trained"),
        ("config", None),
        ("config", {"preset": "huge"}),
        ("config", {"image_size": 16 * 10**6, "patch": 16}),
        ("config", {"image_size": 2048, "patch": 1024}),
        ("config", {"registers": 10**9}),
        ("evil", 1),
    ],
)
@pytest.mark.parametrize("init", ["pretrained", "random"])
def test_a_card_that_does_not_say_what_it_must_is_refused(exported, field, value, init):
    facts = json.loads((exported[0] / "config.json").read_text())
    (exported[0] / "config.json").write_text(json.dumps({**facts, field: value}))
    with pytest.raises(WorkbenchError) as told:
        load_encoder(exported[0], init=init)
    assert field in told.value.cause or (field == "config" and "its" in told.value.cause)
    if field == "init":
        return  # it has a default, for encoders of versions that did not say it
    del facts[field if field != "evil" else "spacing"]
    (exported[0] / "config.json").write_text(json.dumps(facts))
    with pytest.raises(WorkbenchError):
        load_encoder(exported[0], init=init)


def test_a_folder_without_encoder_is_named(tmp_path):
    with pytest.raises(WorkbenchError, match="no exported encoder"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.bool, torch.complex64, torch.int64])
def test_weights_of_another_kind_are_refused(exported, kind):
    folder, encoder, _ = exported
    save_file({k: v.contiguous().to(kind) for k, v in encoder.state_dict().items()}, folder / "encoder.safetensors")
    with pytest.raises(WorkbenchError, match=r"not read|do not fit") as told:
        load_encoder(folder)
    assert str(kind).removeprefix("torch.") in told.value.cause


def test_random_weights_of_a_card_that_its_file_does_not_fit_take_no_memory(tmp_path):
    """A few bytes of a card would else ask for 50 GB."""
    config = VitShape(format="", title="a ViT", width=24, depth=1, heads=2, hidden=48, image_size=16, patch=8)
    card = EncoderCard(config, "abc", 2.0, (), ("f1",), "x", 10, 3, True)
    folder = save_encoder(tmp_path / "model", fresh_encoder(config, 0).state_dict(), card)
    assert load_encoder(folder, init="random")[1].init == "random"
    facts = json.loads((folder / "config.json").read_text())
    facts["config"] |= {"width": 4096, "depth": 64, "hidden": 16384}
    (folder / "config.json").write_text(json.dumps(facts))
    with pytest.raises(WorkbenchError, match="do not fit"):
        load_encoder(folder, init="random")
