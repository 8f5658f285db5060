"""VolTA-3D: CLS alignment, patch-token alignment and group-masked reconstruction (arXiv 2605.16775, method).

Shape suffixes as in ``workbench.model.vit``; V = 2 views, K prototypes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.engine.schedules import cosine, linear
from workbench.model.config import EncoderConfig
from workbench.model.heads import ProjectionHead, ReconstructionHead
from workbench.model.vit import Encoder, Tokens
from workbench.pretrain.config import VoltaSettings
from workbench.pretrain.masking import to_tokens
from workbench.pretrain.objective import Batch, Losses, Moment, Objective


class Branch(nn.Module):
    """Encoder and projection head; the student and the teacher have this same shape."""

    def __init__(self, encoder: EncoderConfig, settings: VoltaSettings) -> None:
        super().__init__()
        self.encoder = Encoder(encoder)
        self.head = ProjectionHead(encoder.width, settings.head_hidden, settings.head_bottleneck,
                                   settings.prototypes_cls, settings.prototypes_patch)


class Volta(Objective):
    """Student, EMA teacher, centres and the three terms."""

    centre_cls: Tensor
    centre_patch: Tensor

    def __init__(self, encoder: EncoderConfig, settings: VoltaSettings) -> None:
        super().__init__()
        self.settings, self.patch_xyz = settings, encoder.patch_xyz
        self.student = Branch(encoder, settings)
        self.teacher = Branch(encoder, settings).requires_grad_(False)
        self.teacher.load_state_dict(self.student.state_dict())
        self.reconstruct = ReconstructionHead(encoder.width, encoder.patch_xyz)
        self.register_buffer("centre_cls", torch.zeros(settings.prototypes_cls))
        self.register_buffer("centre_patch", torch.zeros(settings.prototypes_patch))
        self._sums: dict[str, list[Tensor]] = {}  # batch means of the teacher's logits since the last step

    def forward(self, batch: Batch, now: Moment) -> Losses:
        s = self.settings
        views, scans = batch.clean.shape[:2]
        tau = linear(now.step, round(s.teacher_temperature_epochs * now.steps_per_epoch), *s.teacher_temperature)
        corrupted, masks = batch.corrupted.flatten(0, 1), batch.masks.flatten(0, 1)  # (V·B, 1, X, Y, Z)
        tokens = self.student.encoder(corrupted)
        needs_teacher = s.weight_cls > 0 or s.weight_patch > 0
        teacher = self._teacher(batch.clean.flatten(0, 1)) if needs_teacher else None

        terms: dict[str, Tensor] = {}
        monitors = {f"cls_{k}": v for k, v in _spread(tokens.cls_BD.detach()).items()}
        if s.weight_cls > 0 and teacher is not None:
            logits = self.student.head.cls(tokens.cls_BD).float().view(views, scans, -1)
            target = self._targets(self.teacher.head.cls(teacher.cls_BD), "cls", tau).view(views, scans, -1)
            log_p = F.log_softmax(logits / s.student_temperature, dim=-1)
            pairs = [(v, q) for v in range(views) for q in range(views) if v != q]
            terms["cls"] = torch.stack([-(target[q] * log_p[v]).sum(-1).mean() for v, q in pairs]).mean()
            monitors |= {f"cls_{k}": v for k, v in _agreement(target.flip(0), log_p).items()}
        if s.weight_patch > 0 and teacher is not None:
            log_p = F.log_softmax(self.student.head.patches(tokens.patches_BPD).float() / s.student_temperature, dim=-1)
            target = self._targets(self.teacher.head.patches(teacher.patches_BPD), "patch", tau)
            per_token = -(target * log_p).sum(-1)  # (V·B, P)
            chosen = to_tokens(masks, self.patch_xyz) if s.patch_tokens == "masked" else torch.ones_like(per_token)
            terms["patch"] = (per_token * chosen).sum() / chosen.sum().clamp_min(1)
            monitors |= {f"patch_{k}": v for k, v in _agreement(target, log_p).items()}
        if s.weight_reconstruction > 0:
            terms["reconstruction"] = self._reconstruction(tokens, batch.clean.flatten(0, 1), masks)
        weights = {"cls": s.weight_cls, "patch": s.weight_patch, "reconstruction": s.weight_reconstruction}
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return Losses(total, terms, monitors)

    @torch.no_grad()
    def _teacher(self, clean: Tensor) -> Tokens:
        self.teacher.eval()  # no drop path in the teacher, whatever the student does
        return self.teacher.encoder(clean)

    @torch.no_grad()
    def _targets(self, logits: Tensor, kind: str, tau: float) -> Tensor:
        """Teacher's probabilities: centred and sharpened, or balanced by Sinkhorn-Knopp; never differentiated."""
        logits = logits.float()
        flat = logits.flatten(0, -2)  # (M, K)
        self._sums.setdefault(kind, []).append(flat.mean(dim=0))
        if self.settings.centring == "sinkhorn":
            return _sinkhorn(flat / tau).view_as(logits)
        centre = self.centre_cls if kind == "cls" else self.centre_patch
        return F.softmax((logits - centre) / tau, dim=-1)

    def _reconstruction(self, tokens: Tokens, clean: Tensor, masks: Tensor) -> Tensor:
        error = self.reconstruct(tokens.patch_map()).float() - clean
        error = error.abs() if self.settings.reconstruction == "l1" else error.square()
        return (error * masks).sum() / masks.sum().clamp_min(1)

    def before_step(self, now: Moment) -> None:
        """Both prototype layers stay as drawn for the first epochs (DINO freezes its one)."""
        if now.step < round(self.settings.freeze_prototypes_epochs * now.steps_per_epoch):
            for layer in (self.student.head.prototypes_cls, self.student.head.prototypes_patch):
                layer.directions.grad = None

    @torch.no_grad()
    def after_step(self, now: Moment) -> dict[str, float]:
        """Teacher and centres move once per optimiser step, whatever the accumulation."""
        momentum = cosine(now.step, now.steps, self.settings.ema, 1.0)
        for mine, theirs in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            mine.lerp_(theirs, 1 - momentum)
        for kind, centre in (("cls", self.centre_cls), ("patch", self.centre_patch)):
            if kind in self._sums:
                centre.lerp_(torch.stack(self._sums[kind]).mean(dim=0), 1 - self.settings.centre_momentum)
        self._sums.clear()
        return {"ema": momentum}

    def collapsed(self, monitors: dict[str, float], now: Moment) -> str | None:
        """Uniform collapse: the teacher says nothing (entropy near ln K) and the student has learnt to say it (KL
        near 0); standard deviation and rank of CLS look healthy meanwhile. Point collapse: entropy near 0."""
        for kind, weight in (("cls", self.settings.weight_cls), ("patch", self.settings.weight_patch)):
            entropy, kl = monitors.get(f"{kind}_entropy"), monitors.get(f"{kind}_kl")
            if not weight or entropy is None or kl is None:
                continue
            evidence = f"{kind}: teacher entropy {entropy:.3f} of ln K, student-teacher KL {kl:.3f}"
            if entropy > 0.97 and kl < 0.1:
                return (f"{evidence}: collapse to uniform. Try fewer prototypes, a larger or accumulated batch, a "
                        f"lower fixed teacher temperature, or slower centring")
            if entropy < 0.01 and kl < 0.1:
                return f"{evidence}: collapse to one prototype. Try a higher teacher temperature or faster centring"
        return None

    @property
    def exported(self) -> Encoder:
        """The teacher, as in DINO; the student where no term has a teacher."""
        aligned = self.settings.weight_cls > 0 or self.settings.weight_patch > 0
        return self.teacher.encoder if aligned else self.student.encoder


