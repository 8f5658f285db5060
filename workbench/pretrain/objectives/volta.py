"""VolTA-3D: CLS alignment, patch-token alignment and group-masked reconstruction (arXiv 2605.16775, method).

Its ablations are weights: CLS alone is DINO, CLS and patch is iBOT, reconstruction alone is SiT/GMML.
Shape suffixes as in ``workbench.model.vit``; V = 2 views, K prototypes, M tokens that a term looks at.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from workbench.engine import ranks
from workbench.engine.schedules import cosine, linear
from workbench.model.config import EncoderConfig
from workbench.model.flops import encoder_flops, mlp_flops
from workbench.model.heads import ProjectionHead, ReconstructionHead
from workbench.model.vit import Encoder, Tokens, by_patch
from workbench.pretrain.masking import to_tokens, touched_tokens
from workbench.pretrain.objectives.base import VIEWS, Batch, Losses, Moment, Objective
from workbench.pretrain.objectives.settings import ObjectiveSettings
from workbench.pretrain.objectives.terms import agreement, cross_entropy, koleo, sinkhorn, soften, spread


class VoltaSettings(ObjectiveSettings):
    """The VolTA objective. A weight of 0 drops its term: CLS only is DINO, CLS + patch is iBOT."""

    name: Literal["volta"] = "volta"
    """Which objective."""
    weight_cls: float = Field(1.0, ge=0)
    """Weight of the global alignment: student CLS of one view against teacher CLS of the other."""
    weight_patch: float = Field(1.0, ge=0)
    """Weight of the patch-token alignment, same view."""
    weight_reconstruction: float = Field(1.0, ge=0)
    """Weight of the reconstruction of masked voxels, student only."""
    weight_koleo: float = Field(0.0, ge=0)
    """Weight of KoLeo, which spreads the student's CLS over the sphere (DINOv2, arXiv 2304.07193, section 4)."""
    patch_tokens: Literal["all", "masked"] = "all"
    """Tokens in the patch term: all (MC-SSL) or masked only (iBOT)."""
    reconstruction: Literal["l1", "mse"] = "l1"
    """Voxel loss of the reconstruction."""
    prototypes_cls: int = Field(8192, ge=2)
    """Outputs of the CLS head; fewer (64 to 1024) are steadier at small batches."""
    prototypes_patch: int = Field(8192, ge=2)
    """Outputs of the patch head."""
    head_hidden: int = Field(2048, ge=8)
    """Hidden width of the projection MLP."""
    head_bottleneck: int = Field(256, ge=4)
    """Width before the prototypes."""
    student_temperature: float = Field(0.1, gt=0)
    """Softmax temperature of the student."""
    teacher_temperature: tuple[float, float] = (0.04, 0.07)
    """Softmax temperature of the teacher, at the start and after its warm-up."""
    teacher_temperature_epochs: float = Field(30.0, ge=0)
    """Epochs over which the teacher's temperature rises."""
    centring: Literal["mean", "sinkhorn"] = "mean"
    """How the teacher is kept from collapse: a running mean, or Sinkhorn-Knopp over the batch (large batches)."""
    centre_momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of the running centres; CLS and patches have one each."""
    ema: float = Field(0.9995, ge=0, le=1)
    """Start of the teacher's momentum, rising to 1 by a cosine; 0.996 at batches of 256 and more."""
    freeze_prototypes_epochs: float = Field(1.0, ge=0)
    """Epochs in which both prototype layers stay as they were drawn."""

    @model_validator(mode="after")
    def _check_weights(self) -> VoltaSettings:
        if self.weight_cls + self.weight_patch + self.weight_reconstruction == 0:
            raise ValueError("at least one of the weights of CLS, patch and reconstruction must be above 0")
        return self

    @property
    def aligned(self) -> bool:
        """Whether a term needs the teacher."""
        return self.weight_cls > 0 or self.weight_patch > 0

    def build(self, encoder: EncoderConfig) -> Objective:
        return Volta(encoder, self)

    def describe(self) -> str:
        return (
            f"VolTA: CLS {self.weight_cls:g}, patch {self.weight_patch:g} on {self.patch_tokens} tokens, "
            f"reconstruction {self.weight_reconstruction:g} {self.reconstruction}"
            + (f", KoLeo {self.weight_koleo:g}" if self.weight_koleo else "")
        )


