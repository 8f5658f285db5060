"""Settings of the VolTA objective (arXiv 2605.16775, method): its terms, how each aligns, and their ablations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from workbench.model.config import EncoderConfig
from workbench.pretrain.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    from workbench.pretrain.objectives.base import Objective


class VoltaSettings(ObjectiveSettings):
    """The VolTA objective. A weight of 0 drops its term; with prototypes, CLS only is DINO, CLS + patch is iBOT."""

    name: Literal["volta"] = "volta"
    """Which objective."""
    weight_cls: float = Field(1.0, ge=0)
    """Weight of the global alignment: student CLS of one view against teacher CLS of the other."""
    weight_patch: float = Field(1.0, ge=0)
    """Weight of the patch-token alignment in the same view: corrupted in the student, clean in the teacher."""
    weight_cross: float = Field(1.0, ge=0)
    """Weight of the patch-token alignment across views: with the teacher's tokens at the same place of the other."""
    weight_reconstruction: float = Field(1.0, ge=0)
    """Weight of the reconstruction of masked voxels, student only."""
    weight_koleo: float = Field(0.0, ge=0)
    """Weight of KoLeo, which spreads the student's CLS over the sphere (DINOv2, arXiv 2304.07193, section 4)."""
    alignment_cls: Literal["place", "pooled", "variance", "contrast", "prototypes"] = "place"
    """How CLS is trained. place: it says where in the scan's box its view lies (after VoCo, arXiv 2402.17300). pooled:
    aligned with the mean of the teacher's brain tokens in the other view. variance: with the other view's CLS, kept
    apart by variance and covariance (VICReg, arXiv 2105.04906). contrast: told from other scans' (InfoNCE, with a
    queue). prototypes: by cross-entropy over prototypes (DINO, the letter of the paper). Where prototypes_cls is given
    and this is not, prototypes."""
    alignment_patch: Literal["contrast", "prototypes"] = "contrast"
    """How tokens are aligned. contrast: told from the other brain tokens of the scan (InfoNCE); learns at small
    batches. prototypes: by cross-entropy over prototypes (iBOT, MC-SSL), over all tokens. Where prototypes_patch is
    given and this is not, prototypes."""
    contrast_temperature: float = Field(0.1, gt=0)
    """Temperature of the cosines that tokens are told apart by."""
    contrast_temperature_cls: float = Field(0.2, gt=0)
    """The same for CLS."""
    contrast_hidden: int = Field(512, ge=8)
    """Hidden width of the MLPs before tokens, and before CLS, are compared."""
    contrast_width: int = Field(128, ge=4)
    """Numbers that are compared."""
    negatives_apart: float = Field(1.0, ge=0)
    """Tokens of the other view nearer to the same place than this, in tokens, are no negatives."""
    brain_share: float = Field(0.3, ge=0, lt=1)
    """Tokens take part in a contrast if more than this share of their voxels is brain."""
    queue: int = Field(256, ge=0)
    """CLS of the steps before that contrast and variance look at too."""
    patch_tokens: Literal["all", "masked"] = "all"
    """Tokens of the student in the patch term: all (MC-SSL) or masked only (iBOT)."""
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

    @model_validator(mode="before")
    @classmethod
    def _prototypes_that_are_named_are_meant(cls, values: Any) -> Any:
        """Files of before the contrast name prototypes and no alignment; they keep their meaning, and have no term
        across the views."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for kind in ("cls", "patch"):
            if f"prototypes_{kind}" in values:
                values.setdefault(f"alignment_{kind}", "prototypes")
        if "prototypes_patch" in values and values["alignment_patch"] == "prototypes":
            values.setdefault("weight_cross", 0.0)
        return values

    @model_validator(mode="after")
    def _check_weights(self) -> VoltaSettings:
        if self.weight_cls + self.weight_patch + self.weight_cross + self.weight_reconstruction == 0:
            raise ValueError("at least one of the weights of CLS, patch, cross and reconstruction must be above 0")
        if self.weight_cross and self.alignment_patch == "prototypes" and self.patch_tokens == "masked":
            raise ValueError("weight_cross looks at all tokens: with prototypes, patch_tokens must be all")
        return self

    @property
    def aligned(self) -> bool:
        """Whether a term needs the teacher."""
        return self.weight_cls > 0 or self.tokens

    @property
    def compares(self) -> frozenset[str]:
        cls = {"cls"} if self.weight_cls > 0 and self.alignment_cls != "place" else set()
        return frozenset(cls | ({"tokens"} if self.weight_cross > 0 else set()))

    @property
    def tokens(self) -> bool:
        """Whether a term aligns patch tokens."""
        return self.weight_patch > 0 or self.weight_cross > 0

    def prototypes(self, kind: Literal["cls", "patch"]) -> int:
        """Outputs of a prototype layer, 0 where no term uses it."""
        if kind == "cls":
            return self.prototypes_cls if self.weight_cls and self.alignment_cls == "prototypes" else 0
        return self.prototypes_patch if self.tokens and self.alignment_patch == "prototypes" else 0

    def build(self, encoder: EncoderConfig) -> Objective:
        from workbench.pretrain.objectives.volta import Volta

        return Volta(encoder, self)

    def describe(self) -> str:
        parts = []
        if self.weight_cls:
            parts.append(f"CLS {self.weight_cls:g} ({self.alignment_cls})")
        if self.weight_patch:
            parts.append(f"patch {self.weight_patch:g} ({self.alignment_patch}, {self.patch_tokens} tokens)")
        if self.weight_cross:
            parts.append(f"patch across views {self.weight_cross:g} ({self.alignment_patch})")
        if self.weight_reconstruction:
            parts.append(f"reconstruction {self.weight_reconstruction:g} ({self.reconstruction})")
        if self.weight_koleo:
            parts.append(f"KoLeo {self.weight_koleo:g}")
        return "VolTA: " + ", ".join(parts)
