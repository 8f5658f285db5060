"""Another session of the same person as the second view: who gets one, and what of the two is compared."""

import numpy as np
import pytest
import torch

from workbench.cohort import CohortConfig, run_cohort
from workbench.engine.bend import APART
from workbench.errors import ConfigError, WorkbenchError
from workbench.prepare.config import PrepareConfig
from workbench.prepare.prepare import run_prepare
from workbench.prepare.store import Store
from workbench.pretrain.data import MicroBatches, on_device
from workbench.pretrain.objectives.base import StepInfo
from workbench.pretrain.objectives.tokens import inside, places_elsewhere
from workbench.pretrain.sessions import find_sessions, overlap
from workbench.testing import phantom
from workbench.volumes import Volume, write_volume

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """p0 twice on one grid (registered), p1 twice on two grids, p2 once; the second scans are brighter (SIMULATED)."""
    root = tmp_path_factory.mktemp("sessions")
    rows = ["path,participant,session"]
    for person, session, code in (("p0", "a", "RAS"), ("p0", "b", "RAS"), ("p1", "a", "RAS"), ("p1", "b", "PSR"),
                                  ("p2", "a", "RAS")):  # fmt: skip
        scan = phantom(code, noise=3.0, seed=len(rows))
        write_volume(root / f"{person}{session}.nii.gz", Volume(scan.data, scan.affine))
        rows.append(f"{person}{session}.nii.gz,{person},{session}")
    (root / "scans.csv").write_text("\n".join(rows) + "\n")
    run_cohort(CohortConfig(out=root / "cohort", sources=[root / "scans.csv"], workers=1))
    run_prepare(PrepareConfig(out=root / "store", cohort=root / "cohort", spacing=3.0, workers=1))
    return Store(root / "store")


def batches(study, store, tmp_path, setting: str, **changes) -> MicroBatches:
    objective = {"alignment_cls": "pooled", "contrast_hidden": 16, "contrast_width": 8, **changes}
    views = {"other_session": setting, "rotation": 0, "scale": [0.9, 1.0], "flip": 0}
    config = study.pretrain(tmp_path / "never", store=store.path, split=None, views=views, objective=objective)
    return MicroBatches(store, np.arange(len(store), dtype=np.int32), config, size=2)


def test_who_has_another_session_and_the_count_is_said(store):
    scans = np.arange(len(store), dtype=np.int32)
    assert find_sessions(store, scans, "no") is None
    found = find_sessions(store, scans, "cls")
    assert "2 of 3 people have one (4 of 5 scans)" in found.told and not found.shifts
    assert found.second(0, 7, 0) == 1 and found.second(0, 7, 4) == 4 and found.shift(4, 4) == (0, 0, 0)
    assert found.shift(0, 1) == (APART,) * 3
    registered = find_sessions(store, scans, "registered")
    assert set(registered.shifts) == {(0, 1), (1, 0)} and "1 of 2 pairs have the same grid" in registered.told
    assert overlap(store, 0, 1) > 0.9
    for some, setting, words in (([0, 2, 4], "cls", "a second session"), ([2, 3, 4], "registered", "in one space")):
        with pytest.raises(WorkbenchError, match=words):
            find_sessions(store, np.array(some, np.int32), setting)


def test_the_second_view_is_of_the_other_session_and_the_first_is_as_it_was(store, study, tmp_path):
    plain, paired = (batches(study, store, tmp_path, setting) for setting in ("no", "cls"))
    for index in range(4):
        before, now = plain[index], paired[index]
        count = len(before.views.boxes) // 2
        assert all(torch.equal(a, b) for a, b in zip(before.views.boxes[:count], now.views.boxes[:count], strict=True))
        assert before.views.shifts is None and on_device(before, plain.config, CPU).placement.shifts is None
        for place, scan in enumerate(before.scans):
            same = torch.equal(before.views.boxes[count + place], now.views.boxes[count + place])
            assert same == ("_p2_" in scan)
        assert torch.equal(now.views.boxes[-1], paired[index].views.boxes[-1])  # a place has one draw


def test_places_of_registered_sessions_agree_in_the_world_and_others_are_apart(store, study, tmp_path):
    source = batches(study, store, tmp_path, "registered")
    seen = set()
    for index in range(5):
        raw = source[index]
        batch = on_device(raw, source.config, CPU)
        at = places_elsewhere(batch.placement, (2, 2, 2), (8, 8, 8))
        matrices, shifts = batch.placement.matrices, batch.placement.shifts
        for b in range(2):
            apart = bool(shifts[1, b].abs().max() >= APART)
            seen.add(apart)
            if apart:
                assert not inside(at[:, b], (2, 2, 2)).any()
                continue
            # by hand: first token's middle, to the first scan's voxels, and back through the second view
            voxel = torch.full((3,), 3.5)
            there = matrices[0, b, :, :3] @ voxel + matrices[0, b, :, 3] - shifts[1, b]
            back = torch.linalg.solve(matrices[1, b, :, :3], there - matrices[1, b, :, 3])
            torch.testing.assert_close(at[0, b, 0], (back + 0.5) / 8 - 0.5, atol=1e-3, rtol=0)
    assert seen == {True, False}


def test_an_objective_trains_on_pairs_without_a_common_space(store, study, tmp_path):
    source = batches(study, store, tmp_path, "cls")
    objective = source.config.objective.build(source.config.encoder)
    losses = objective(on_device(source[0], source.config, CPU), StepInfo(0, 1, 1.0))
    losses.total.backward()
    gradients = [p.grad for p in objective.parameters() if p.grad is not None]
    assert torch.isfinite(losses.total) and all(torch.isfinite(g).all() for g in gradients)
    assert {"cls", "cross"} <= set(losses.terms)


def test_a_setting_that_would_do_nothing_is_refused(store, study, tmp_path):
    for setting, objective in (
        ("cls", {"alignment_cls": "place"}),
        ("registered", {"alignment_cls": "place", "weight_cross": 0.0}),
        ("cls", {"name": "mae"}),
    ):
        with pytest.raises(ConfigError, match="other_session"):
            study.pretrain(tmp_path / "o", views={"other_session": setting}, objective=objective)
    assert study.pretrain(
        tmp_path / "o", views={"other_session": "registered"}, objective={"alignment_cls": "place"}
    ).objective.compares == {"tokens"}