@torch.no_grad()
def _sinkhorn(scores: Tensor, rounds: int = 3) -> Tensor:
    """Rows sum to 1 and every prototype is used alike over the batch (SwAV, DINOv2). ``(M, K)`` → ``(M, K)``."""
    q = torch.exp(scores - scores.max())
    for _ in range(rounds):
        q = q / q.sum(dim=0, keepdim=True).clamp_min(1e-12)  # prototypes
        q = q / q.sum(dim=1, keepdim=True).clamp_min(1e-12)  # samples
    return q


@torch.no_grad()
def _agreement(target: Tensor, log_p: Tensor) -> dict[str, Tensor]:
    """Entropy of the teacher as a share of ln K, and KL(teacher ‖ student) in nats; ``(…, K)``."""
    entropy = -(target * target.clamp_min(1e-12).log()).sum(-1).mean()
    cross = -(target * log_p).sum(-1).mean()
    return {"entropy": entropy / math.log(target.shape[-1]), "kl": cross - entropy}


@torch.no_grad()
def _spread(cls_BD: Tensor) -> dict[str, Tensor]:
    """Standard deviation over the batch (mean over channels) and effective rank (exp of the spectrum's entropy)."""
    centred = cls_BD.float() - cls_BD.float().mean(dim=0)
    if not torch.isfinite(centred).all():  # the loss will say so, with the scans; an SVD would only fail
        nan = centred.new_tensor(math.nan)
        return {"std": nan, "rank": nan}
    spectrum = torch.linalg.svdvals(centred)
    share = spectrum / spectrum.sum().clamp_min(1e-12)
    rank = torch.exp(-(share * share.clamp_min(1e-12).log()).sum())
    return {"std": centred.std(dim=0).mean(), "rank": rank}
