"""From the names and forms of a published checkpoint to ours, key by key, and what to say where they do not fit."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from workbench.dock.table import FORMATS, Format
from workbench.dock.translation import Asked, NotThisForm, shapes_of
from workbench.errors import WorkbenchError
from workbench.model.foreign.config import Foreign


@dataclass(frozen=True)
class Read:
    """A checkpoint in our form, and the fate of each of its tensors."""

    shape: Foreign
    weights: dict[str, Tensor]
    keys: list[dict[str, str]]
    """name, shape, fate (taken, left, missing), told (as what, or why)."""
    inside: str


def read_as(form: Format, tensors: Mapping[str, Tensor], asked: Asked, *, inside: str, leave: tuple[str, ...]) -> Read:
    """Translate a checkpoint.

    Raises:
        WorkbenchError: it is not of this form: which names are missing, of another shape or not known, and which form
            fits best.
    """
    prefix = prefix_of(form, tensors, inside, asked)
    own = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        made = form.translator()(own, asked)
    except NotThisForm as error:
        raise _mismatch(form, tensors, asked, str(error)) from error
    wanted = shapes_of(made.shape)
    weights: dict[str, Tensor] = {}
    taken: dict[str, list[str]] = {}
    wrong: list[str] = []
    rows: list[dict[str, str]] = []
    for ours, rule in made.rules.items():
        if absent := [name for name in rule.names if name not in own]:
            rows += [{"name": prefix + n, "shape": "", "fate": "missing", "told": f"for {ours}"} for n in absent]
            wrong += [f"{name} is missing" for name in absent]
            continue
        value = rule.make(*(own[name] for name in rule.names)).detach()
        for name in rule.names:
            taken.setdefault(name, []).append(ours)
        if tuple(value.shape) != wanted[ours]:
            wrong.append(f"{' and '.join(rule.names)} gives {tuple(value.shape)} for {ours}, wanted {wanted[ours]}")
        weights[ours] = value.contiguous()
    wrong += [f"nothing gives {name}" for name in wanted if name not in made.rules]
    for name, value in own.items():
        told, fate = ", ".join(taken.get(name, [])), "taken"
        if name not in taken:
            fate, told = "left", _why_left(form, name, prefix + name, leave)
            if not told:
                wrong.append(f"{name} is not known")
        rows.append({"name": prefix + name, "shape": _size(value), "fate": fate, "told": told})
    rows += [
        {"name": name, "shape": _size(value), "fate": "left", "told": "outside of the encoder"}
        for name, value in tensors.items()
        if not name.startswith(prefix)
    ]
    if wrong:
        raise _mismatch(form, tensors, asked, "; ".join(wrong[:4]) + (f" … ({len(wrong)})" if len(wrong) > 4 else ""))
    return Read(made.shape, weights, rows, prefix)


def prefix_of(form: Format, tensors: Mapping[str, Tensor], inside: str = "", asked: Asked | None = None) -> str:
    """What stands before the names of the encoder's tensors.

    Raises:
        WorkbenchError: its anchor is nowhere, or in several places.
    """
    places = [name.removesuffix(form.anchor) for name in tensors if name.endswith(form.anchor)]
    places = [place for place in places if not place or place.endswith(".")]
    if inside:
        wanted = inside.rstrip(".") + "."
        places = [place for place in places if place.endswith(wanted) or f".{wanted}" in f".{place}"]
    if kept := [place for place in places if not any(word in f".{place}" for word in form.avoids)]:
        places = kept
    for word in form.prefers if len(places) > 1 else ():
        if better := [place for place in places if word in place]:
            places = better
            break
    if len(places) == 1:
        return places[0]
    if not places:
        raise _mismatch(form, tensors, asked, f"no tensor is named {'…' if not inside else inside + '…'}{form.anchor}")
    raise WorkbenchError(
        f"format {form.name}: the checkpoint holds the encoder {len(places)} times",
        cause=", ".join(p.rstrip(".") or "(at its root)" for p in places[:6]),
        remedy="say which: --inside",
    )


def fit(form: Format, tensors: Mapping[str, Tensor], asked: Asked) -> float:
    """Share of the encoder's tensors that a checkpoint has under the names of a format; 0 where it is another."""
    try:
        prefix = prefix_of(form, tensors)
        own = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
        made = form.translator()(own, asked)
    except (NotThisForm, WorkbenchError, ValueError, KeyError):
        return 0.0
    return sum(all(name in own for name in rule.names) for rule in made.rules.values()) / max(len(made.rules), 1)


def _mismatch(form: Format, tensors: Mapping[str, Tensor], asked: Asked | None, cause: str) -> WorkbenchError:
    remedy = "say where it is with --inside, or name another --format"
    if asked is not None:
        others = {one.name: fit(one, tensors, asked) for one in FORMATS.values() if one.name != form.name}
        best = max(others, key=lambda name: others[name], default=None)
        if best is not None and others[best] > 0:
            remedy = f"the nearest format is {best} (it has {others[best]:.0%} of its tensors): --format {best}"
    return WorkbenchError(f"the checkpoint is not of the form '{form.name}'", cause=cause, remedy=remedy)


def _why_left(form: Format, name: str, whole: str, leave: tuple[str, ...]) -> str:
    for pattern, why in form.leaves:
        if re.fullmatch(pattern, name):
            return why
    asked = [p for p in leave if fnmatch.fnmatchcase(name, p) or fnmatch.fnmatchcase(whole, p)]
    return f"left as --leave {asked[0]} says" if asked else ""


def _size(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "1"
