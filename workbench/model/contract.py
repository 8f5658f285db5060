"""What the workbench asks of an encoder, whoever made it.

An own ViT, a ViT of others, a convolutional network and a 2D encoder applied slice by slice all answer alike: tokens on
a grid that lies in the scan, one vector of the whole, and, where they have them, attention and a pyramid of features.
What an encoder cannot give it says in words (`require`).

Shape suffixes as in ``vit``: B volumes, N all tokens, P patches, D width, XYZ voxels, xyz grid of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from workbench.errors import ConfigError
from workbench.volumes.volume import Triple

Ability = Literal["attention", "blocks", "pyramid"]


@dataclass
class Tokens:
    """What the encoder says of a batch: normed tokens, and hidden states by block number (1 = after the first)."""

    all_BND: Tensor  # CLS (or what takes its place, see `Shape.pooling`), registers, patches
    registers: int
    grid_xyz: Triple
    hidden: dict[int, Tensor] = field(default_factory=dict)  # block -> patch tokens (B, P, D), not normed

    @property
    def cls_BD(self) -> Tensor:
        return self.all_BND[:, 0]

    @property
    def registers_BRD(self) -> Tensor:
        return self.all_BND[:, 1 : 1 + self.registers]

    @property
    def patches_BPD(self) -> Tensor:
        return self.all_BND[:, 1 + self.registers :]

    def patch_map(self, tokens_BPD: Tensor | None = None) -> Tensor:
        """Patch tokens (or other tokens of the same grid) as a volume of features ``(B, D, x, y, z)``."""
        tokens_BPD = self.patches_BPD if tokens_BPD is None else tokens_BPD
        return tokens_BPD.transpose(1, 2).unflatten(2, self.grid_xyz)


class Shape(Protocol):
    """What is known of an encoder without its weights: settings that its card carries."""

    @property
    def name(self) -> str:
        """In a few words, such as "small" or "MONAI ViT"."""

    @property
    def width(self) -> int:
        """Numbers of a token, D."""

    @property
    def depth(self) -> int:
        """Blocks whose tokens can be asked for; 1 where there is only the last."""

    @property
    def heads(self) -> int:
        """Of attention; 0: it has no attention that can be shown."""

    @property
    def registers(self) -> int:
        """Tokens that are no place, besides CLS."""

    @property
    def pooling(self) -> str:
        """What token 0 is: "CLS", or in words what takes its place."""

    @property
    def patch_xyz(self) -> Triple:
        """Voxels of the prepared scan that a token stands for; edges of what it is given are multiples of it."""

    @property
    def size_xyz(self) -> Triple:
        """Edges of the crop that it was trained on, in voxels of the prepared scan."""

    @property
    def pyramid(self) -> tuple[tuple[int, int], ...]:
        """``(stride, channels)`` of its features for a decoder, finest first; empty: it has hidden states instead."""

    @property
    def has_blocks(self) -> bool:
        """Whether it is a chain of blocks on one grid, with hidden states, whose learning rates may decay."""

    @property
    def wants(self) -> str:
        """Intensities that it was trained on, in words; the prepared scan is turned into them inside."""


class AnyEncoder(nn.Module):
    """An encoder that every job takes. A subclass sets ``config`` and writes `forward`; `require` says what of the rest
    it needs to have.

    With attention that can be shown: ``blocks``, called with ``angles=``, whose ``attn.placed`` returns queries, keys
    and values side by side, `tokenise`, `angles` and ``norm``. With a pyramid: `pyramid`.
    """

    config: Shape
    blocks: nn.ModuleList
    norm: nn.Module

    def forward(self, volume_B1XYZ: Tensor, *, hidden: Sequence[int] = ()) -> Tokens:
        """Encode a batch.

        Args:
            volume_B1XYZ: Prepared volumes, edges multiples of ``config.patch_xyz``.
            hidden: Blocks (counted from 1) whose patch tokens are wanted.
        """
        raise NotImplementedError

    @property
    def first_patch(self) -> int:
        """Index of the first patch token; CLS, or what takes its place, is token 0, registers follow it."""
        return 1 + self.config.registers

    def tokenise(self, volume_B1XYZ: Tensor) -> tuple[Tensor, Triple]:
        """Volume → what the first block is given ``(B, n, D)``, and the grid of its patches."""
        raise NotImplementedError

    def angles(self, grid_xyz: Triple, device: torch.device) -> Tensor | None:
        """What blocks turn queries and keys by (rotary positions); None: nothing."""
        raise NotImplementedError

    def inside(self, weights_QN: Tensor) -> Tensor:
        """Queries over the N tokens of `Tokens` as queries over the n that blocks see; the same where all are seen."""
        return weights_QN

    def outside(self, rows_BHQN: Tensor, stream_BND: Tensor) -> tuple[Tensor, Tensor]:
        """The way back: attention rows and the stream over the N tokens of `Tokens`."""
        return rows_BHQN, stream_BND

    def finish(self, stream_BND: Tensor) -> Tensor:
        """All tokens as `forward` gives them, of the stream after the last block."""
        normed: Tensor = self.norm(stream_BND)
        return normed

    def pyramid(self, volume_B1XYZ: Tensor) -> list[Tensor]:
        """Features ``(B, C, X / stride, …)`` at each level of ``config.pyramid``."""
        raise NotImplementedError


def require(config: Shape, ability: Ability, for_what: str) -> None:
    """Refuse, in words, to ask for what an encoder does not have.

    Raises:
        ConfigError: it does not have it; the remedy says what to do instead.
    """
    has = {"attention": config.heads > 0, "blocks": config.has_blocks, "pyramid": bool(config.pyramid)}[ability]
    if has:
        return
    causes = {
        "attention": f"{config.name} has no attention that can be shown",
        "blocks": f"{config.name} has no blocks on one grid of tokens",
        "pyramid": f"{config.name} has no pyramid of features",
    }
    remedies = {
        "attention": "use a ViT, or look at its tokens instead: `workbench tokens`, `similar` in Python",
        "blocks": "leave the setting as it is by default",
        "pyramid": "use the decoder on hidden states",
    }
    raise ConfigError(f"{for_what}: this encoder cannot", cause=causes[ability], remedy=remedies[ability])


def patch_words(config: Shape) -> str:
    """Prepared voxels that a token stands for, as "16x16x16"."""
    return "x".join(map(str, config.patch_xyz))


def pooled_words(config: Shape) -> str | None:
    """One sentence on what stands for CLS, where there is none."""
    return None if config.pooling == "CLS" else f"this encoder has no CLS; {config.pooling} is used"
