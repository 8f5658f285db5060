import numpy as np
import pytest
import torch

from workbench.engine.checkpoint import latest_checkpoint
from workbench.errors import WorkbenchError
from workbench.finetune.config import SegmentConfig
from workbench.finetune.networks import TokenProbe, build_network, crop_of
from workbench.finetune.nnunet import NnunetIntensities, draw_nnunet
from workbench.finetune.segment import run_segment, supervised
from workbench.finetune.segment_data import Crops
from workbench.finetune.windows import probabilities
from workbench.measures.structures import dice
from workbench.model import load_encoder
from workbench.model.foreign.vit import VitShape
from workbench.prepare import open_store


def config(study, out="unused", **changes):
    return SegmentConfig.build(
        {
            "out": out,
            "store": study.store,
            "split": study.split,
            "encoder": study.encoder_run,
            "steps": 2,
            "features": 8,
            "learning_rate": 3e-3,
            "structure_weight": 30.0,  # finds the phantom's small balls within the few steps of a test
            "accelerator": "cpu",
            **changes,
        }
    )


def from_scratch(study, out, network, crop, **changes):
    return config(study, out, network=network, encoder=None, init="random", crop=crop, **changes)


def weights_of(run):
    from safetensors.torch import load_file

    return load_file(latest_checkpoint(run.path / "checkpoints") / "objective.safetensors")


def test_a_unet_from_scratch_needs_no_encoder_and_learns(study, tmp_path):
    run = run_segment(from_scratch(study, tmp_path / "unet", "unet", 16, steps=80))
    scores = run.read_table("dice")
    assert scores.groupby("structure")["dice"].mean().min() > 0.3
    assert run.provenance["objective"] == "none (no encoder)" and run.provenance["trained"] > 10_000
    assert {"hd95_mm", "surface_dice_1mm", "volume_error_ml", "volume_error_percent", "empty"} <= set(scores.columns)
    there = scores[scores["empty"] == ""]
    assert (there["hd95_mm"] > 0).all() and there["surface_dice_1mm"].between(0, 1).all()
    assert np.allclose(there["volume_ml"] - there["true_volume_ml"], there["volume_error_ml"])
    assert there["true_volume_ml"].between(0.2, 1.2).all()  # balls of 4.5 and 6 mm: 0.38 and 0.90 ml


def test_bf16_learns_what_float32_learns(study, tmp_path, monkeypatch):
    """As on a GPU; this small UNETR happens to have none of the convolutions whose gradients are wrong on a CPU."""
    monkeypatch.setattr("workbench.finetune.segment.check_convolutions", lambda device, precision: None)
    exact, rounded = (
        run_segment(config(study, tmp_path / p, precision=p, steps=12)) for p in ("32-true", "bf16-mixed")
    )
    losses = [run.metrics()["loss"].to_numpy() for run in (exact, rounded)]
    assert np.allclose(*losses, rtol=0.05) and not np.array_equal(*losses)
    assert all(w.dtype == torch.float32 for w in weights_of(rounded).values())
    dice = [run.read_table("dice").groupby("structure")["dice"].mean() for run in (exact, rounded)]
    assert np.allclose(*dice, atol=0.1)


@pytest.mark.parametrize("network", ["unetr", "unet"])
def test_bf16_convolutions_are_refused_on_a_cpu_before_anything_is_written(study, tmp_path, network):
    own = {} if network == "unetr" else {"network": "unet", "encoder": None, "init": "random", "crop": 32}
    with pytest.raises(WorkbenchError, match="not for convolutions on a CPU"):
        run_segment(config(study, tmp_path / "run", precision="bf16-mixed", **own))
    assert not (tmp_path / "run").exists()


def test_swin_unetr_and_the_token_probe_go_the_same_way(study, tmp_path):
    swin = run_segment(
        from_scratch(
            study,
            tmp_path / "swin",
            "swin_unetr",
            [64, 32, 32],
            features=12,
            steps=1,
            batch_size=1,
            overlap=0.0,
            test_sites=["A"],
        )
    )
    probe = run_segment(
        SegmentConfig.build(
            {
                "out": tmp_path / "probe",
                "store": study.store,
                "split": study.split,
                "encoder": study.encoder_run,
                "network": "token_probe",
                "steps": 60,
                "learning_rate": 3e-3,
                "structure_weight": 30.0,
                "accelerator": "cpu",
            }
        )
    )
    columns = list(probe.read_table("dice").columns)
    assert list(swin.read_table("dice").columns) == columns
    losses = probe.metrics()["loss"]
    assert losses.iloc[-10:].mean() < 0.8 * losses.iloc[:5].mean()
    before, after = load_encoder(study.encoder_run)[0].state_dict(), weights_of(probe)
    assert all((after[f"encoder.{k}"] == v).all() for k, v in before.items())
    assert probe.provenance["trained"] == sum(v.numel() for k, v in after.items() if k.startswith("linear"))


