"""Text on the page."""

from __future__ import annotations

from typing import Any

import panel as pn

from workbench.explorer.parts.style import HTML


class Text(pn.pane.HTML):
    """HTML whose changes send the text alone.

    Panel sends all properties again. In a template the style sheets among them are then others than at first (the
    whole of Bootstrap for each text, Panel 1.9), and the browser lays the page out anew for each.
    """

    def _update(self, ref: str, model: Any) -> None:
        model.update(text=self._transform_object(self.object)["object"])


def text(html: Any = "", *, css: str = "", **params: Any) -> Text:
    """HTML in the look of the page, with further rules for its inside; what is put into it must be escaped."""
    return Text(html, stylesheets=[HTML, css] if css else [HTML], **params)


def hint(html: Any = "", *, margin: Any = (0, 10), **params: Any) -> Text:
    """A line of small grey text; what is put into it must be escaped."""
    return text(html, css_classes=["hint"], margin=margin, sizing_mode="stretch_width", **params)


def middle(name: str, most: int) -> str:
    """A name cut in the middle: names of one cohort begin alike, and what tells them apart is their end."""
    if len(name) <= most:
        return name
    head = (most - 1) // 3
    return f"{name[:head]}…{name[-(most - 1 - head) :]}"
