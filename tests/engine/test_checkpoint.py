import resource

import pytest
import torch

from workbench.engine.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    restore_optimiser,
    save_checkpoint,
    snapshot,
)
from workbench.errors import WorkbenchError


def trained(steps: int = 3):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(steps):
        model(torch.ones(2, 4)).square().sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    return model, optimiser


def test_round_trip_is_exact_and_training_goes_on_alike(tmp_path):
    model, optimiser = trained()
    save_checkpoint(tmp_path, 3, snapshot(model, optimiser), {"steps": 9})
    torch.manual_seed(5)
    other = torch.nn.Linear(4, 3)
    other_optimiser = torch.optim.AdamW(other.parameters(), lr=0.1)
    facts, state = load_checkpoint(latest_checkpoint(tmp_path))
    other.load_state_dict(state.objective)
    restore_optimiser(other_optimiser, state.optimiser)
    assert facts == {"step": 3, "steps": 9}
    for m, o in ((model, optimiser), (other, other_optimiser)):
        m(torch.ones(2, 4)).square().sum().backward()
        o.step()
    assert torch.equal(model.weight, other.weight) and torch.equal(model.bias, other.bias)


def test_only_the_last_two_are_kept(tmp_path):
    model, optimiser = trained()
    for step in (1, 2, 10, 200):
        save_checkpoint(tmp_path, step, snapshot(model, optimiser), {})
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["step-00000010", "step-00000200"]


def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_so(tmp_path):
    """A file system that really refuses: no file may grow beyond a few kB. safetensors tells it in its own error."""
    model, optimiser = trained()
    save_checkpoint(tmp_path, 1, snapshot(model, optimiser), {})
    large = torch.nn.Linear(200, 200)
    state = snapshot(large, torch.optim.AdamW(large.parameters()))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limit[1]))
    try:
        with pytest.raises(WorkbenchError, match=r"(?s)could not be written.*File too large.*from step-00000001"):
            save_checkpoint(tmp_path, 2, state, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
    assert load_checkpoint(tmp_path / "step-00000001")[0]["step"] == 1


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path):
    (tmp_path / ".partial-99999").mkdir()
    (tmp_path / ".partial-99999" / "objective.safetensors").write_bytes(b"half")
    model, optimiser = trained()
    save_checkpoint(tmp_path, 1, snapshot(model, optimiser), {})
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


def test_a_damaged_checkpoint_is_named(tmp_path):
    model, optimiser = trained()
    path = save_checkpoint(tmp_path, 1, snapshot(model, optimiser), {})
    (path / "optimiser.safetensors").write_bytes(b"not a tensor")
    with pytest.raises(WorkbenchError, match="step-00000001"):
        load_checkpoint(path)


def test_half_written_folders_are_not_checkpoints(tmp_path):
    (tmp_path / ".partial-123").mkdir()
    assert latest_checkpoint(tmp_path) is None
