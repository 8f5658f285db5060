import math

import pytest
import torch

from workbench.model.config import EncoderConfig
from workbench.pretrain.objectives.base import Batch, StepInfo
from workbench.pretrain.objectives.terms import agreement, cross_entropy, koleo, sinkhorn
from workbench.pretrain.objectives.volta import Volta
from workbench.pretrain.objectives.volta_settings import VoltaSettings

ENCODER = EncoderConfig(preset="micro", image_size=16, patch=8, drop_path=0)
TINY = {"prototypes_cls": 32, "prototypes_patch": 24, "head_hidden": 16, "head_bottleneck": 8}
NOW = StepInfo(step=5, steps=10, steps_per_epoch=2.0)


def make(**settings) -> Volta:
    torch.manual_seed(0)
    return Volta(ENCODER, VoltaSettings(**{**TINY, **settings}))


def batch(seed: int = 0, scans: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(2, scans, 1, 16, 16, 16, generator=generator)
    masks = torch.zeros(2, scans, 1, 16, 16, 16, dtype=torch.bool)
    masks[..., :8, :, :] = True  # the first half of the tokens
    corrupted = torch.where(masks, torch.randn(clean.shape, generator=generator), clean)
    return Batch(clean, corrupted, masks)


def test_cls_term_is_the_cross_entropy_against_the_other_view():
    """Written out pair by pair, from the definition in DINO (arXiv 2104.14294, eq. 3)."""
    volta, b = make(weight_patch=0, weight_reconstruction=0, teacher_temperature=(0.05, 0.05)), batch()
    losses = volta(b, NOW)
    with torch.no_grad():
        expected = 0.0
        for v, q in ((0, 1), (1, 0)):
            teacher = volta.teacher.head.cls(volta.teacher.encoder(b.clean[q]).cls_BD)
            student = volta.student.head.cls(volta.student.encoder(b.corrupted[v]).cls_BD)
            for t, s in zip(teacher, student, strict=True):
                expected += -(t / 0.05).softmax(0) @ (s / 0.1).log_softmax(0) / 6
    assert float(losses.total.detach()) == pytest.approx(float(expected), rel=1e-4)


def test_patch_term_uses_the_same_view_and_only_masked_tokens_when_asked():
    volta, b = make(weight_cls=0, weight_reconstruction=0, patch_tokens="masked"), batch()
    losses = volta(b, NOW)
    tau = 0.04 + 0.03 * 5 / 60  # 5 of 30 epochs x 2 steps
    with torch.no_grad():
        t = volta.teacher.head.patches(volta.teacher.encoder(b.clean[1]).patches_BPD)
        s = volta.student.head.patches(volta.student.encoder(b.corrupted[1]).patches_BPD)
        t0 = volta.teacher.head.patches(volta.teacher.encoder(b.clean[0]).patches_BPD)
        s0 = volta.student.head.patches(volta.student.encoder(b.corrupted[0]).patches_BPD)
        each = torch.cat([-((a / tau).softmax(-1) * (c / 0.1).log_softmax(-1)).sum(-1) for a, c in ((t0, s0), (t, s))])
    assert float(losses.total.detach()) == pytest.approx(float(each[:, :4].mean()), rel=1e-4)


@pytest.mark.parametrize("ragged", [False, True], ids=["whole tokens", "voxels"])
@pytest.mark.parametrize("kind", ["l1", "mse"])
def test_reconstruction_counts_masked_voxels_only(kind, ragged):
    volta, b = make(weight_cls=0, weight_patch=0, reconstruction=kind), batch()
    if ragged:
        b.masks[0] = torch.rand(b.masks[0].shape, generator=torch.Generator().manual_seed(1)) < 0.3
    with torch.no_grad():
        head, features = volta.reconstruct, volta.student.encoder(b.corrupted.flatten(0, 1)).patches_BPD
        grid = head.mlp(features).transpose(1, 2).unflatten(2, (2, 2, 2))  # SiT's transposed convolution, everywhere
        made = head.unpatch(grid).view_as(b.clean)
        error = (made - b.clean)[b.masks]
        expected = error.abs().mean() if kind == "l1" else error.square().mean()
    assert float(volta(b, NOW).total.detach()) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("dropped", "left"),
    [("cls", {"patch", "reconstruction"}), ("patch", {"cls", "reconstruction"}), ("reconstruction", {"cls", "patch"})],
)
def test_a_weight_of_zero_drops_the_term(dropped, left):
    losses = make(**{f"weight_{dropped}": 0})(batch(), NOW)
    assert set(losses.terms) == left
    together = sum(float(v.detach()) for v in losses.terms.values())
    assert float(losses.total.detach()) == pytest.approx(together, rel=1e-5)


