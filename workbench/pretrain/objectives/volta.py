"""VolTA-3D: CLS alignment, patch-token alignment and group-masked reconstruction (arXiv 2605.16775, method).

Its ablations are weights: CLS alone is DINO, CLS and patch is iBOT, reconstruction alone is SiT/GMML.
Shape suffixes as in ``workbench.model.vit``; V = 2 views, K prototypes, M tokens that a term looks at, d width of a
contrast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from workbench.engine import ranks
from workbench.engine.schedules import cosine, linear
from workbench.model.config import EncoderConfig
from workbench.model.contract import Tokens
from workbench.model.flops import encoder_flops, mlp_flops
from workbench.model.heads import ContrastHead, ProjectionHead, ReconstructionHead, mlp
from workbench.model.vit import Encoder, by_patch
from workbench.pretrain.masking import to_tokens, touched_tokens
from workbench.pretrain.objectives.base import VIEWS, Batch, Losses, Objective, StepInfo, there
from workbench.pretrain.objectives.summary import Pooled, Queue, nearest_own, told_apart, variance_covariance
from workbench.pretrain.objectives.terms import agreement, cross_entropy, koleo, sinkhorn, spread, teacher_probabilities
from workbench.pretrain.objectives.tokens import (
    Match,
    brain_tokens,
    inside,
    match_other_view,
    match_same_view,
    places_elsewhere,
    sample_map,
)
from workbench.pretrain.objectives.volta_settings import VoltaSettings
from workbench.volumes.volume import Triple


@dataclass(frozen=True)
class Said:
    """What a branch says of a batch; None where no term asks for it."""

    tokens: Tokens
    cls_BK: Tensor | None = None  # logits of prototypes
    patch_MK: Tensor | None = None
    cls_Bd: Tensor | None = None  # unit vectors of a contrast
    tokens_BPd: Tensor | None = None


class Branch(nn.Module):
    """Encoder and heads; the student and the teacher have this same shape."""

    def __init__(self, encoder: EncoderConfig, settings: VoltaSettings) -> None:
        super().__init__()
        s, width = settings, encoder.width
        self.encoder = Encoder(encoder)
        cls, patch = s.prototypes("cls"), s.prototypes("patch")
        self.head = ProjectionHead(width, s.head_hidden, s.head_bottleneck, cls, patch) if cls or patch else None
        both = s.weight_cls and s.alignment_cls in ("variance", "contrast")
        self.cls_contrast = ContrastHead(width, s.contrast_hidden, s.contrast_width) if both else None
        told = s.tokens and s.alignment_patch == "contrast"
        self.token_contrast = ContrastHead(width, s.contrast_hidden, s.contrast_width) if told else None

    def forward(self, volume_B1XYZ: Tensor, drops: Tensor | None = None, chosen_BP: Tensor | None = None) -> Said:
        """``chosen_BP`` are the patch tokens that get logits of prototypes (all unless given)."""
        tokens = self.encoder(volume_B1XYZ, drops=drops)
        cls = patch = None
        if self.head is not None:
            patches = tokens.patches_BPD.flatten(0, 1) if chosen_BP is None else tokens.patches_BPD[chosen_BP]
            cls, patch = self.head(tokens.cls_BD, patches)
        return Said(
            tokens,
            None if cls is None else cls.float(),
            None if patch is None else patch.float(),
            None if self.cls_contrast is None else self.cls_contrast(tokens.cls_BD),
            None if self.token_contrast is None else self.token_contrast(tokens.patches_BPD),
        )


class Volta(Objective):
    """Student, EMA teacher, what is remembered between steps, and the terms."""

    def __init__(self, encoder: EncoderConfig, settings: VoltaSettings) -> None:
        super().__init__()
        self.settings, self.patch_xyz = settings, encoder.patch_xyz
        self.student = Branch(encoder, settings)
        self.teacher: Branch | None = None  # a part without a use would train, or be averaged, for nothing
        if settings.aligned:
            self.teacher = Branch(encoder, settings).requires_grad_(False)
            self.teacher.load_state_dict(self.student.state_dict())
        self.reconstruct = (
            ReconstructionHead(encoder.width, encoder.patch_xyz, encoder.channels)
            if settings.weight_reconstruction
            else None
        )
        s = settings
        pooled, placed = (s.weight_cls > 0 and s.alignment_cls == kind for kind in ("pooled", "place"))
        self.predict = ContrastHead(encoder.width, s.contrast_hidden, encoder.width) if pooled else None
        self.place = mlp(encoder.width, s.contrast_hidden, PLACE) if placed else None
        self.pooled = Pooled(encoder.width) if pooled else None
        self.queue = Queue(s.queue, s.contrast_width) if self.student.cls_contrast else None
        for kind in ("cls", "patch"):
            if count := s.prototypes(kind):
                self.register_buffer(f"centre_{kind}", torch.zeros(count))
        self._sums: dict[str, list[Tensor]] = {}  # sums of the teacher's logits since the last step, and their number

    def forward(self, batch: Batch, now: StepInfo) -> Losses:
        s = self.settings
        clean, corrupted, masks = (t.flatten(0, 1) for t in (batch.clean, batch.corrupted, batch.masks))  # (V·B, …)
        masked_only = s.weight_patch > 0 and s.prototypes("patch") > 0 and s.patch_tokens == "masked"
        chosen = to_tokens(masks, self.patch_xyz) if masked_only else None
        student = self.student(corrupted, None if batch.drops is None else batch.drops.flatten(0, 1), chosen)
        teacher = self._teach(clean, chosen)
        tokens, teacher_tau = student.tokens, self._teacher_temperature(now)
        brain = brain_tokens(clean[:, :1], self.patch_xyz, s.brain_share)  # the mask of a scan is that of its first

        terms: dict[str, Tensor] = {}
        monitors = spread(ranks.gather(tokens.cls_BD.detach())) if now.monitored else {}
        more: dict[str, Tensor] = {}
        with torch.autocast(clean.device.type, enabled=False):  # cosines and entropies to three digits would not do
            if s.weight_cls > 0 and teacher is not None:
                terms["cls"], more = self._align_cls(batch, student, teacher, brain, teacher_tau, now.monitored)
                monitors |= more
            if s.tokens and teacher is not None:
                if s.alignment_patch == "contrast":
                    found, more = self._contrast_tokens(batch, masks, student, teacher, brain)
                else:
                    found, more = self._align_prototypes(batch, student, teacher, brain, teacher_tau, now.monitored)
                terms |= found
                monitors |= more if now.monitored else {}
        if self.reconstruct is not None:
            touched_Bxyz = touched_tokens(masks, self.patch_xyz)
            rebuilt_Mpqr = self.reconstruct(tokens.patches_BPD[touched_Bxyz.flatten(1)]).float()
            error = rebuilt_Mpqr - by_patch(clean, self.patch_xyz)[touched_Bxyz]
            error = error.abs() if s.reconstruction == "l1" else error.square()
            masked_Mpqr = by_patch(masks, self.patch_xyz)[touched_Bxyz]
            if clean.shape[1] > 1:  # a mask is that of every contrast, and nothing is to be rebuilt of one that is not
                has_BC = there(batch)
                rows_M = touched_Bxyz.nonzero()[:, 0]
                masked_Mpqr = masked_Mpqr.unsqueeze(1) & has_BC[rows_M, :, None, None, None]
            terms["reconstruction"] = ranks.share(error.where(masked_Mpqr, 0).sum(), masked_Mpqr.sum())
        if s.weight_koleo > 0:
            each = [koleo(ranks.gather(view)) for view in tokens.cls_BD.unflatten(0, (VIEWS, -1))]
            terms["koleo"] = torch.stack(each).mean()
        weights = {name: float(getattr(s, f"weight_{name}")) for name in terms}
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return Losses(total, terms, monitors, weights, tokens.all_BND)

    def _teacher_temperature(self, now: StepInfo) -> float:
        rises = round(self.settings.teacher_temperature_epochs * now.steps_per_epoch)
        return linear(now.step, rises, *self.settings.teacher_temperature)

    @torch.no_grad()
    def _teach(self, clean: Tensor, chosen: Tensor | None) -> Said | None:
        if self.teacher is None:
            return None
        self.teacher.eval()  # no drop path in the teacher, whatever the student does
        said: Said = self.teacher(clean, None, chosen)
        return said

    # CLS --------------------------------------------------------------------------------------------------------

    def _align_cls(
        self, batch: Batch, student: Said, teacher: Said, brain: Tensor, tau: float, monitored: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The term of CLS: each of the student's views, small crops too, with what the teacher says of the others."""
        s, grid = self.settings, (VIEWS, -1)
        local = self._local(batch)
        if self.queue is not None and teacher.cls_Bd is not None and student.cls_Bd is not None:
            wanted, crops = teacher.cls_Bd.unflatten(0, grid), [c.cls_Bd for c in local]
            said = [*student.cls_Bd.unflatten(0, grid), *crops]
            self.queue.remember(teacher.cls_Bd)
            before = self.queue.filled
            if s.alignment_cls == "contrast":
                loss = pairwise(lambda v, q: told_apart(v, q, before, s.contrast_temperature_cls), said, wanted)
            else:
                together = torch.cat([c for c in said if c is not None])
                loss = pairwise(distance, said, wanted) + variance_covariance(together, before)
        elif self.predict is not None and self.pooled is not None:
            wanted = self.pooled.targets(teacher.tokens.patches_BPD, brain).unflatten(0, grid)
            views = [*student.tokens.cls_BD.unflatten(0, grid), *(c.tokens.cls_BD for c in local)]
            said = list(self.predict(torch.cat(views)).split([len(v) for v in views]))
            loss = pairwise(distance, said, wanted)
        elif self.place is not None:
            return self._place(batch, student, local, monitored)
        else:
            assert student.cls_BK is not None and teacher.cls_BK is not None
            target = self._targets(teacher.cls_BK, "cls", tau)
            logits = [*student.cls_BK.unflatten(0, grid), *(c.cls_BK for c in local)]
            wanted = target.unflatten(0, grid)
            loss = pairwise(lambda v, q: cross_entropy(q, v, s.student_temperature).mean(), logits, wanted)
            if not monitored:
                return loss, {}
            crossed = cross_entropy(wanted.flip(0), student.cls_BK.detach().unflatten(0, grid), s.student_temperature)
            return loss, agreement("cls", crossed, target)
        if not monitored:
            return loss, {}
        found = [nearest_own(said[v].detach(), wanted[1 - v]) for v in range(VIEWS)]
        cosines = [(said[v].detach() * wanted[1 - v]).sum(-1).mean() for v in range(VIEWS)]
        told = {"cls_top1": torch.stack(found).mean(), "cls_cosine": torch.stack(cosines).mean()}
        return loss, {name: ranks.mean(value) for name, value in told.items()}

    def _place(
        self, batch: Batch, student: Said, local: list[Said], monitored: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean absolute error, in half boxes, of what CLS says of its view's matrix in the scan's box."""
        assert self.place is not None
        if batch.placement is None:
            raise ValueError("alignment_cls 'place' needs batch.placement")
        wanted = batch.placement.in_box(size_of(batch.clean)).flatten(0, 1)  # (V·B, 3, 4)
        said = self.place(student.tokens.cls_BD.float()).unflatten(1, (3, 4))
        errors = [(said - wanted).abs().mean()]
        if batch.local is not None and batch.local_placement is not None:
            where = batch.local_placement.in_box(size_of(batch.local))
            errors += [
                (self.place(c.tokens.cls_BD.float()).unflatten(1, (3, 4)) - where[i]).abs().mean()
                for i, c in enumerate(local)
            ]
        loss = torch.stack(errors).mean()
        if not monitored:
            return loss, {}
        centre, truth = said.detach()[..., 3], wanted[..., 3]
        return loss, {"cls_centre_error": ranks.mean((centre - truth).norm(dim=-1).mean())}

    def _local(self, batch: Batch) -> list[Said]:
        """What the student says of each small crop; the teacher does not see them (DINO's multi-crop)."""
        if batch.local is None:
            return []
        drops = None if batch.local_drops is None else batch.local_drops.flatten(0, 1)
        crops = batch.local.flatten(0, 1)  # (L·B, 1, x, y, z)
        tokens = math.prod(n // p for n, p in zip(crops.shape[2:], self.patch_xyz, strict=True))
        nothing = torch.zeros(len(crops), tokens, dtype=torch.bool, device=crops.device)  # no patch term on them
        said = self.student(crops, drops, nothing)
        count = batch.local.shape[0]

        def part(value: Tensor | None, i: int) -> Tensor | None:
            return None if value is None else value.unflatten(0, (count, -1))[i]

        return [
            Said(
                Tokens(said.tokens.all_BND.unflatten(0, (count, -1))[i], said.tokens.registers, said.tokens.grid_xyz),
                part(said.cls_BK, i),
                None,
                part(said.cls_Bd, i),
            )
            for i in range(count)
        ]

    # patch tokens -------------------------------------------------------------------------------------------------

    def _contrast_tokens(
        self, batch: Batch, masks: Tensor, student: Said, teacher: Said, brain: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        s, grid = self.settings, student.tokens.grid_xyz
        assert student.tokens_BPd is not None and teacher.tokens_BPd is not None
        matches: dict[str, Match] = {}
        if s.weight_patch > 0:
            counted = brain & to_tokens(masks, self.patch_xyz) if s.patch_tokens == "masked" else brain
            matches["patch"] = match_same_view(
                student.tokens_BPd, teacher.tokens_BPd, counted, brain, s.contrast_temperature
            )
        if s.weight_cross > 0:
            matches["cross"] = match_other_view(
                student.tokens_BPd,
                self._exchanged(teacher.tokens_BPd),
                self._elsewhere(batch, grid),
                grid,
                brain,
                self._exchanged(brain),
                s.negatives_apart,
                s.contrast_temperature,
            )
        monitors: dict[str, Tensor] = {}
        for name, match in matches.items():
            monitors |= {f"{name}_top1": match.top1, f"{name}_chance": match.chance, f"{name}_part": match.part}
        return {name: match.loss for name, match in matches.items()}, monitors

    def _align_prototypes(
        self, batch: Batch, student: Said, teacher: Said, brain: Tensor, tau: float, monitored: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        s, grid = self.settings, student.tokens.grid_xyz
        assert student.patch_MK is not None and teacher.patch_MK is not None
        target = self._targets(teacher.patch_MK, "patch", tau)
        terms: dict[str, Tensor] = {}
        monitors: dict[str, Tensor] = {}
        if s.weight_patch > 0:
            per_token = cross_entropy(target, student.patch_MK, s.student_temperature)  # (M,)
            terms["patch"] = ranks.share(per_token.sum(), torch.tensor(len(per_token), device=per_token.device))
            if monitored:
                monitors = agreement("patch", per_token.detach(), target)
        if s.weight_cross > 0:
            views = (len(brain), -1)
            at = self._elsewhere(batch, grid)
            counted = brain & inside(at, grid)
            elsewhere = sample_map(self._exchanged(target.unflatten(0, views)), at, grid)[counted]
            logits = student.patch_MK.unflatten(0, views)[counted]
            each = cross_entropy(elsewhere, logits, s.student_temperature)
            terms["cross"] = ranks.share(each.sum(), counted.sum())
        return terms, monitors

    def _elsewhere(self, batch: Batch, grid: tuple[int, int, int]) -> Tensor:
        """Place of each token's middle in the other view ``(V·B, P, 3)``."""
        if batch.placement is None:
            raise ValueError("a term across views needs batch.placement")
        return places_elsewhere(batch.placement, grid, self.patch_xyz).flatten(0, 1)

    @staticmethod
    def _exchanged(rows: Tensor) -> Tensor:
        """``(V·B, …)`` with the two views exchanged."""
        return rows.unflatten(0, (VIEWS, -1)).flip(0).flatten(0, 1)

    @torch.no_grad()
    def _targets(self, logits: Tensor, kind: str, tau: float) -> Tensor:
        """Teacher's probabilities ``(M, K)``: centred and sharpened, or balanced by Sinkhorn-Knopp."""
        self._sums.setdefault(kind, []).append(torch.cat([logits.sum(dim=0), logits.new_tensor([len(logits)])]))
        if self.settings.centring == "sinkhorn":
            return sinkhorn(logits / tau)
        return teacher_probabilities(logits, self.get_buffer(f"centre_{kind}"), tau)

    # the loop's calls ---------------------------------------------------------------------------------------------

    def before_step(self, now: StepInfo) -> None:
        """Both prototype layers stay as drawn for the first epochs (DINO freezes its one)."""
        if self.student.head and now.step < round(self.settings.freeze_prototypes_epochs * now.steps_per_epoch):
            for layer in (self.student.head.prototypes_cls, self.student.head.prototypes_patch):
                if layer is not None:
                    layer.directions.grad = None

    @torch.no_grad()
    def after_step(self, now: StepInfo) -> dict[str, float]:
        """Teacher, centres and queue move once per optimiser step, whatever the accumulation and the processes."""
        if self.teacher is None:
            return {}
        momentum = cosine(now.step, now.steps, self.settings.ema, 1.0)
        torch._foreach_lerp_(list(self.teacher.parameters()), list(self.student.parameters()), 1 - momentum)
        for kind, seen_sums in self._sums.items():
            centre = self.get_buffer(f"centre_{kind}")
            *sums, seen = ranks.total(torch.stack(seen_sums).sum(dim=0)).split([len(centre), 1])
            centre.lerp_(sums[0] / seen.clamp_min(1), 1 - self.settings.centre_momentum)
        self._sums.clear()
        for memory in (self.pooled, self.queue):
            if memory is not None:
                memory.after_step()
        return {"ema": momentum}

    def collapsed(self, monitors: dict[str, float], now: StepInfo) -> str | None:
        """Uniform collapse of prototypes: the teacher says nothing (entropy near ln K) and the student has learnt to
        say it (KL near 0); standard deviation and rank of CLS look healthy meanwhile. Point collapse: entropy near 0. A
        contrast has collapsed where tokens are found no more often than by chance."""
        for kind in ("cls", "patch"):
            entropy, kl = monitors.get(f"{kind}_entropy"), monitors.get(f"{kind}_kl")
            if not getattr(self.settings, f"weight_{kind}") or entropy is None or kl is None:
                continue
            evidence = f"{kind}: teacher entropy {entropy:.3f} of ln K, student-teacher KL {kl:.3f}"
            if entropy > 0.97 and kl < 0.1:
                return (
                    f"{evidence}: collapse to uniform. Try alignment_{kind} without prototypes, fewer prototypes, a "
                    f"larger or accumulated batch, a lower fixed teacher temperature, or slower centring"
                )
            if entropy < 0.01 and kl < 0.1:
                return f"{evidence}: collapse to one prototype. Try a higher teacher temperature or faster centring"
        for kind in ("patch", "cross"):
            top1, chance = monitors.get(f"{kind}_top1"), monitors.get(f"{kind}_chance")
            if top1 is not None and chance is not None and top1 < 1.5 * chance:
                return (
                    f"{kind}: a token finds its own in {top1:.3f} of cases, by chance in {chance:.3f}: the tokens of a "
                    f"scan are alike. Try a lower learning rate, weaker views or a lower contrast_temperature"
                )
        return super().collapsed(monitors, now)

    @property
    def exported(self) -> Encoder:
        """The teacher, as in DINO; the student where no term has a teacher."""
        return (self.student if self.teacher is None else self.teacher).encoder

    def flops(self, config: EncoderConfig, *, masked: float, local: tuple[int, int]) -> float:
        s, patches, width = self.settings, math.prod(config.grid_xyz), config.width

        def head(tokens: float, prototypes: int) -> float:
            return tokens * mlp_flops(1, width, s.head_hidden, s.head_hidden, s.head_bottleneck, prototypes)

        def contrast(tokens: float, out: int) -> float:
            return mlp_flops(1, width, s.contrast_hidden, s.contrast_hidden, out) * tokens

        cls = head(1, s.prototypes("cls")) if s.prototypes("cls") else 0.0
        cls += contrast(1, s.contrast_width) if self.student.cls_contrast else 0.0
        every = s.weight_cross > 0 or s.patch_tokens == "all"
        patch = head(patches * (1.0 if every else masked), s.prototypes("patch")) if s.prototypes("patch") else 0.0
        patch += contrast(patches, s.contrast_width) if self.student.token_contrast else 0.0
        rebuilt = (
            masked * mlp_flops(patches, width, width, width, config.channels * math.prod(config.patch_xyz))
            if self.reconstruct
            else 0.0
        )
        student_only = rebuilt + (contrast(1, width) if self.predict else 0.0)
        student_only += contrast(1, PLACE) if self.place else 0.0
        branch = encoder_flops(config) + cls + patch
        # cosines of all pairs of tokens, for each term; the teacher's side has no gradient
        terms = (s.weight_patch > 0) + (s.weight_cross > 0) if self.student.token_contrast else 0
        pairs = terms * 2 * 2.0 * patches**2 * s.contrast_width
        crops = local[0] * (encoder_flops(config, local[1]) + cls) if s.weight_cls else 0.0
        return VIEWS * (3 * (branch + student_only) + (branch if s.aligned else 0.0) + pairs) + 3 * crops


def size_of(views: Tensor) -> Triple:
    """Voxels of a view along each axis."""
    x, y, z = views.shape[-3:]
    return x, y, z


PLACE = 12  # numbers of a view's matrix in the scan's box


def distance(said_Bd: Tensor, wanted_Bd: Tensor) -> Tensor:
    """1 - cosine of unit vectors, mean over B."""
    return 1 - (said_Bd * wanted_Bd).sum(-1).mean()


def pairwise(loss: Callable[[Tensor, Tensor], Tensor], said: list[Tensor], wanted_VB: Tensor) -> Tensor:
    """Mean of ``loss(said[v], wanted[q])`` over all pairs of a student's view v and a teacher's view q ≠ v; global
    views come first in ``said``, small crops after them."""
    pairs = [(v, q) for q in range(len(wanted_VB)) for v in range(len(said)) if v != q]
    return torch.stack([loss(said[v], wanted_VB[q]) for v, q in pairs]).mean()