def test_the_token_probe_is_linear_in_each_token_and_sees_no_other(study):
    encoder, _ = load_encoder(study.encoder_run)
    probe = TokenProbe(encoder, 3).eval()
    tokens = torch.randn(1, encoder.config.width, 2, 2, 2)
    with torch.no_grad():
        out, zero = probe.linear(tokens), probe.linear(0 * tokens)
        other = tokens.clone()
        other[:, :, 0, 1, 1] *= 2
        moved = (probe.linear(other) - out).abs().sum(dim=(0, 1)) > 1e-7
        torch.testing.assert_close(probe.linear(2 * tokens) - zero, 2 * (out - zero))
    assert moved[:8, 8:, 8:].all() and int(moved.sum()) == 8**3


def test_without_input_skip_there_is_no_path_from_the_voxels(study):
    encoder, _ = load_encoder(study.encoder_run)
    names = {
        skip: [n for n, _ in build_network(config(study, input_skip=skip), encoder, (16, 16, 16)).named_parameters()]
        for skip in (True, False)
    }
    assert any(n.startswith("skip0") for n in names[True]) and not any(n.startswith("skip0") for n in names[False])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "unet"}, "nothing pretrained"),
        ({"network": "unet", "init": "random", "layer_decay": 0.5}, "layer_decay: not read by network unet"),
        ({"network": "swin_unetr", "init": "random", "features": 16}, "multiple of 12"),
        ({"network": "token_probe"}, "features: not read"),
        ({"network": "unet", "init": "random", "encoder": None}, "crop: needed"),
        ({"encoder": None}, "encoder: needed"),
        ({"freeze": True, "freeze_steps": 3}, "neither freeze_steps"),
        ({"validation_scans": 3}, "only with validate_every"),
        ({"network": "primus", "deep_supervision": True}, "deep_supervision: not read by network primus"),
        ({"network": "resenc_unet", "init": "random", "crop": 16, "freeze": True}, "freeze: not read"),
        ({"augmentation": "nnunet", "zoom": 0.2}, "zoom: augmentation nnunet has its own"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(study, changes, said):
    with pytest.raises(WorkbenchError, match=said):
        config(study, **changes)


def test_the_crop_is_the_encoders_unless_it_is_set_and_must_suit(study):
    encoder, _ = load_encoder(study.encoder_run)
    assert crop_of(config(study), encoder) == (16, 16, 16)
    assert crop_of(config(study, crop=[8, 16, 24]), encoder) == (8, 16, 24)
    for network, crop, extra in (
        ("unetr", 12, {}),
        ("swin_unetr", 48, {"features": 12}),
        ("swin_unetr", 32, {"features": 12}),
        ("unet", 15, {}),
    ):
        changed = config(study, network=network, crop=crop, init="random", **extra)
        with pytest.raises(WorkbenchError, match="crop"):
            build_network(changed, encoder, crop_of(changed, encoder))


@pytest.mark.parametrize("network", ["unetr", "primus", "unet", "resenc_unet", "token_probe"])
def test_every_network_starts_near_background(study, network):
    """Or one arm would need its first steps to get there, and another not."""
    extra = {"network": network} | ({"init": "random", "crop": 16} if "unet" in network and network != "unetr" else {})
    c = SegmentConfig.build(
        {"out": "unused", "store": study.store, "split": study.split, "encoder": study.encoder_run, **extra}
    )
    model = build_network(c, load_encoder(study.encoder_run)[0], (16, 16, 16)).eval()
    with torch.no_grad():
        p = model(torch.randn(2, 1, 16, 16, 16)).softmax(1).mean(dim=(0, 2, 3, 4))
    assert 0.01 < float(p[1]) < 0.15 and 0.01 < float(p[2]) < 0.15


@pytest.mark.parametrize(("network", "coarser"), [("unetr", 2), ("resenc_unet", 1), ("primus", 0)])
def test_deep_supervision_answers_at_coarser_levels_in_training_alone_and_all_of_a_network_is_trained(
    study, network, coarser
):
    encoder = load_encoder(study.encoder_run)[0] if network != "resenc_unet" else None
    extra = {"init": "random"} if encoder is None else {}
    c = config(study, network=network, features=4, crop=16, deep_supervision=coarser > 0, **extra)
    model, volume = build_network(c, encoder, (16, 16, 16)), torch.randn(1, 1, 16, 16, 16)
    answers = model.train()(volume)
    answers = answers if isinstance(answers, list) else [answers]
    assert [tuple(one.shape[1:]) for one in answers] == [(3, *(16 // 2**n,) * 3) for n in range(coarser + 1)]
    label = torch.zeros(1, 1, 16, 16, 16, dtype=torch.long)
    label[..., 4:8] = 2
    supervised(lambda logits, truth: torch.nn.functional.cross_entropy(logits, truth[:, 0]), answers, label).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    with torch.no_grad():
        assert model.eval()(volume).shape == (1, 3, 16, 16, 16)


def test_the_loss_of_several_answers_is_their_mean_by_halving_weights():
    label = torch.arange(8**3).reshape(1, 1, 8, 8, 8)
    answers = [torch.full((1, 1, n, n, n), float(n)) for n in (8, 4, 2)]
    seen = []

    def loss_at(logits, truth):
        seen.append(truth)
        return logits.mean()

    assert float(supervised(loss_at, answers, label)) == pytest.approx((8 * 4 + 4 * 2 + 2) / 7)
    assert (seen[1] == label[..., ::2, ::2, ::2]).all() and seen[2].shape == (1, 1, 2, 2, 2)
    assert float(supervised(loss_at, answers[0], label)) == 8


@pytest.mark.parametrize(("network", "rate"), [("primus", 1e-2), ("resenc_unet", 5e-3)])
def test_a_new_network_learns_one_phantom(study, network, rate):
    """Primus has no path from the voxels: every border inside a patch comes out of one token."""
    small = VitShape(format="", title="a small ViT", width=24, depth=1, heads=2, hidden=48, image_size=16, patch=8)
    torch.manual_seed(0)
    encoder, extra = (small.build(), {}) if network == "primus" else (None, {"init": "random"})
    c = config(study, network=network, features=8, crop=16, structures=["left_hippocampus"], **extra)
    model = build_network(c, encoder, (16, 16, 16)).train()
    label = torch.zeros(1, 1, 16, 16, 16, dtype=torch.long)
    label[..., 4:10, 3:9, 5:11] = 1
    volume = label + 0.1 * torch.randn(label.shape, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(model(volume), label[:, 0], weight=torch.tensor([1.0, 5.0]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = model.eval()(volume).argmax(1)
    assert dice((found == 1).numpy(), (label[:, 0] == 1).numpy()) > 0.8


def test_new_weights_depend_on_the_seed_alone(study):
    def first(seed):
        torch.rand(seed + 1)
        model = build_network(config(study, network="unet", init="random", crop=16, seed=seed), None, (16, 16, 16))
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert (first(3) == first(3)).all() and not (first(3) == first(4)).all()


def test_a_scan_larger_than_the_crop_is_covered_by_overlapping_windows(study):
    """A network that says where in its window it is: overlap changes the answer, and no voxel goes without one."""

    class Where(torch.nn.Module):
        def forward(self, x):
            ramp = torch.linspace(0, 4, x.shape[2]).view(1, 1, -1, 1, 1).expand(len(x), 1, *x.shape[2:])
            return torch.cat([torch.zeros_like(ramp), ramp], dim=1)

    store = open_store(study.store)
    scan = store.scan_ids[0]
    voxels = store.read_channels(scan)
    none, half = (probabilities(Where(), voxels, crop=(8, 8, 8), overlap=o, device="cpu") for o in (0.0, 0.5))
    assert none.shape == half.shape == (2, *store.shape(scan)) and np.allclose(half.sum(0), 1, atol=1e-5)
    assert np.abs(none - half).max() > 0.1


def test_nnunets_augmentation_has_its_odds_and_is_drawn_from_the_seed_alone(study):
    store = open_store(study.store)
    one, two = (Crops(store, store.scan_ids, config(study, augmentation="nnunet"), (16, 16, 16)) for _ in range(2))
    two.batch(1)  # what was drawn before does not matter
    (image, label), (again, label_again) = one.batch(3), two.batch(3)
    assert (image == again).all() and (label == label_again).all() and image.dtype == torch.float32
    draws = [draw_nnunet(np.random.default_rng(n)) for n in range(1000)]
    zooms, turns = np.array([zoom for zoom, _ in draws]), np.array([turn for _, turn in draws])
    assert 0.15 < (zooms != 1).mean() < 0.25 and 0.15 < turns.any(axis=1).mean() < 0.25
    assert zooms.min() > 0.7 and zooms.max() < 1.4 and 20 < np.abs(turns).max() <= 30
    change, volume = NnunetIntensities(), torch.randn(1, 12, 12, 12)
    changed = [change(volume, seed) for seed in range(60)]
    assert all(c.shape == volume.shape and torch.isfinite(c).all() for c in changed)
    still = np.mean([torch.equal(c, volume) for c in changed])
    assert 0.05 < still < 0.45  # by the odds 0.21
    assert (change(torch.zeros(1, 4, 4, 4), 1) == 0).all()


@pytest.mark.parametrize("setting", ["rotation", "zoom", "intensity"])
def test_each_augmentation_can_be_turned_off_and_does_something(study, setting):
    store = open_store(study.store)
    still = {"rotation": 0.0, "zoom": 0.0, "intensity": 0.0}
    on = {"rotation": 40.0, "zoom": 0.3, "intensity": 2.0}
    (image, label), (moved, moved_label), again = (
        Crops(store, store.scan_ids, config(study, foreground=1.0, **{**still, **change}), (16, 16, 16)).batch(3)
        for change in ({}, {setting: on[setting]}, {})
    )
    assert (again[0] == image).all() and not torch.allclose(image, moved)
    assert (label == moved_label).all() == (setting == "intensity")
    view = Crops(store, store.scan_ids, config(study, **still), (16, 16, 16))._draw(
        np.random.default_rng(0), store.scan_ids[0]
    )
    assert (view.matrix[:, :3] == np.eye(3)).all() and view.gamma == view.noise == 0 and not view.bias.any()
    assert float(image.max()) <= max(float(store.read(s).max()) for s in store.scan_ids) + 1e-4