class Branch(nn.Module):
    """Encoder and projection head; the student and the teacher have this same shape."""

    def __init__(self, encoder: EncoderConfig, settings: VoltaSettings) -> None:
        super().__init__()
        self.encoder = Encoder(encoder)
        self.head = (
            ProjectionHead(
                encoder.width,
                settings.head_hidden,
                settings.head_bottleneck,
                settings.prototypes_cls if settings.weight_cls else 0,
                settings.prototypes_patch if settings.weight_patch else 0,
            )
            if settings.aligned
            else None
        )

    def forward(
        self,
        volume_B1XYZ: Tensor,
        drops: Tensor | None = None,
        chosen_BP: Tensor | None = None,
    ) -> tuple[Tokens, Tensor | None, Tensor | None]:
        """Tokens, CLS logits ``(B, K)``, and logits ``(M, K)`` of the chosen patch tokens (all unless given)."""
        tokens = self.encoder(volume_B1XYZ, drops=drops)
        if self.head is None:
            return tokens, None, None
        patches = tokens.patches_BPD.flatten(0, 1) if chosen_BP is None else tokens.patches_BPD[chosen_BP]
        cls, patch = self.head(tokens.cls_BD, patches)
        return tokens, None if cls is None else cls.float(), None if patch is None else patch.float()


