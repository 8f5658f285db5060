"""The state as the query of an address, and back. Nothing from an address is believed: each value is looked up."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np
import param

from workbench.explorer.session.state import ExplorerState

# these change what the others may be, so they are set first and in this order; the scan comes last
FIRST = (
    "embed_run",
    "segment_run",
    "attend_run",
    "projection",
    "color",
    "head",
    "compared",
    "metric",
    "group_run",
    "group_by",
)
LAST = ("selection", "case")
FEW = 12  # ids are written out up to here; longer selections are a bitmap over the cohort's rows
LONGEST = 6000  # characters of a selection: servers and chat programs cut addresses at about 8000


def held(state: ExplorerState) -> list[str]:
    """Names of the parameters that the address holds, in the order in which they are set."""
    names = [
        name
        for name in state.param
        if name not in ("name", "cohort", "message") and (state.param[name].precedence or 0) >= 0
    ]
    return [*(n for n in FIRST if n in names), *(n for n in names if n not in (*FIRST, *LAST)), *LAST]


def write(state: ExplorerState) -> tuple[str, str]:
    """The query (``"?view=cohort&…"``) of what differs from the defaults, and what it could not hold, for a reader."""
    query, lost = {}, ""
    for name in held(state):
        value = getattr(state, name)
        if value == type(state).param[name].default or value is None:
            continue
        text = _selection(state) if name == "selection" else _text(value)
        if len(text) > LONGEST:
            lost = f"The address cannot hold the {len(value)} selected; CSV can."
            continue
        query[name] = text
    return "?" + urlencode(query), lost


def read(state: ExplorerState, query: Mapping[str, str]) -> list[str]:
    """Set what the query holds; returns a sentence for each value that was not taken."""
    problems = []
    for name in held(state):
        if name not in query:
            continue
        try:
            setattr(state, name, _value(state, name, query[name]))
        except (ValueError, TypeError, KeyError, OverflowError, zlib.error):
            problems.append(f"the address says {name} = '{query[name][:60]}', which is not to be had here")
    return problems


def go(state: ExplorerState, query: Mapping[str, str]) -> list[str]:
    """To another address of this session (the browser went back): what it does not hold gets its first value, but for
    what depends on the runs, which stays."""
    with param.parameterized.batch_call_watchers(state):
        for name in held(state):
            asked = state.param[name]
            plain = (
                name not in FIRST
                if isinstance(asked, param.ListSelector)
                else not isinstance(asked, param.Selector) or asked.default in (asked.objects or [])
            )
            if name not in query and plain and name != "case" and getattr(state, name) != asked.default:
                setattr(state, name, asked.default)
        return read(state, query)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ",".join(_text(v) for v in value)
    return str(value)


def _value(state: ExplorerState, name: str, text: str) -> Any:
    """The value that ``text`` names; ValueError or KeyError where there is none such."""
    asked = state.param[name]
    if name == "selection" and text.startswith("~"):
        return _from_bitmap(state, text)
    if isinstance(asked, param.ListSelector):
        known = {str(v): v for v in asked.objects}
        return [known[part] for part in text.split(",") if part]
    if isinstance(asked, param.Selector):
        return {str(v): v for v in asked.get_range().values()}[text]
    if isinstance(asked, param.Boolean):
        return {"0": False, "1": True}[text]
    if isinstance(asked, param.Tuple):  # and Range
        return tuple(_number(part) for part in text.split(","))
    if isinstance(asked, param.Number):
        number = min(max(_number(text), _end(asked.bounds, 0, -math.inf)), _end(asked.bounds, 1, math.inf))
        return int(number) if isinstance(asked, param.Integer) else number
    scans = set(state.cohort["scan_id"]) if len(state.cohort) else set()
    ids = [part for part in text.split(",") if part]
    if not set(ids) <= scans or (isinstance(asked, param.String) and len(ids) > 1):
        raise ValueError("no such scan")
    return ids if isinstance(asked, param.List) else (ids[0] if ids else "")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _end(bounds: Any, which: int, otherwise: float) -> float:
    return otherwise if bounds is None or bounds[which] is None else float(bounds[which])


def _selection(state: ExplorerState) -> str:
    if len(state.selection) <= FEW and not any("," in scan_id for scan_id in state.selection):
        return ",".join(state.selection)
    chosen = np.zeros(len(state.cohort), bool)
    chosen[state.selected_rows()] = True
    bits = np.packbits(chosen).tobytes()
    first = _packed(bits[: 4 * LONGEST])  # is this alone too long, the rest of a million need not be tried
    return f"~{_checksum(state)}~{_packed(bits) if len(first) <= LONGEST else first}"


def _packed(bits: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(bits, 9)).decode()


def _from_bitmap(state: ExplorerState, text: str) -> list[str]:
    _, checksum, packed = text.split("~")
    if checksum != _checksum(state):
        raise ValueError("another cohort")
    # never more than the cohort asks for, whatever the address unpacks to
    raw = zlib.decompressobj().decompress(base64.urlsafe_b64decode(packed), -(-len(state.cohort) // 8) or 1)
    rows = np.flatnonzero(np.unpackbits(np.frombuffer(raw, np.uint8), count=len(state.cohort)))
    return [str(scan_id) for scan_id in state.cohort["scan_id"].iloc[rows]]


def _checksum(state: ExplorerState) -> str:
    """Of the cohort's rows, so that a bitmap is never laid over others."""
    return f"{zlib.crc32(state.ids_joined):08x}"
