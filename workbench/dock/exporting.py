"""The job `export`: an encoder in a form that others take, which is read again before it is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from workbench.dock.export_config import ExportConfig
from workbench.dock.inputs import inputs_of_export
from workbench.dock.nnunet import require_resenc, write_nnunet
from workbench.errors import ConfigError, WorkbenchError
from workbench.model.config import EncoderConfig, triple
from workbench.model.contract import AnyEncoder
from workbench.model.export import EncoderCard, architecture_words, load_encoder, save_encoder
from workbench.model.foreign.shape import taken_in
from workbench.model.foreign.vit import VitShape
from workbench.model.inputs import WEIGHTS
from workbench.runs import Run, digest_file, finished, start_run
from workbench.volumes.volume import Triple

CLOSE = 1e-4
MONAI, PROGRAM = "monai_vit.safetensors", "encoder.pt2"


def run_export(config: ExportConfig, *, overwrite: bool = False) -> Run:
    """The exported file or folder, and in the provenance how far its features are from the encoder's.

    Raises:
        ConfigError: this form cannot hold this encoder; it says what it lacks.
        WorkbenchError: what was written gives other features.
    """
    encoder, card = load_encoder(config.encoder)
    inputs = inputs_of_export(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    size = card.config.size_xyz if config.size is None else triple(config.size)
    if any(n % p for n, p in zip(size, card.config.patch_xyz, strict=True)):
        raise ConfigError(
            f"size {size}: no multiple of the patch", remedy=f"set --size to multiples of {card.config.patch_xyz}"
        )
    if config.to == "monai_vit":
        made = monai_weights(encoder, card)
    if config.to == "nnunet":
        require_resenc(encoder)
    with start_run(config, overwrite=overwrite, inputs=inputs, simulated=card.simulated) as run:
        if config.to == "monai_vit":
            file, apart = write_monai(run.path, encoder, *made, size)
        elif config.to == "torch_export":
            file, apart = write_program(run.path, encoder, size)
        elif config.to == "nnunet":
            file, apart = write_nnunet(run.path, encoder, example(size))
        else:
            file, apart = write_shared(run.path, card, encoder, config.licence)
        if apart > CLOSE:
            raise WorkbenchError(
                f"{file}: gives other features than the encoder",
                cause=f"they are up to {apart:.2g} apart",
                remedy="this is a defect: report it with the encoder's config.json",
            )
        run.note(file=str(file.relative_to(run.path)), digest=digest_file(file), largest_difference=apart)
    return run


class _Program(nn.Module):
    """CLS (or what takes its place) and patch tokens as plain tensors."""

    def __init__(self, encoder: AnyEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, volume: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.encoder(volume)
        return tokens.cls_BD, tokens.patches_BPD


def example(size: Triple) -> Tensor:
    """A volume ``(1, 1, X, Y, Z)`` with background at its border, the same each time."""
    drawn = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(0))
    drawn[:, :, :2] = 0
    return drawn


def _apart(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True))


@torch.no_grad()
def write_program(folder: Path, encoder: AnyEncoder, size: Triple) -> tuple[Path, float]:
    """A program of torch.export, and how far its features are from the encoder's."""
    volume, program = example(size), _Program(encoder.eval())
    torch.export.save(torch.export.export(program, (volume,)), folder / PROGRAM)
    again = torch.export.load(folder / PROGRAM).module()
    return folder / PROGRAM, _apart(again(volume), program(volume))


def monai_weights(encoder: AnyEncoder, card: EncoderCard) -> tuple[dict[str, Any], dict[str, Tensor], float]:
    """Arguments of MONAI's ViT, its state dict, and the epsilon of its norms.

    Raises:
        ConfigError: the encoder has what MONAI's ViT has not.
    """
    config = card.config
    weights = {name: value.detach() for name, value in encoder.state_dict().items()}
    lacks = {"is no ViT": not isinstance(config, EncoderConfig | VitShape), "has registers": config.registers > 0}
    if isinstance(config, EncoderConfig):
        lacks["has rotary positions"] = config.positions == "rotary"
        hidden, channels, cls, bias, eps = 4 * config.width, config.channels, True, config.qkv_bias, 1e-6
    elif isinstance(config, VitShape):
        lacks |= {
            "has rotary positions": config.rotary,
            "has another MLP": config.mlp != "gelu",
            "norms more than MONAI's does": config.inner_norm or config.qk_norm,
            "has no learned positions": config.positions != "learned",
        }
        hidden, channels, cls, bias, eps = config.hidden, config.channels, config.cls, config.qkv_bias, config.eps
    if found := [what for what, so in lacks.items() if so]:
        raise ConfigError(
            "monai_vit: MONAI's ViT cannot hold this encoder",
            cause=f"it {' and '.join(found)}",
            remedy="export it with --to torch_export",
        )
    assert isinstance(config, EncoderConfig | VitShape)
    patch = config.patch_xyz if isinstance(config, EncoderConfig) else config.own_patch_xyz
    own = {name: value for name, value in weights.items() if name.startswith("norm.")}
    embed = weights["embed.weight"]
    own["patch_embedding.patch_embeddings.weight"] = embed.view(config.width, channels, *patch)
    own["patch_embedding.patch_embeddings.bias"] = weights["embed.bias"]
    own["patch_embedding.position_embeddings"] = weights["positions"].flatten(2).transpose(1, 2)
    if cls:
        own["cls_token"] = weights["cls"] + weights.get("cls_position", 0)
    for i in range(config.depth):
        name = f"blocks.{i}"
        for ours, theirs in (("norm1", "norm1"), ("norm2", "norm2"), ("attn.qkv", "attn.qkv")):
            for kind in ("weight", "bias") if bias or ours != "attn.qkv" else ("weight",):
                own[f"{name}.{theirs}.{kind}"] = weights[f"{name}.{ours}.{kind}"]
        # MONAI's block has a norm for cross attention that no pass of a ViT comes through
        own[f"{name}.norm_cross_attn.weight"] = torch.ones(config.width)
        own[f"{name}.norm_cross_attn.bias"] = torch.zeros(config.width)
        for ours, theirs, scale in (
            ("attn.proj", "attn.out_proj", "scale1"),
            ("mlp.0", "mlp.linear1", ""),
            ("mlp.2", "mlp.linear2", "scale2"),
        ):
            for kind in ("weight", "bias"):
                value, by = weights[f"{name}.{ours}.{kind}"], weights.get(f"{name}.{scale}")
                # MONAI has no scale of a branch: it goes into what makes the branch
                own[f"{name}.{theirs}.{kind}"] = (
                    value if by is None else value * (by[:, None] if kind == "weight" else by)
                )
    arguments = {
        "in_channels": channels,
        "img_size": [n * p for n, p in zip(weights["positions"].shape[2:], patch, strict=True)],
        "patch_size": list(patch),
        "hidden_size": config.width,
        "mlp_dim": hidden,
        "num_layers": config.depth,
        "num_heads": config.heads,
        "classification": cls,
        "qkv_bias": bias,
    }
    return arguments, own, eps


