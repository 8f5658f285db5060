"""A residual encoder for nnU-Net v2: weights under its names, and the architecture that its plans must ask for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench.dock.checkpoint import read_checkpoint
from workbench.dock.formats.resenc import names_of
from workbench.errors import ConfigError
from workbench.model.contract import AnyEncoder
from workbench.model.decoders import ResEncUnet
from workbench.model.foreign.conv import ResEncEncoder, ResEncShape

WEIGHTS, PLANS = "checkpoint_pretrained.pth", "plans-architecture.json"
INSIDE = "network_weights"  # where nnU-Net looks


def require_resenc(encoder: AnyEncoder) -> None:
    """Refuse whatever is no residual encoder.

    Raises:
        ConfigError: nnU-Net's residual U-Net cannot hold it.
    """
    if not isinstance(encoder, ResEncEncoder):
        raise ConfigError(
            "nnunet: nnU-Net's residual U-Net cannot hold this encoder",
            cause=f"it is {encoder.config.name}, and no residual encoder of nnU-Net's kind",
            remedy="export it with --to torch_export, or fine-tune it here: `workbench segment`",
        )


@torch.no_grad()
def write_nnunet(folder: Path, encoder: AnyEncoder, volume: Tensor) -> tuple[Path, float]:
    """Checkpoint, architecture and a README; and how far features of what was written are from the encoder's.

    nnU-Net asks for every tensor but those of its heads, so that the decoder's stand there too, drawn anew.
    """
    assert isinstance(encoder, ResEncEncoder)
    shape = encoder.config
    torch.manual_seed(0)
    net = ResEncUnet(2, shape)
    net.encoder_.load_state_dict(encoder.state_dict())
    torch.save({INSIDE: nnunet_weights(net)}, folder / WEIGHTS)
    (folder / PLANS).write_text(json.dumps(architecture(shape), indent=2) + "\n")
    (folder / "README.md").write_text(WORDS.format(wants=shape.wants, plans=PLANS, weights=WEIGHTS))
    read = read_checkpoint(folder / WEIGHTS)
    again = ResEncEncoder(shape).eval()
    again.load_state_dict({ours: read[f"{INSIDE}.encoder.{theirs}"] for ours, theirs in names_of(shape).items()})
    found, wanted = (one(volume).all_BND for one in (again, encoder.eval()))
    return folder / WEIGHTS, float((found - wanted).abs().max())


def nnunet_weights(net: ResEncUnet) -> dict[str, Tensor]:
    """All but the heads, under each of the names that a module has there: a convolution and a norm have two, and the
    encoder is part of the decoder too."""
    encoder = {ours: f"encoder.{theirs}" for ours, theirs in names_of(net.encoder_.config).items()}
    out: dict[str, Tensor] = {}
    for name, value in net.state_dict().items():
        room, rest = name.split(".", 1)
        if room == "encoder_":
            places = [encoder[rest], f"decoder.{encoder[rest]}"]
        elif room == "raises":
            places = [f"decoder.transpconvs.{rest}"]
        elif room == "merges":
            place, kind = rest.split(".", 1)
            places = [f"decoder.stages.{place}.convs.0.{kind}"]
        else:
            continue
        for place in places:
            out[place] = value.clone()
            module, _, kind = place.rpartition(".")
            unit, _, part = module.rpartition(".")
            if part in ("conv", "norm"):
                out[f"{unit}.all_modules.{('conv', 'norm').index(part)}.{kind}"] = value.clone()
    return out


def architecture(shape: ResEncShape) -> dict[str, Any]:
    """What stands under ``architecture`` in a configuration of nnU-Net's plans."""
    levels = len(shape.widths)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
        "arch_kwargs": {
            "n_stages": levels,
            "features_per_stage": list(shape.widths),
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * levels,
            "strides": [[1, 1, 1], *([[2, 2, 2]] * (levels - 1))],
            "n_blocks_per_stage": list(shape.blocks),
            "n_conv_per_stage_decoder": [1] * (levels - 1),
            "conv_bias": shape.bias,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


WORDS = """# A residual encoder for nnU-Net v2

1. Plan and preprocess as always, with a residual planner (`-pl nnUNetPlannerResEncM`).
2. In a copy of the plans, put what `{plans}` says in the place of `architecture` of the configuration `3d_fullres`, and
   give the copy a `plans_name` of its own. Its patch has to be a multiple of the product of the strides.
3. `nnUNetv2_train ID 3d_fullres FOLD -p NAME -pretrained_weights {weights}`

The encoder's weights are those that were exported; the decoder's are drawn anew, since nnU-Net asks for them, and its
heads are not in it. The encoder wants {wants}; nnU-Net gives z-scores of the whole image or of its nonzero part.
"""
