"""The flags of a job, made from its configuration class: one a setting, groups by dots, lists, variants."""

from __future__ import annotations

import argparse
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import shipped
from workbench.errors import ConfigError
from workbench.jobs import JOBS


def job_parser(name: str, config_class: type) -> argparse.ArgumentParser:
    """Flags from the fields of a configuration class; nested settings are dotted (``--encoder.preset``)."""
    parser = argparse.ArgumentParser(
        prog=f"workbench {name}", description=(config_class.__doc__ or "").strip(), argument_default=None
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="YAML",
        help="read settings from a file (a run's config.yaml); flags given here win",
    )
    if known := shipped.presets(name):
        parser.add_argument(
            "--preset", metavar="|".join(known), help="settings that come with the package; --config and flags win"
        )
    if words := JOBS[name].words:
        parser.add_argument(
            "words",
            nargs="*",
            metavar=" ".join(w.upper() for w in words),
            help=f"as {' and '.join(f'--{w}' for w in words)}",
        )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--overwrite", action="store_true", help="replace a run with other settings at --out")
    parser.add_argument("--quiet", action="store_true", help="no progress and no result; errors are still told")
    parser.add_argument("--json", action="store_true", help="no progress; the result as one line of JSON")
    settings: dict[str, list[Leaf]] = {}
    for leaf in leaves(config_class):
        settings.setdefault(leaf.path, []).append(leaf)
    for path, told in settings.items():
        annotation = told[0].annotation
        several = typing.get_origin(annotation) in (tuple, list) or _holds_tuple(annotation)
        choices = typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else None
        text = " ".join(_help(leaf) for leaf in told).replace("%", "%%")
        flag: dict[str, Any] = {}
        if several:  # `int | tuple` takes one number or one an axis; a list may be given empty: `--structures`
            flag = {"nargs": "*", "action": JoinOrOne if _holds_tuple(annotation) else Join}
        elif annotation is bool:
            flag = {"nargs": "?", "const": "true"}
        parser.add_argument(
            f"--{path}",
            dest=path,
            help=text,
            metavar="|".join(choices) if choices else path.rsplit(".", 1)[-1].upper(),
            **flag,
        )
    return parser


def split_words(job: str, config_class: type, words: list[str]) -> dict[str, Any]:
    """``MODEL SCAN SCAN …`` → settings by name, in the order of the job's words; one that is a list takes the rest.

    Raises:
        ConfigError: there are more words than settings.
    """
    several = {leaf.path for leaf in leaves(config_class) if typing.get_origin(leaf.annotation) in (tuple, list)}
    values: dict[str, Any] = {}
    left = list(words)
    for name in JOBS[job].words:
        if left:
            values[name], left = (left, []) if name in several else (left[0], left[1:])
    if left:
        raise ConfigError(
            f"{job}: do not know what to do with {' '.join(left)}",
            remedy=f"give {' '.join(w.upper() for w in JOBS[job].words)}, and the rest with its flag",
        )
    return values


class Join(argparse.Action):
    """A list; a repeated flag adds to it."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        before = getattr(namespace, self.dest) or []
        setattr(namespace, self.dest, [*before, *values])


class JoinOrOne(argparse.Action):
    """One value stays a value, several are a list."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values[0] if len(values) == 1 else values)


def underscored(argument: str) -> str:
    """``--batch-size 8`` means ``--batch_size 8``."""
    if not argument.startswith("--") or argument == "--dry-run":
        return argument
    flag, equals, value = argument.partition("=")
    return "--" + flag[2:].replace("-", "_") + equals + value


@dataclass(frozen=True)
class Leaf:
    """One setting: dotted name, type, pydantic's field, and of which variants it is one ("" for a plain setting).

    Variants may mean different things by one name, or have other defaults: then there are several of that path.
    """

    path: str
    annotation: Any
    field: Any
    variants: str = ""


def leaves(model: Any, prefix: str = "") -> Iterator[Leaf]:
    """Every setting, groups opened. A group with variants (objectives) gives the settings of all of them."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if hasattr(annotation, "variants"):
            yield from variant_leaves(annotation.variants(), f"{prefix}{name}.")
        elif hasattr(annotation, "model_fields"):
            yield from leaves(annotation, f"{prefix}{name}.")
        else:
            yield Leaf(f"{prefix}{name}", annotation, field)


def variant_leaves(variants: dict[str, Any], prefix: str) -> Iterator[Leaf]:
    """``name`` chooses the variant; a setting that several have is listed once where it is the same in all of them."""
    yield Leaf(f"{prefix}name", typing.Literal[tuple(variants)], next(iter(variants.values())).model_fields["name"])
    found: dict[str, tuple[Leaf, list[str]]] = {}
    for variant, model in variants.items():
        for leaf in leaves(model, prefix):
            if leaf.path != f"{prefix}name":
                found.setdefault(f"{leaf.path} {leaf.annotation} {_help(leaf)}", (leaf, []))[1].append(variant)
    for leaf, owners in found.values():
        yield Leaf(leaf.path, leaf.annotation, leaf.field, ", ".join(owners))


def put(values: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
    if isinstance(value, str) and value.lower() == "none":
        value = None
    values[path[-1]] = value


def _holds_tuple(annotation: Any) -> bool:
    union = isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union
    return union and any(typing.get_origin(a) in (tuple, list) for a in typing.get_args(annotation))


def _help(leaf: Leaf) -> str:
    """What a setting is, whose, its bounds and its default."""
    field = leaf.field
    of = f"[{leaf.variants}] " if leaf.variants else ""
    default = "" if field.is_required() else f" [{shown(field.get_default(call_default_factory=True))}]"
    return f"{of}{(field.description or '').strip()}{bounds(field)}{default}"


def bounds(field: Any) -> str:
    """What the field's constraints say, as in `` (above 0, at most 5)``."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    said = [f"{word} {getattr(c, key):g}" for c in field.metadata for key, word in words.items() if hasattr(c, key)]
    return f" ({', '.join(said)})" if said else ""


def shown(default: Any) -> str:
    if isinstance(default, tuple | list):
        return " ".join(str(v) for v in default) or "none"
    return str(default).lower() if isinstance(default, bool) else str(default)