def test_weights_multiply():
    volta, b = make(weight_cls=2.0, weight_patch=0.5, weight_reconstruction=3.0), batch()
    losses = volta(b, NOW)
    t = {k: float(v.detach()) for k, v in losses.terms.items()}
    expected = 2 * t["cls"] + 0.5 * t["patch"] + 3 * t["reconstruction"]
    assert float(losses.total.detach()) == pytest.approx(expected, rel=1e-5)


def test_gradients_reach_the_student_and_never_the_teacher():
    volta = make()
    volta(batch(), NOW).total.backward()
    assert all(p.grad is None for p in volta.teacher.parameters())
    missing = [n for n, p in volta.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


def test_teacher_starts_as_the_student_and_follows_it():
    volta = make(ema=0.9)
    pairs = list(zip(volta.teacher.parameters(), volta.student.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    before = [a.clone() for a, _ in pairs]
    with torch.no_grad():
        for _, b in pairs:
            b.add_(1.0)
    momentum = volta.after_step(StepInfo(0, 10, 2.0))["ema"]
    assert momentum == pytest.approx(0.9)
    for old, (a, _) in zip(before, pairs, strict=True):
        torch.testing.assert_close(a, old + 0.1, atol=1e-5, rtol=0)
    assert volta.after_step(StepInfo(9, 10, 2.0))["ema"] == pytest.approx(1.0)  # over the whole training, not an epoch


def test_centres_move_once_a_step_by_the_mean_over_accumulated_batches():
    volta = make(centre_momentum=0.5)
    means = []
    for seed in (1, 2):
        b = batch(seed)
        volta(b, NOW)
        with torch.no_grad():
            means.append(volta.teacher.head.cls(volta.teacher.encoder(b.clean.flatten(0, 1)).cls_BD).mean(0))
    assert not volta.centre_cls.any()
    volta.after_step(NOW)
    torch.testing.assert_close(volta.centre_cls, 0.5 * torch.stack(means).mean(0), atol=1e-5, rtol=1e-4)
    frozen = volta.centre_cls.clone()
    volta.after_step(NOW)  # nothing was seen since: nothing moves
    assert torch.equal(volta.centre_cls, frozen)


def test_both_prototype_layers_are_frozen_in_the_first_epoch():
    volta = make(freeze_prototypes_epochs=1)
    for step, frozen in ((0, True), (1, True), (2, False)):
        volta.zero_grad()
        volta(batch(), StepInfo(step, 10, 2.0)).total.backward()
        volta.before_step(StepInfo(step, 10, 2.0))
        for layer in (volta.student.head.prototypes_cls, volta.student.head.prototypes_patch):
            assert (layer.directions.grad is None) == frozen


def testsinkhorn_uses_every_prototype_alike():
    q = sinkhorn(torch.randn(64, 8) * 3, rounds=50)
    torch.testing.assert_close(q.sum(1), torch.ones(64), atol=1e-4, rtol=0)
    torch.testing.assert_close(q.sum(0), torch.full((8,), 8.0), atol=1e-2, rtol=0)


def testsinkhorn_is_a_setting_that_changes_the_loss():
    b = batch()
    with torch.no_grad():
        assert float(make(centring="sinkhorn")(b, NOW).total) != float(make()(b, NOW).total)


def test_entropy_and_kl_at_their_limits():
    k = 16
    uniform, one = torch.full((4, k), 1 / k), torch.eye(k)[:4]
    logits = torch.zeros(4, k)  # a student that says nothing
    said = agreement("cls", cross_entropy(uniform, logits, 0.1), uniform)
    assert float(said["cls_entropy"]) == pytest.approx(1.0)
    assert float(said["cls_kl"]) == pytest.approx(0.0, abs=1e-5)
    said = agreement("cls", cross_entropy(one, logits, 0.1), one)
    assert float(said["cls_entropy"]) == pytest.approx(0.0, abs=1e-6)
    assert float(said["cls_kl"]) == pytest.approx(math.log(k))


def test_cross_entropy_is_the_textbook_one():
    target, logits = torch.rand(5, 7).softmax(-1), torch.randn(5, 7, requires_grad=True)
    ours = cross_entropy(target, logits, 0.3)
    theirs = torch.nn.functional.cross_entropy(logits / 0.3, target, reduction="none")
    torch.testing.assert_close(ours, theirs)
    (a,) = torch.autograd.grad(ours.sum(), logits, retain_graph=True)
    (b,) = torch.autograd.grad(theirs.sum(), logits)
    torch.testing.assert_close(a, b)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(cross_entropy(target, logits, 0.3), theirs)  # never in bfloat16


def test_koleo_pushes_the_nearest_apart():
    rows = torch.nn.functional.normalize(torch.randn(6, 4), dim=-1)
    rows[1] = rows[0] + 1e-3
    rows.requires_grad_()
    before = (rows[0] - rows[1]).norm()
    (gradient,) = torch.autograd.grad(koleo(rows), rows)
    moved = torch.nn.functional.normalize(rows - 1e-5 * gradient, dim=-1)
    assert (moved[0] - moved[1]).norm() > before
    assert make(weight_koleo=0.1)(batch(), NOW).terms["koleo"].requires_grad


def test_local_crops_are_aligned_with_every_global_view():
    """With them, CLS is the mean over the two pairs of views and over each crop with each view."""
    volta, b = make(weight_patch=0, weight_reconstruction=0, teacher_temperature=(0.05, 0.05)), batch()
    local = torch.randn(1, 3, 1, 8, 8, 8)
    both = volta(Batch(b.clean, b.corrupted, b.masks, local=local), NOW)
    with torch.no_grad():
        target = [(volta.teacher(b.clean[q]).cls_BK / 0.05).softmax(-1) for q in range(2)]
        crop = volta.student.head.cls(volta.student.encoder(local[0]).cls_BD)
        extra = sum(float(cross_entropy(t, crop, 0.1).mean()) for t in target)
        plain = float(volta(b, NOW).total)
    assert float(both.total.detach()) == pytest.approx((2 * plain + extra) / 4, rel=1e-4)


def test_gradient_shares_tell_which_term_trains_the_encoder():
    volta, b = make(weight_cls=0.0, weight_patch=1e-6, weight_reconstruction=1.0), batch()
    shares = {k: float(v) for k, v in volta(b, NOW).gradient_shares().items()}
    assert sum(shares.values()) == pytest.approx(1.0) and shares["reconstruction"] > 0.9


def test_no_part_is_made_that_no_term_uses():
    """A parameter without a gradient stops several devices, and is paid for by one."""
    for weights in (
        {"weight_cls": 0},
        {"weight_patch": 0},
        {"weight_reconstruction": 0},
        {"weight_cls": 0, "weight_patch": 0},
    ):
        volta = make(**weights)
        volta(batch(), NOW).total.backward()
        assert [n for n, p in volta.named_parameters() if p.requires_grad and p.grad is None] == []


def test_collapse_to_uniform_is_called_even_when_spread_looks_healthy():
    volta = make()
    healthy = {"cls_entropy": 0.6, "cls_kl": 1.2, "patch_entropy": 0.5, "patch_kl": 0.8, "cls_std": 0.4, "cls_rank": 10}
    assert volta.collapsed(healthy, NOW) is None
    said = volta.collapsed({**healthy, "cls_entropy": 0.99, "cls_kl": 0.05}, NOW)
    assert said and "uniform" in said and "0.990" in said and "prototypes" in said
    said = volta.collapsed({**healthy, "patch_entropy": 0.001, "patch_kl": 0.0}, NOW)
    assert said and said.startswith("patch") and "one prototype" in said
    # a term that is switched off raises no alarm
    assert make(weight_cls=0).collapsed({**healthy, "cls_entropy": 0.99, "cls_kl": 0.05}, NOW) is None


def test_reconstruction_only_exports_the_student():
    volta = make(weight_cls=0, weight_patch=0)
    assert volta.exported is volta.student.encoder
    aligned = make()
    assert aligned.exported is aligned.teacher.encoder


def test_it_learns_one_batch_by_heart():
    """Each term falls when trained on a batch that never changes: the gradients point the right way."""
    torch.manual_seed(0)
    volta, b = make(ema=0.9, freeze_prototypes_epochs=0.0), batch()
    smooth = torch.nn.functional.avg_pool3d(b.clean.flatten(0, 1), 5, 1, 2).view_as(b.clean) * 5
    b = Batch(smooth, torch.where(b.masks, b.corrupted, smooth), b.masks)
    optimiser = torch.optim.AdamW([p for p in volta.parameters() if p.requires_grad], lr=2e-3, weight_decay=0.0)
    history = []
    for step in range(60):
        losses = volta(b, StepInfo(step, 1000, 1000.0))
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        volta.after_step(StepInfo(step, 1000, 1000.0))
        history.append({k: v.item() for k, v in (losses.terms | {"kl": losses.monitors["patch_kl"]}).items()})
    first, last = history[0], history[-1]
    assert last["reconstruction"] < 0.7 * first["reconstruction"]
    assert last["cls"] < first["cls"] and last["patch"] < first["patch"]
