"""What is trained to segment: the UNETR on an encoder, a linear read-out of its tokens, and MONAI's from scratch."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from workbench.errors import ConfigError
from workbench.finetune.config import SegmentConfig
from workbench.model.config import triple
from workbench.model.contract import AnyEncoder
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
    def seed(self) -> int: ...


def build_network(config: NetworkShape, encoder: AnyEncoder | None, crop: Triple, channels: int = 1) -> nn.Module:
    """The network that ``config`` names, with new weights drawn from its seed except for the encoder's; ``channels``
    are the contrasts of a scan.

    Raises:
        ConfigError: the crop does not suit the network.
    """
    torch.manual_seed(config.seed)  # the rest starts alike whatever the encoder
    classes = len(config.structures) + 1
    if config.network in ("unetr", "token_probe"):
        assert encoder is not None
        _check_multiple(crop, encoder.config.patch_xyz, "the encoder's patch")
        if config.network == "token_probe":
            return TokenProbe(encoder, classes)
        if pyramid := encoder.config.pyramid:
            step = pyramid[-1][0]
            _check_multiple(crop, (step, step, step), "the coarsest stride of the encoder")
            if crop == (step, step, step):
                raise ConfigError(
                    f"crop {step}x{step}x{step} is too small for {encoder.config.name}",
                    cause="its deepest level would be one voxel, which has no variance to normalise by",
                    remedy=f"set --crop {2 * step}",
                )
        decoder = PyramidUnetr if pyramid else Unetr
        return decoder(encoder, classes, features=config.features, input_skip=config.input_skip, channels=channels)
    if config.network == "swin_unetr":
        from monai.networks.nets import SwinUNETR

        _check_multiple(crop, (32, 32, 32), "which SwinUNETR halves five times")
        if crop == (32, 32, 32):
            raise ConfigError(
                "crop 32x32x32 is too small for SwinUNETR",
                cause="its deepest level would be one voxel, which has no variance to normalise by",
                remedy="set --crop 64",
            )
        return FromScratch(SwinUNETR(channels, classes, feature_size=config.features), classes)
    from monai.networks.nets import UNet

    # four halvings, or as many as come out even and leave two voxels along each axis
    levels = max(n for n in range(5) if all(edge % 2**n == 0 and edge >= 2 ** (n + 1) for edge in crop) or n == 0)
    if levels < 1:
        raise ConfigError(
            f"crop {'x'.join(map(str, crop))} cannot be halved for the U-Net", remedy="set --crop to multiples of 16"
        )
    widths = [config.features * 2**level for level in range(levels + 1)]
    return FromScratch(UNet(3, channels, classes, widths, [2] * levels, num_res_units=2), classes)


def crop_of(config: SegmentConfig, encoder: AnyEncoder | None) -> Triple:
    """Edges of crops and windows: as set, or as the encoder was trained."""
    if config.crop is not None:
        return triple(config.crop)
    assert encoder is not None
    return encoder.config.size_xyz


def _check_multiple(crop: Triple, step: Triple, why: str) -> None:
    if any(edge < s or edge % s for edge, s in zip(crop, step, strict=True)):
        raise ConfigError(
            f"crop {'x'.join(map(str, crop))} does not suit this network",
            cause=f"its edges must be multiples of {'x'.join(map(str, step))}, {why}",
            remedy="set --crop, or use another network",
        )


def _prior(classes: int) -> Tensor:
    return torch.tensor([0.0] + [PRIOR_LOGIT] * (classes - 1))
