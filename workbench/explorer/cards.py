"""A titled box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import panel as pn

from workbench.explorer import style


def card(title: str, content: Any, flex: str, *, note: Callable[[], str] | None = None, on: Sequence[Any] = (),
         beside: Any = None) -> pn.Column:
    """A box with a heading.

    Args:
        title: Of the box; our own words.
        content: What is in it.
        flex: Its share of the column it is in, as CSS has it.
        note: Gives escaped HTML that stands behind the title; asked again when one of ``on`` changes.
        on: Parameters.
        beside: On the right of the heading.
    """
    def heading(*_: Any) -> str:
        return f"<h2>{title}{f'<small>{note()}</small>' if note else ''}</h2>"

    head: Any = pn.pane.HTML(pn.bind(heading, *on) if on else heading(), stylesheets=[style.HTML], margin=(0, 10),
                             sizing_mode="stretch_width")
    if beside is not None:
        head = pn.Row(head, beside, sizing_mode="stretch_width", margin=0)
    return pn.Column(head, content, sizing_mode="stretch_both", margin=0, stylesheets=[style.CARD],
                     styles={"flex": flex, "min-width": "0", "min-height": "0", "overflow": "hidden"})
