"""Titled boxes, and boxes of which one is open at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import panel as pn

from workbench.explorer.parts import style
from workbench.explorer.parts.text import text
from workbench.explorer.session.state import ExplorerState

LEAST = 250  # pixels of height below which a table under its filters has no rows


def card(
    title: str,
    content: Any,
    flex: str,
    *,
    note: Callable[[], str] | None = None,
    on: Sequence[Any] = (),
    beside: Any = None,
    least: int = 0,
) -> pn.Column:
    """A box with a heading.

    Args:
        title: Of the box; our own words.
        content: What is in it.
        flex: Its share of the column it is in, as CSS has it.
        note: Gives escaped HTML that stands behind the title; asked again when one of ``on`` changes.
        on: Parameters.
        beside: On the right of the heading.
        least: Pixels of height that it keeps on a low screen.
    """

    def heading(*_: Any) -> str:
        return f"<h2>{title}{f'<small>{note()}</small>' if note else ''}</h2>"

    head: Any = text(pn.bind(heading, *on) if on else heading(), margin=(0, 10), sizing_mode="stretch_width")
    if beside is not None:
        head = pn.Row(head, beside, sizing_mode="stretch_width", margin=0)
    return pn.Column(
        head,
        content,
        name=title,  # by which the tour finds it
        sizing_mode="stretch_both",
        margin=0,
        stylesheets=[style.CARD],
        styles={"flex": flex, "min-width": "0", "min-height": f"{least}px", "overflow": "hidden"},
    )


def panels(
    state: ExplorerState,
    parameter: str,
    choice: Mapping[str, tuple[str, Callable[[ExplorerState], Any]]],
    height: int = 338,
) -> pn.Column:
    """A row of buttons and the panel that ``state``'s ``parameter`` names; each is made when it is first opened.
    ``height`` is what it takes where there is room for it, ``LEAST`` where there is not."""
    buttons: Any = pn.widgets.RadioButtonGroup(
        options={title: key for key, (title, _) in choice.items()},
        value=getattr(state, parameter),
        button_style="outline",
        height=28,
        margin=(2, 10),
        stylesheets=[".bk-btn { padding-inline: 6px }"],  # at 1280 pixels the last of eight was cut
    )
    buttons.link(state, value=parameter, bidirectional=True)
    stack = pn.Column(margin=0, sizing_mode="stretch_both", styles={"min-height": "0"})
    made: dict[str, Any] = {}

    def turn(*_: Any) -> None:
        name = getattr(state, parameter)
        if name not in made:
            made[name] = pn.panel(choice[name][1](state))
            stack.append(made[name])
        for key, content in made.items():
            content.visible = key == name

    turn()
    state.param.watch(turn, parameter)
    return pn.Column(
        buttons,
        stack,
        sizing_mode="stretch_both",
        margin=0,
        stylesheets=[style.CARD],
        styles={"flex": f"0 1 {height}px", "min-width": "0", "min-height": f"{LEAST}px", "overflow": "hidden"},
    )
