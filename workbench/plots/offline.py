"""HoloViews in a notebook, without a network: neither when a cell is run nor when the saved notebook is opened."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any


def offline() -> None:
    """Load HoloViews with Bokeh into this notebook; call it once, in the first cell.

    ``hv.extension(inline=True)`` alone puts the scripts into the notebook, but each figure would still ask Panel's
    address on the internet for four small style sheets.
    """
    import holoviews as hv
    from holoviews.plotting.bokeh import BokehRenderer

    class OfflineRenderer(BokehRenderer):
        """Style sheets travel with the figure."""

        def components(self, *args: Any, **kwargs: Any) -> Any:
            data, metadata = super().components(*args, **kwargs)
            return {kind: with_styles(text) if isinstance(text, str) else text for kind, text in data.items()}, metadata

    hv.extension("bokeh", inline=True, logo=False)
    hv.Store.renderers["bokeh"] = OfflineRenderer.instance()


def with_styles(text: str) -> str:
    """``text`` with each address of one of Panel's style sheets replaced by its content, as a ``data:`` address."""
    from panel.io.resources import CDN_DIST, DIST_DIR

    def content(match: re.Match[str]) -> str:
        path = Path(DIST_DIR) / match["path"]
        css = path.read_bytes() if path.is_file() else b""
        return f"data:text/css;base64,{base64.b64encode(css).decode()}"

    return re.sub(re.escape(CDN_DIST) + r"(?P<path>[\w./@-]+\.css)(\?v=[\w.]+)?", content, text)
