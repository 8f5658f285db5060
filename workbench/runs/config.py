"""One configuration class a job; the command line, the YAML, the notebook cell and the provenance come from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, TypeAdapter, ValidationError

from workbench.errors import ConfigError
from workbench.runs.texts import is_text, parse_yaml, printable

LATER: dict[str, JsonValue] = {"later": True}
"""``json_schema_extra`` of a setting that joined later, with a default that does what was done before: a run folder, or
a key made from settings, that does not have it is as good as one that has the default."""


def from_text(value: Any) -> Any:
    """A mapping or list that came from a flag is YAML text: ``--grid '{seed: [0, 1]}'``."""
    if not isinstance(value, str):
        return value
    try:
        return parse_yaml(value, value[:80])
    except ConfigError as error:
        raise ValueError(f"not YAML: {value[:80]}: {error.cause}") from error


Values = Annotated[dict[str, Any], BeforeValidator(from_text)]


class Settings(BaseModel):
    """A group of settings: unknown keys are errors, values never change, field docstrings are the help text."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)


class JobConfig(Settings):
    """Base of every job's configuration. ``job`` names the job in ``config.yaml`` and on the command line."""

    job: ClassVar[str]
    # a folder that takes on other settings: its name, or the names of its parts, stand for what they are made from
    extends: ClassVar[bool] = False

    out: Path
    """Run folder to write; made if absent, continued if it holds the same configuration unfinished."""

    @classmethod
    def build(cls, values: dict[str, Any]) -> Self:
        """Validate ``values``; every problem is told at once, by the name of the setting."""
        if bad := next(_unwritable(values), None):
            raise ConfigError(
                f"settings of '{cls.job}' are not valid",
                cause=f"{printable(bad)[:200]} is not UTF-8",
                remedy="rename the file or folder, as with convmv",
            )
        try:
            return cls(**values)
        except ValidationError as error:
            lines = [f"{'.'.join(str(p) for p in e['loc']) or cls.job}: {e['msg']}" for e in error.errors()]
            raise ConfigError(
                f"settings of '{cls.job}' are not valid",
                cause="; ".join(lines),
                remedy=f"`workbench {cls.job} --help` lists every setting with its bounds",
            ) from error

    def how(self) -> dict[str, Any]:
        """The settings that config.yaml does not keep, as JSON has them: for the same job in another process."""
        values = {name: getattr(self, name) for name, field in type(self).model_fields.items() if field.exclude}
        return {name: v.model_dump(mode="json") if isinstance(v, BaseModel) else v for name, v in values.items()}

    def to_yaml(self) -> str:
        return yaml.safe_dump({"job": self.job, **self.model_dump(mode="json")}, sort_keys=False)


def _unwritable(value: Any) -> Iterator[str]:
    """Names of files, and other text, that no file of settings could hold."""
    if isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _unwritable(one)
    elif isinstance(value, str | Path) and not is_text(str(value)):
        yield str(value)


def without_later(values: dict[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
    """Settings as YAML has them, without those that joined later and have their default."""
    out = dict(values)
    for name, field in kind.model_fields.items():
        if name not in out:
            continue
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("later"):
            default: Any = TypeAdapter(cast(Any, field.annotation)).dump_python(
                field.get_default(call_default_factory=True), mode="json"
            )
            if out[name] == default:
                del out[name]
        elif isinstance(out[name], dict) and hasattr(field.annotation, "model_fields"):
            out[name] = without_later(out[name], cast(Any, field.annotation))
    return out


def differing(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Names and values of the settings in which two configurations differ."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += differing(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {a!r} there, {b!r} now")
    return lines