class Volta(Objective):
    """Student, EMA teacher, centres and the terms."""

    centre_cls: Tensor
    centre_patch: Tensor

    def __init__(self, encoder: EncoderConfig, settings: VoltaSettings) -> None:
        super().__init__()
        self.settings, self.patch_xyz = settings, encoder.patch_xyz
        self.student = Branch(encoder, settings)
        self.teacher: Branch | None = None  # a part without a use would train, or be averaged, for nothing
        if settings.aligned:
            self.teacher = Branch(encoder, settings).requires_grad_(False)
            self.teacher.load_state_dict(self.student.state_dict())
        self.reconstruct = (
            ReconstructionHead(encoder.width, encoder.patch_xyz) if settings.weight_reconstruction else None
        )
        self.register_buffer("centre_cls", torch.zeros(settings.prototypes_cls))
        self.register_buffer("centre_patch", torch.zeros(settings.prototypes_patch))
        self._sums: dict[str, list[Tensor]] = {}  # sums of the teacher's logits since the last step, and their number

    def forward(self, batch: Batch, now: Moment) -> Losses:
        s = self.settings
        views, scans = batch.clean.shape[:2]
        tau = linear(now.step, round(s.teacher_temperature_epochs * now.steps_per_epoch), *s.teacher_temperature)
        clean, corrupted, masks = (t.flatten(0, 1) for t in (batch.clean, batch.corrupted, batch.masks))  # (V·B, …)
        chosen = to_tokens(masks, self.patch_xyz) if s.weight_patch and s.patch_tokens == "masked" else None
        drops = None if batch.drops is None else batch.drops.flatten(0, 1)
        tokens, cls, patch = self.student(corrupted, drops, chosen)
        teacher_cls, teacher_patch = self._teach(clean, chosen)

        terms: dict[str, Tensor] = {}
        monitors = spread(ranks.gather(tokens.cls_BD.detach())) if now.monitored else {}
        if cls is not None and teacher_cls is not None:
            target = self._targets(teacher_cls, "cls", tau)
            target_VBK = target.view(views, scans, -1)
            students = [*cls.view(views, scans, -1), *self._local(batch)]  # global views first
            pairs = [(v, q) for q in range(views) for v in range(len(students)) if v != q]
            each = [cross_entropy(target_VBK[q], students[v], s.student_temperature).mean() for v, q in pairs]
            terms["cls"] = torch.stack(each).mean()
            if now.monitored:
                crossed = cross_entropy(target_VBK.flip(0), cls.detach().view(views, scans, -1), s.student_temperature)
                monitors |= agreement("cls", crossed, target)
        if patch is not None and teacher_patch is not None:
            target = self._targets(teacher_patch, "patch", tau)
            per_token = cross_entropy(target, patch, s.student_temperature)  # (M,)
            terms["patch"] = ranks.share(per_token.sum(), torch.tensor(len(per_token), device=per_token.device))
            if now.monitored:
                monitors |= agreement("patch", per_token.detach(), target)
        if self.reconstruct is not None:
            touched_Bxyz = touched_tokens(masks, self.patch_xyz)
            rebuilt_Mpqr = self.reconstruct(tokens.patches_BPD[touched_Bxyz.flatten(1)]).float()
            error = rebuilt_Mpqr - by_patch(clean, self.patch_xyz)[touched_Bxyz]
            error = error.abs() if s.reconstruction == "l1" else error.square()
            masked_Mpqr = by_patch(masks, self.patch_xyz)[touched_Bxyz]
            terms["reconstruction"] = ranks.share(error.where(masked_Mpqr, 0).sum(), masked_Mpqr.sum())
        if s.weight_koleo > 0:
            each = [koleo(ranks.gather(view)) for view in tokens.cls_BD.unflatten(0, (views, -1))]
            terms["koleo"] = torch.stack(each).mean()
        weights = {name: float(getattr(s, f"weight_{name}")) for name in terms}
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return Losses(total, terms, monitors, weights, tokens.all_BND)

    @torch.no_grad()
    def _teach(self, clean: Tensor, chosen: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        if self.teacher is None:
            return None, None
        self.teacher.eval()  # no drop path in the teacher, whatever the student does
        _, cls, patch = self.teacher(clean, None, chosen)
        return cls, patch

    def _local(self, batch: Batch) -> list[Tensor]:
        """CLS logits ``(B, K)`` of each local crop; only the student sees them (DINO's multi-crop)."""
        if batch.local is None:
            return []
        drops = None if batch.local_drops is None else batch.local_drops.flatten(0, 1)
        crops = batch.local.flatten(0, 1)  # (L·B, 1, x, y, z)
        tokens = math.prod(n // p for n, p in zip(crops.shape[2:], self.patch_xyz, strict=True))
        nothing = torch.zeros(len(crops), tokens, dtype=torch.bool, device=crops.device)  # no patch term on them
        _, cls, _ = self.student(crops, drops, nothing)
        assert cls is not None
        return list(cls.unflatten(0, batch.local.shape[:2]))

    @torch.no_grad()
    def _targets(self, logits: Tensor, kind: str, tau: float) -> Tensor:
        """Teacher's probabilities ``(M, K)``: centred and sharpened, or balanced by Sinkhorn-Knopp."""
        self._sums.setdefault(kind, []).append(torch.cat([logits.sum(dim=0), logits.new_tensor([len(logits)])]))
        if self.settings.centring == "sinkhorn":
            return sinkhorn(logits / tau)
        centre = self.centre_cls if kind == "cls" else self.centre_patch
        return soften(logits, centre, tau)

    def before_step(self, now: Moment) -> None:
        """Both prototype layers stay as drawn for the first epochs (DINO freezes its one)."""
        if self.student.head and now.step < round(self.settings.freeze_prototypes_epochs * now.steps_per_epoch):
            for layer in (self.student.head.prototypes_cls, self.student.head.prototypes_patch):
                if layer is not None:
                    layer.directions.grad = None

    @torch.no_grad()
    def after_step(self, now: Moment) -> dict[str, float]:
        """Teacher and centres move once per optimiser step, whatever the accumulation and the number of processes."""
        if self.teacher is None:
            return {}
        momentum = cosine(now.step, now.steps, self.settings.ema, 1.0)
        torch._foreach_lerp_(list(self.teacher.parameters()), list(self.student.parameters()), 1 - momentum)
        for kind, centre in (("cls", self.centre_cls), ("patch", self.centre_patch)):
            if kind in self._sums:
                *sums, seen = ranks.total(torch.stack(self._sums[kind]).sum(dim=0)).split([len(centre), 1])
                centre.lerp_(sums[0] / seen.clamp_min(1), 1 - self.settings.centre_momentum)
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
                return (
                    f"{evidence}: collapse to uniform. Try fewer prototypes, a larger or accumulated batch, a "
                    f"lower fixed teacher temperature, or slower centring"
                )
            if entropy < 0.01 and kl < 0.1:
                return f"{evidence}: collapse to one prototype. Try a higher teacher temperature or faster centring"
        return super().collapsed(monitors, now)

    @property
    def exported(self) -> Encoder:
        """The teacher, as in DINO; the student where no term has a teacher."""
        return (self.student if self.teacher is None else self.teacher).encoder

    def flops(self, config: EncoderConfig, *, masked: float, local: tuple[int, int]) -> float:
        s, patches, width = self.settings, math.prod(config.grid_xyz), config.width

        def head(tokens: float, prototypes: int) -> float:
            return tokens * mlp_flops(1, width, s.head_hidden, s.head_hidden, s.head_bottleneck, prototypes)

        cls = head(1, s.prototypes_cls) if s.weight_cls else 0.0
        looked_at = patches * (masked if s.patch_tokens == "masked" else 1.0)
        patch = head(looked_at, s.prototypes_patch) if s.weight_patch else 0.0
        rebuilt = (
            masked * mlp_flops(patches, width, width, width, math.prod(config.patch_xyz)) if self.reconstruct else 0.0
        )
        branch = encoder_flops(config) + cls + patch
        crops = local[0] * (encoder_flops(config, local[1]) + cls) if s.weight_cls else 0.0
        return VIEWS * (3 * (branch + rebuilt) + (branch if s.aligned else 0.0)) + 3 * crops
