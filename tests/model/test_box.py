import shutil

import pytest
import torch

from workbench import cli
from workbench.errors import WorkbenchError
from workbench.model import load_encoder
from workbench.model.box import boxed, encoder_folder
from workbench.prepare import PrepareConfig
from workbench.prepare.fingerprint import preparation_fingerprint

MOST_BYTES = 12_000_000
ALLOWED = {"ds002748", "labelmaps"}  # CC0, and made of Apache-2.0 label maps; the terms of the others do not allow it


@pytest.mark.parametrize("name", list(boxed()))
def test_an_encoder_in_the_box_opens_by_its_name_and_fits_what_prepare_makes(name):
    encoder, card = load_encoder(name)
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in encoder.parameters())
    assert sum(f.stat().st_size for f in boxed()[name].iterdir()) < MOST_BYTES
    assert {person.split("/")[0] for person in card.participants} == ALLOWED
    assert card.preparation == preparation_fingerprint(PrepareConfig(out="o", cohort="c", spacing=card.spacing))
    assert card.simulated and card.steps > 0 and len(card.scans) >= len(card.participants)
    random, null = load_encoder(name, init="random")
    assert null.participants == () and not torch.equal(random.embed.weight, encoder.embed.weight)
    with torch.inference_mode():
        tokens = encoder(torch.randn(1, 1, 48, 40, 40))
    assert torch.isfinite(tokens.all_BND).all() and tokens.grid_xyz == (6, 5, 5)


def test_there_is_one():
    assert "volta-tiny" in boxed()


def test_a_folder_goes_before_a_name_and_neither_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(boxed()["volta-tiny"], tmp_path / "volta-tiny")
    assert encoder_folder("volta-tiny").resolve() == tmp_path / "volta-tiny"
    with pytest.raises(WorkbenchError, match=r"nowhere: no encoder of this name(.|\n)*volta-tiny"):
        load_encoder("nowhere")


def test_the_list_names_what_each_wants(capsys):
    assert cli.main(["encoders"]) == 0
    told = capsys.readouterr().out
    assert "volta-tiny: VolTA" in told and "prepared at 2 mm" in told and "README.md" in told
