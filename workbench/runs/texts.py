"""Text files of somebody's, read within limits: what is wrong with one is told by its name and place.

Size is judged before reading, depth before anything walks what was read, and no parser's own exception comes out.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import ConfigError, WorkbenchError

MAX_TEXT = 512 * 1024**2  # a participants.tsv of a million people has some 100 MB
MAX_JSON = 512 * 1024**2  # the provenance of an encoder names everybody it has seen
MAX_YAML = 4 * 1024**2  # its parser takes some seconds a megabyte
MAX_DEPTH = 64
MAX_EXPANDED = 1_000_000  # values, each alias counted with all that it stands for
MAX_MERGED = 10_000  # settings that one mapping takes over from others (`<<`), counted before they are


def printable(text: object) -> str:
    """Text that can be written and sent: a file name in another encoding than UTF-8, or half a character of JSON, with
    what is no character as ``\\udce9``."""
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def is_text(text: str) -> bool:
    """Whether it can be written: file names need not be UTF-8, and escapes of JSON and YAML may be half a character."""
    return printable(text) == text


def read_text(path: Path, *, limit: int = MAX_TEXT, encodings: Sequence[str] = ("utf-8-sig",)) -> str:
    """A whole text file, with or without a byte order mark.

    Args:
        path: The file.
        limit: Bytes; a larger file is refused unread.
        encodings: Tried in this order; ``latin-1`` takes anything.

    Raises:
        WorkbenchError: there is none, it cannot be read, is too large, or is in another encoding (with line and byte).
    """
    try:
        if not path.is_file():
            raise WorkbenchError(f"{path}: no such file", cause="nothing is there", remedy="check the path")
        size = path.stat().st_size
        content = path.read_bytes() if size <= limit else b""
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise WorkbenchError(
            f"{path}: cannot be read", cause=why, remedy="check the path and its permissions"
        ) from error
    if size > limit:
        raise WorkbenchError(
            f"{path}: the file is too large",
            cause=f"more than {limit / 1e6:.0f} MB; such files have a thousandth of it",
            remedy="is it what its name says?",
        )
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # a spreadsheet's "Unicode text"
        encodings = ("utf-16", *encodings)
    failed: UnicodeError | None = None
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeError as error:
            failed = failed or error
    at = getattr(failed, "start", 0)
    line = content[:at].count(10) + 1
    raise WorkbenchError(
        f"{path}: not UTF-8 text",
        cause=f"byte 0x{content[at]:02x} in line {line} (at {at})",
        remedy="save it as UTF-8",
    )


def read_json(path: Path, *, limit: int = MAX_JSON, finite: bool = False) -> dict[str, Any]:
    """A JSON object.

    Args:
        finite: Refuse NaN and numbers beyond all bounds, which Python's own JSON takes.

    Raises:
        WorkbenchError: as ``read_text``; not JSON (with line and column), no object, or nested too deeply.
    """
    text = read_text(path, limit=limit)
    remedy = "write it again, or repair it with an editor that knows JSON"
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise _too_deep(path, WorkbenchError) from error
    except ValueError as error:
        raise WorkbenchError(f"{path}: not JSON", cause=str(error)[:200], remedy=remedy) from error
    if not isinstance(values, dict):
        raise WorkbenchError(
            f"{path}: not a JSON object", cause=f"it holds a {type(values).__name__}", remedy='write {"name": value}'
        )
    _require_shallow(path, values, WorkbenchError)
    _require_characters(path, text, values, WorkbenchError)
    if finite and (bad := next(_infinite(values), None)):
        raise WorkbenchError(f"{path}: not a number", cause=bad, remedy=remedy)
    return values


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping of settings from a YAML file (safe loader).

    Raises:
        ConfigError: it cannot be read, is no YAML (with line and column), no mapping, a value is not what its tag or
            form says, a key is no text or stands twice, or it is nested too deeply.
    """
    try:
        text = read_text(path, limit=MAX_YAML)
    except WorkbenchError as error:
        raise ConfigError(error.what, cause=error.cause, remedy=error.remedy) from error
    values = parse_yaml(text, path)
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: not a mapping of settings",
            cause="it is empty" if values is None else f"it holds a {type(values).__name__}",
            remedy="write one `name: value` a line",
        )
    return values


