"""The published forms of encoders that `workbench import` takes: one table, read by the job, its help and the docs.

A row is here only once its architecture was built from its public code, saved in its own form, imported, and gave the
same features; ``proof`` says how. What lives elsewhere is named ``module:name``, so that reading the table imports
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.jobs import load
from workbench.model.config import Intensities

if TYPE_CHECKING:
    from workbench.dock.translate import Translation


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
    prefers: tuple[str, ...] = ()
    """Where a checkpoint holds it several times (teacher and student), names to look for, in this order."""
    leaves: tuple[tuple[str, str], ...] = ()
    """Patterns of names that are known not to be used for features, and why."""

    def translator(self) -> Callable[..., Translation]:
        found: Any = load(self.translate)
        return found  # type: ignore[no-any-return]


_IN_ORDER = (
    Format(
        name="monai_vit",
        title="MONAI ViT",
        anchor="patch_embedding.position_embeddings",
        translate="workbench.dock.formats.monai_vit:translate",
        spacing=None,
        intensities="zscore",
        licence="of whoever trained it; MONAI's code is Apache-2.0",
        source="monai.networks.nets.ViT, and the `vit` in UNETR (github.com/Project-MONAI/MONAI)",
        proof="test: MONAI's own ViT and UNETR at random weights",
        leaves=(
            (r"blocks\.\d+\.(norm_)?cross_attn\..*", "older MONAI wrote cross attention that no forward pass used"),
            (r"classification_head\..*", "head of a task"),
        ),
    ),
)
FORMATS: dict[str, Format] = {one.name: one for one in _IN_ORDER}
"""By name, in the order of the documentation."""
