"""What is trained to segment: decoders on an encoder, a linear read-out of its tokens, and networks from scratch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from workbench.errors import ConfigError
from workbench.finetune.config import SegmentConfig
from workbench.model.config import triple
from workbench.model.contract import AnyEncoder, Shape
from workbench.model.decoders import PatchDecoder, ResEncUnet, resenc_shape
from workbench.model.unetr import PRIOR_LOGIT, PyramidUnetr, Unetr
from workbench.volumes.volume import Triple


class TokenProbe(nn.Module):
    """One linear layer from each normed patch token to the logits of its voxels: what the tokens hold, no more.

    No path between tokens and none from the voxels: whatever crosses a patch's border, the encoder must have done.
    """

    def __init__(self, encoder: AnyEncoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        patch = encoder.config.patch_xyz
        self.linear = nn.ConvTranspose3d(encoder.config.width, classes, kernel_size=patch, stride=patch)
        nn.init.trunc_normal_(self.linear.weight, std=0.01)
        with torch.no_grad():
            self.linear.bias.copy_(_prior(classes))  # type: ignore[union-attr]

    def forward(self, volume_B1XYZ: Tensor) -> Tensor:
        return self.linear(self.encoder(volume_B1XYZ).patch_map())


class FromScratch(nn.Module):
    """A MONAI network that starts near background, as the UNETR does, so that neither arm has a better start."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network = network
        self.prior = nn.Parameter(_prior(classes))

    def forward(self, volume_B1XYZ: Tensor) -> Tensor:
        return self.network(volume_B1XYZ) + self.prior.view(1, -1, 1, 1, 1)


class NetworkShape(Protocol):
    """What decides the shape of a network: settings of a run, or the card of an exported model."""

    @property
    def network(self) -> str: ...
    @property
    def structures(self) -> tuple[str, ...]: ...
    @property
    def features(self) -> int: ...
    @property
    def input_skip(self) -> bool: ...
    @property
    def deep_supervision(self) -> bool: ...
    @property
    def seed(self) -> int: ...


ON_ENCODER = ("unetr", "primus", "token_probe")
"""Networks that sit on an encoder; the others begin from scratch."""


def build_network(config: NetworkShape, encoder: AnyEncoder | None, crop: Triple, channels: int = 1) -> nn.Module:
    """The network that ``config`` names, with new weights drawn from its seed except for the encoder's; ``channels``
    are the contrasts of a scan.

    Raises:
        ConfigError: the crop does not suit the network.
    """
    torch.manual_seed(config.seed)  # the rest starts alike whatever the encoder
    classes = len(config.structures) + 1
    need = crops_taken(config.network, None if encoder is None else encoder.config)
    if why := need.refusal(crop):
        raise ConfigError(
            f"crop {'x'.join(map(str, crop))} does not suit this network",
            cause=why,
            remedy=f"set --crop {crop_word(common_crop([need], [crop]))}, or use another network",
        )
    if config.network in ON_ENCODER:
        assert encoder is not None
        if config.network == "token_probe":
            return TokenProbe(encoder, classes)
        if config.network == "primus":
            return PatchDecoder(encoder, classes, features=config.features)
        decoder = PyramidUnetr if encoder.config.pyramid else Unetr
        return decoder(
            encoder,
            classes,
            features=config.features,
            input_skip=config.input_skip,
            channels=channels,
            deep=config.deep_supervision,
        )
    if config.network == "swin_unetr":
        from monai.networks.nets import SwinUNETR

        return FromScratch(SwinUNETR(channels, classes, feature_size=config.features), classes)
    from monai.networks.nets import UNet

    # four halvings, or as many as come out even and leave two voxels along each axis
    levels = max(n for n in range(5) if all(edge % 2**n == 0 and edge >= 2 ** (n + 1) for edge in crop) or n == 0)
    if levels < 1:
        raise ConfigError(
            f"crop {'x'.join(map(str, crop))} cannot be halved for the U-Net", remedy="set --crop to multiples of 16"
        )
    if config.network == "resenc_unet":
        return ResEncUnet(classes, resenc_shape(config.features, levels, channels), deep=config.deep_supervision)
    widths = [config.features * 2**level for level in range(levels + 1)]
    return FromScratch(UNet(3, channels, classes, widths, [2] * levels, num_res_units=2), classes)


def crop_of(config: SegmentConfig, encoder: AnyEncoder | None) -> Triple:
    """Edges of crops and windows: as set, or as the encoder was trained."""
    if config.crop is not None:
        return triple(config.crop)
    assert encoder is not None
    return encoder.config.size_xyz


@dataclass(frozen=True)
class Taken:
    """Crops that a network takes: multiples of ``step``, and where the deepest level is normalised, more than one."""

    step: Triple
    why: str
    deep: bool = False

    def refusal(self, crop: Triple) -> str:
        """Why it does not take a crop; "" where it does."""
        if any(edge < s or edge % s for edge, s in zip(crop, self.step, strict=True)):
            return f"its edges must be multiples of {'x'.join(map(str, self.step))}, {self.why}"
        if self.deep and crop == self.step:
            return "its deepest level would be one voxel, which has no variance to normalise by"
        return ""

    @property
    def least(self) -> Triple:
        a, b, c = (n * (2 if self.deep else 1) for n in self.step)
        return a, b, c


def crops_taken(network: str, shape: Shape | None) -> Taken:
    """What a network, with the encoder of a shape where it has one, asks of a crop."""
    if network in ON_ENCODER:
        assert shape is not None
        if network == "unetr" and shape.pyramid:
            step = shape.pyramid[-1][0]
            return Taken((step, step, step), f"the coarsest stride of {shape.name}", deep=True)
        return Taken(shape.patch_xyz, f"the patch of {shape.name}")
    if network == "swin_unetr":
        return Taken((32, 32, 32), "which SwinUNETR halves five times", deep=True)
    return Taken((2, 2, 2), "which a U-Net halves once or more", deep=True)


def common_crop(taken: Sequence[Taken], wanted: Sequence[Triple]) -> Triple:
    """The smallest crop that all of these take, and that is not smaller than those ``wanted``."""
    edges = []
    for axis in range(3):
        step = math.lcm(*(one.step[axis] for one in taken))
        least = max([one.least[axis] for one in taken] + [size[axis] for size in wanted])
        edges.append(-(-least // step) * step)
    return edges[0], edges[1], edges[2]


def crop_word(crop: Triple) -> str:
    """As a setting is written: one number where the edges are alike."""
    return str(crop[0]) if len(set(crop)) == 1 else " ".join(map(str, crop))


def _prior(classes: int) -> Tensor:
    return torch.tensor([0.0] + [PRIOR_LOGIT] * (classes - 1))