def parse_yaml(text: str, name: object) -> Any:
    """What a YAML text says; see ``read_yaml``."""
    try:
        values = yaml.load(text, _Loader)
    except RecursionError as error:
        raise _too_deep(name, ConfigError) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{name}: cannot be read as YAML",
            cause=f"{error.problem or error.context or 'not YAML'}{place}"[:300],
            remedy="check the spelling and the indentation there",
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(
            f"{name}: cannot be read as YAML",
            cause=(str(error).splitlines() or [type(error).__name__])[0][:300],
            remedy="save it as plain text, and check the indentation",
        ) from error
    if isinstance(values, dict | list):
        _require_shallow(name, values, ConfigError, MAX_EXPANDED)
    _require_characters(name, text, values, ConfigError)
    return values


MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """A safe loader whose errors have a place, and that takes no key but text, and each once."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as error:  # 2001-99-99, `!!int abc`: whatever a constructor thinks of
            said = f"{str(node.value)[:60]!r} is not what its form says: {error}"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark) from error

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        merged = 0
        for key, value in node.value:
            for one in (value.value if isinstance(value, yaml.SequenceNode) else [value]) if key.tag == MERGE else ():
                if isinstance(one, yaml.MappingNode):
                    self.flatten_mapping(one)
                    merged += len(one.value)
                if merged > MAX_MERGED:
                    said = f"it takes over more than {MAX_MERGED:,} settings from others"
                    raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        super().flatten_mapping(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else []:
            if key.tag not in ("tag:yaml.org,2002:str", MERGE):
                said = f"the key {str(key.value)[:60]!r} is no text (write it in quotation marks)"
                raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
            if key.value in seen and key.tag.endswith("str"):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value[:60]!r} stands here a second time", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _require_shallow(name: object, values: Any, kind: type[WorkbenchError], most: float = math.inf) -> None:
    """Refuse what is nested too deeply, or holds more than ``most`` values, an alias counted as often as it stands."""
    level, seen = [values], 0
    for _ in range(MAX_DEPTH):
        inside = [v.values() if isinstance(v, dict) else v for v in level]
        seen += sum(map(len, inside))
        if seen > most:
            raise kind(
                f"{name}: holds too much",
                cause=f"more than {most:,} values, aliases counted with what they stand for",
                remedy="write it without anchors and aliases, or as several files",
            )
        level = [v for values in inside for v in values if isinstance(v, dict | list)]
        if not level:
            return
    raise _too_deep(name, kind)


def _require_characters(name: object, text: str, values: Any, kind: type[WorkbenchError]) -> None:
    """Refuse half a character, which an escape can name and nobody can write."""
    if "\\ud" not in text.lower():
        return
    level = [values]
    while level:
        inside = [one for v in level if isinstance(v, dict | list) for one in (v.items() if isinstance(v, dict) else v)]
        level = [part for one in inside for part in (one if isinstance(one, tuple) else [one])]
        if bad := next((one for one in level if isinstance(one, str) and not is_text(one)), None):
            raise kind(
                f"{name}: holds half a character",
                cause=f"in {printable(bad)[:60]!r}",
                remedy="write the character itself, in UTF-8",
            )


def _infinite(values: Any, where: str = "") -> Iterator[str]:
    """Names of the values that are NaN or beyond all bounds."""
    inside = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in inside:
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{where}{key} is {value}"
        elif isinstance(value, dict | list):
            yield from _infinite(value, f"{where}{key}.")


def _too_deep(name: object, kind: type[WorkbenchError]) -> WorkbenchError:
    return kind(
        f"{name}: nested too deeply",
        cause=f"more than {MAX_DEPTH} levels",
        remedy="such files have three or four; is it what its name says?",
    )
