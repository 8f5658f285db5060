"""How objects show themselves in a notebook's cell: a title and a small table, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any


def facts_table(title: str, facts: Mapping[str, Any], *, simulated: bool = False) -> str:
    """HTML of a title and one line a fact; facts that are None or empty are left out.

    Args:
        title: Plain text, as are the facts: names and paths come from people's disks, so all of it is escaped.
        facts: Name → value.
        simulated: Mark it as being about simulated data.
    """
    mark = ' <span style="border:1px solid;border-radius:3px;padding:0 .4em">simulated data</span>' if simulated else ""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(str(name))}</th>'
        f'<td style="text-align:left">{escape(str(value))}</td></tr>'
        for name, value in facts.items()
        if value is not None and value != ""
    )
    return f"<div><b>{escape(title)}</b>{mark}<table>{rows}</table></div>"
