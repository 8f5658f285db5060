"""Settings of the job `export`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import model_validator

from workbench.runs import JobConfig
from workbench.volumes.volume import Triple


class ExportConfig(JobConfig):
    """Write an encoder in a form that other software takes. Whatever is written is read again and asked about a volume:
    without the same features nothing is left behind."""

    job: ClassVar[str] = "export"

    encoder: Path
    """Pretraining run, imported encoder, exported model folder, or a name in the box."""
    to: Literal["monai_vit", "torch_export", "nnunet", "huggingface"] = "huggingface"
    """`monai_vit`: state dict of MONAI's ViT, also of the `vit.` in its UNETR where there is no CLS. `torch_export`: a
    program of torch.export for volumes of one size. `nnunet`: weights for `nnUNetv2_train -pretrained_weights` and the
    architecture for its plans, of a residual encoder. `huggingface`: a folder with weights, settings and a model card,
    to be looked at and uploaded by you."""
    size: int | Triple | None = None
    """Edges of the volumes that the program takes, in prepared voxels; unset, those of the encoder's crop."""
    licence: str = ""
    """Under which you share the weights; needed for huggingface, unless the encoder's card says it."""

    @model_validator(mode="after")
    def _check_size(self) -> ExportConfig:
        if self.size is not None and self.to != "torch_export":
            raise ValueError("size: only for torch_export")
        if self.licence and self.to != "huggingface":
            raise ValueError("licence: only for huggingface")
        return self
