"""The published forms of encoders that `workbench import` takes: one table, read by the job, its help and the docs.

A row is here only once its architecture was built from its public code, saved in its own form, imported, and gave the
same features; ``proof`` says how. What lives elsewhere is named ``module:name``, so that reading the table imports
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.jobs import load
from workbench.model.config import Intensities

if TYPE_CHECKING:
    from workbench.dock.translation import Translation


@dataclass(frozen=True, kw_only=True)
class Format:
    """A published form of a checkpoint."""

    name: str
    """As `--format` takes it."""
    title: str
    """Of the encoder, in a few words."""
    anchor: str
    """Name of a tensor that only the encoder has: whatever stands before it in the checkpoint stands before all of
    its tensors."""
    translate: str
    """Its function: ``(tensors, asked) -> Translation``."""
    spacing: float | None
    """Edge of the voxels that it was trained on, mm; None: mixed."""
    intensities: Intensities
    """Scale that it was trained on."""
    licence: str
    """Of the published weights, as far as their authors say; to be checked by whoever uses them."""
    source: str
    """Public code and paper."""
    proof: str
    """How it was shown that features are the same."""
    gives: str
    """What can be asked of it: attention or not, what a decoder stands on, what stands for a whole scan."""
    prefers: tuple[str, ...] = ()
    """Where a checkpoint holds it several times (teacher and student), names to look for, in this order."""
    avoids: tuple[str, ...] = ()
    """Names before it that tell a second copy of it."""
    leaves: tuple[tuple[str, str], ...] = ()
    """Patterns of names that are known not to be used for features, and why."""

    def translator(self) -> Callable[..., Translation]:
        found: Callable[..., Translation] = load(self.translate)
        return found


_MEAN = "for a whole scan the mean of its tokens"
_VIT = f"attention; a decoder on hidden states; {_MEAN}"
_PYRAMID = f"no attention that can be shown; a decoder on its own pyramid of features; {_MEAN}"

_ALL_MODULES = (r".*\.all_modules\..*", "the same tensors under a second name")
_CROSS = (r"blocks\.\d+\.(norm_)?cross_attn\..*", "older MONAI wrote cross attention that no forward pass used")
_HEAD = (r"(classification_head|head|fc)\..*", "head of a task")
_DECODER = (r"(up_projection|decoder)\..*", "decoder of the pretraining")
_MASK = (r"mask_token", "stands for masked patches in pretraining")

_IN_ORDER = (
    Format(
        name="monai_vit",
        title="MONAI ViT",
        anchor="patch_embedding.position_embeddings",
        translate="workbench.dock.formats.monai_vit:translate",
        spacing=None,
        intensities="zscore",
        licence="as whoever trained it says; MONAI's code is Apache-2.0",
        source="monai.networks.nets.ViT, and the `vit` in UNETR: github.com/Project-MONAI/MONAI",
        proof="test: MONAI's own ViT and UNETR at random weights",
        gives=f"{_VIT}, or CLS where it was trained with one. A ViT of pictures looks at each axial slice by itself, "
        "without attention over the scan",
        leaves=(_CROSS, _HEAD),
    ),
    Format(
        name="swin_unetr",
        title="Swin UNETR",
        anchor="layers1.0.blocks.0.attn.relative_position_bias_table",
        translate="workbench.dock.formats.swin:translate",
        spacing=1.5,
        intensities="unit",
        licence="as whoever trained it says; MONAI's code is Apache-2.0",
        source="SSL pretraining of Swin UNETR, arXiv 2111.14791: github.com/Project-MONAI/research-contributions",
        proof="test: MONAI's own SwinUNETR at random weights, under its names and those of the SSL weights",
        gives=_PYRAMID,
        leaves=((r"(rotation|contrastive)_head\..*|conv\..*", "head of the pretraining"),),
    ),
    Format(
        name="brainiac",
        title="BrainIAC ViT-B",
        anchor="patch_embedding.position_embeddings",
        translate="workbench.dock.formats.brainiac:translate",
        spacing=2.0,
        intensities="zscore",
        licence="CC BY-NC 4.0",
        source="BrainIAC, github.com/AIM-KannLab/BrainIAC: MONAI ViT-B/16 on whole heads resized to 96x96x96",
        proof="test: MONAI's ViT at random weights, pooled as its public code does",
        gives="attention; a decoder on hidden states; for a whole scan the token of its first patch, as its authors do",
        leaves=(_CROSS, _HEAD),
    ),
    Format(
        name="3dino",
        title="3DINO ViT",
        anchor="patch_embed.proj.weight",
        translate="workbench.dock.formats.dino3d:translate",
        spacing=None,
        intensities="symmetric",
        licence="CC BY-NC-ND 4.0",
        source="3DINO, arXiv 2501.11755: github.com/AICONSlab/3DINO",
        proof="by hand: its public code at random weights",
        gives="attention; a decoder on hidden states; for a whole scan its CLS",
        prefers=("teacher", "backbone"),
        leaves=(_MASK, _HEAD),
    ),
    Format(
        name="simclr_resnet",
        title="SimCLR ResNet",
        anchor="layer4.0.conv1.weight",
        translate="workbench.dock.formats.resnet:translate",
        spacing=1.0,
        intensities="zscore",
        licence="MIT (its code)",
        source="3D-Neuro-SimCLR: github.com/emilykaczmarek/3D-Neuro-SimCLR",
        proof="test: MONAI's ResNet-18, from which its own is taken, at random weights",
        gives=_PYRAMID,
        leaves=(_HEAD,),
    ),
    Format(
        name="nnssl_resenc",
        title="nnssl ResEnc",
        anchor="stages.0.blocks.0.conv1.conv.weight",
        translate="workbench.dock.formats.resenc:translate",
        spacing=1.0,
        intensities="zscore",
        licence="as the checkpoint's page says",
        source="nnssl and OpenMind, arXiv 2412.17041: github.com/MIC-DKFZ/nnssl",
        proof="by hand: dynamic-network-architectures at random weights",
        gives=_PYRAMID,
        avoids=("decoder.",),
        leaves=(_ALL_MODULES,),
    ),
    Format(
        name="nnssl_primus",
        title="nnssl Primus",
        anchor="eva.pos_embed",
        translate="workbench.dock.formats.primus:translate",
        spacing=1.0,
        intensities="zscore",
        licence="as the checkpoint's page says",
        source="Primus, arXiv 2503.01835, and OpenMind, arXiv 2412.17041: github.com/MIC-DKFZ/nnssl",
        proof="by hand: dynamic-network-architectures at random weights",
        gives=_VIT,
        leaves=(_MASK, _ALL_MODULES, _DECODER),
    ),
    Format(
        name="amaes_unet",
        title="AMAES U-Net",
        anchor="in_conv.conv1.conv.weight",
        translate="workbench.dock.formats.amaes:translate",
        spacing=1.0,
        intensities="unit",
        licence="as the checkpoint's page says",
        source="AMAES, arXiv 2408.00640 (github.com/asbjrnmunk/amaes), and the baseline of FOMO25",
        proof="by hand: the public code of both at random weights",
        gives=_PYRAMID,
    ),
    Format(
        name="anatomix",
        title="anatomix U-Net",
        anchor="0.weight",
        translate="workbench.dock.formats.anatomix:translate",
        spacing=1.0,
        intensities="unit",
        licence="MIT",
        source="anatomix, arXiv 2411.02372: github.com/neel-dey/anatomix",
        proof="by hand: its public code at random weights",
        gives=f"{_PYRAMID}; a feature for each voxel, of which a token is a mean",
    ),
    Format(
        name="anatomix_vit",
        title="anatomix-dev-vit",
        anchor="eva.pos_embed",
        translate="workbench.dock.formats.anatomix_vit:translate",
        spacing=1.0,
        intensities="unit",
        licence="MIT",
        source="anatomix-dev-vit, its tokens before they are decoded to voxels: github.com/neel-dey/anatomix",
        proof="by hand: its public code at random weights",
        gives=_VIT,
        leaves=(_MASK, _ALL_MODULES, _DECODER),
    ),
)
FORMATS: dict[str, Format] = {one.name: one for one in _IN_ORDER}
"""By name, in the order of the documentation."""
