"""What a published form says of a checkpoint: the shape of its encoder, and where each of our tensors comes from.

Beside it what the functions of the forms (``formats/``) share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from workbench.model.foreign.config import Foreign

USUAL_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1152: 16, 1280: 16, 1408: 16, 1536: 24}


@dataclass(frozen=True)
class Asked:
    """What the user says that no weight tells."""

    base: dict[str, Any]
    """Settings of every `ForeignShape`: format, title, channels aside."""
    image_size: Any = None
    heads: int | None = None


@dataclass(frozen=True)
class From:
    """Where one of our tensors comes from: names in the checkpoint, and what is made of them."""

    names: tuple[str, ...]
    make: Callable[..., Tensor] = lambda one: one


@dataclass
class Translation:
    """The shape of an encoder, and where each of its tensors comes from."""

    shape: Foreign
    rules: dict[str, From] = field(default_factory=dict)


class NotThisForm(Exception):
    """The checkpoint lacks what the format's shape is read from."""


def shapes_of(shape: Foreign) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of an encoder, without taking memory for them."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in shape.build().state_dict().items()}


def count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """How many numbers a pattern with one group finds from 0 on: the depth of a network."""
    found = {int(m.group(1)) for name in tensors if (m := re.match(pattern, name))}
    if found != set(range(len(found))) or not found:
        raise NotThisForm(f"no tensors are named {pattern}")
    return len(found)


def need(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """A tensor that the shape is read from."""
    if name not in tensors:
        raise NotThisForm(f"{name} is missing")
    return tensors[name]


def cube_edge(places: int, what: str) -> int:
    """Edge of a cube of so many places."""
    edge = round(places ** (1 / 3))
    if edge**3 != places:
        raise NotThisForm(f"{places} {what} are no cube; set --image_size")
    return edge


def square_edge(places: int, what: str) -> int:
    """Edge of a square of so many places."""
    edge = round(places**0.5)
    if edge**2 != places:
        raise NotThisForm(f"{places} {what} are no square; set --image_size")
    return edge


def mirrored(shape: Foreign, ours: str, theirs: str) -> dict[str, From]:
    """Every tensor under the name that it has there, but for what stands before it."""
    return {name: From((theirs + name.removeprefix(ours),)) for name in shapes_of(shape)}


def usual_heads(width: int, heads: int | None) -> int:
    return heads or USUAL_HEADS.get(width, max(1, width // 64))


def grid_of_places(places_1PD: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Learned positions in raster order as a volume ``(1, D, x, y, z)``."""
    return places_1PD.transpose(1, 2).unflatten(2, grid)