@torch.no_grad()
def write_monai(
    folder: Path, encoder: AnyEncoder, arguments: dict[str, Any], weights: dict[str, Tensor], eps: float, size: Triple
) -> tuple[Path, float]:
    """State dict, arguments and a few lines that load both; and how far MONAI's features are from the encoder's."""
    from monai.networks.nets import ViT

    save_file({name: value.contiguous() for name, value in weights.items()}, folder / MONAI)
    (folder / "arguments.json").write_text(json.dumps({**arguments, "norm_eps": eps}, indent=2) + "\n")
    (folder / "README.md").write_text(MONAI_WORDS.format(eps=eps, wants=encoder.config.wants))
    net = ViT(**arguments, num_classes=1) if arguments["classification"] else ViT(**arguments)
    net.load_state_dict(weights, strict=not arguments["classification"])
    for module in net.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = eps
    if arguments["classification"]:
        net.classification_head = nn.Sequential()  # the token itself
    net.eval()
    volume = example(size)
    given = volume
    if isinstance(encoder.config, VitShape):
        given = taken_in(volume, encoder.config)
    tokens, theirs = encoder(volume), net(given)[0]
    wanted = tokens.cls_BD if arguments["classification"] else tokens.patches_BPD
    # with a head for classification MONAI's gives the first token alone
    return folder / MONAI, _apart((theirs,), (wanted,))


MONAI_WORDS = """# An encoder as MONAI's ViT

    import json
    from monai.networks.nets import ViT
    from safetensors.torch import load_file
    from torch import nn

    arguments = json.load(open("arguments.json"))
    eps = arguments.pop("norm_eps")
    vit = ViT(**arguments)
    vit.load_state_dict(load_file("monai_vit.safetensors"), strict=False)  # but for a head, which it has not
    for module in vit.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = eps  # MONAI's own is 1e-5, this encoder's {eps:g}

Without CLS the same names with `vit.` before them go into UNETR. It wants {wants}.
"""


def write_shared(folder: Path, card: EncoderCard, encoder: AnyEncoder, licence: str) -> tuple[Path, float]:
    """A folder as a hub of models shows it: weights, settings, a card. Nothing is sent anywhere."""
    known = licence or (card.origin.licence if card.origin else "")
    if not known or known == "not stated":
        raise ConfigError(
            "a folder to be shared needs a licence",
            cause="the encoder's card states none",
            remedy="say it: --licence",
        )
    target = folder / "shared"
    save_encoder(target, encoder.state_dict(), card)
    words = (target / "README.md").read_text()
    (target / "README.md").write_text(
        SHARED_HEAD.format(licence=known)
        + words
        + SHARED_WORDS.format(what=architecture_words(card.config), seen=card.seen_words, licence=known)
    )
    again, _ = load_encoder(target)
    volume = example(card.config.size_xyz)
    with torch.no_grad():
        a, b = again(volume), encoder(volume)
    return target / WEIGHTS, _apart((a.all_BND,), (b.all_BND,))


SHARED_HEAD = """---
license: other
license_name: "{licence}"
library_name: volta-workbench
tags: [brain-mri, self-supervised, feature-extraction]
---

"""
SHARED_WORDS = """
## Intended use

Features of T1w brain MRI for research. Not for diagnosis, nor for anything that decides about a person.

## Limits

- Architecture: {what}.
- It has seen {seen}.
- Licence of the weights: {licence}.
- What it transfers to is measured in a study of yours: `workbench compare`.
"""
