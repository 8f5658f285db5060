"""What is slow before a session has its page, done in a thread: the server answers others meanwhile.

That is looking for runs, reading and merging the tables of a cohort, and compiling what draws large clouds. What is
left for the server's own thread is the making of the widgets.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
from bokeh.application.handlers import Handler

from workbench import plots
from workbench.explorer.app.pages import PAGES
from workbench.explorer.session import address
from workbench.explorer.session.state import ExplorerState

log = logging.getLogger(__name__)

AT_ONCE = 2  # sessions that are made ready: more would only share the processors that pages are made on
BETWEEN = 0.02  # seconds between two pages, in which others are answered
_ASIDE = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="session")
_COMPILING = threading.Lock()


@dataclass(frozen=True)
class Ready:
    """A session's state, and what of its address was not to be had."""

    state: ExplorerState
    problems: list[str]
    theme: str | None


class Aside(Handler):
    """Of a Bokeh application: each new session is made ready in a thread before its page is built."""

    def __init__(self, runs_folder: str | Path | None) -> None:
        super().__init__()
        self._runs_folder = runs_folder
        self._turn = asyncio.Lock()

    def modify_document(self, doc: Any) -> None:
        """The page itself is another handler's."""

    async def on_session_created(self, session_context: Any) -> None:
        asked = dict(session_context.request.arguments) if session_context.request else {}
        loop = asyncio.get_running_loop()
        try:
            session_context.made_ready = await loop.run_in_executor(_ASIDE, make_ready, self._runs_folder, asked)
        except Exception:  # it comes again when the page is built, and there it is told
            log.exception("a session could not be made ready")
        # the page is built as soon as this returns; of several that are ready, one, and whoever else waits in between
        async with self._turn:
            await asyncio.sleep(BETWEEN)


def ready_for(runs_folder: str | Path | None) -> Ready:
    """What was made ready for the session whose page is being built, or is now, where nothing was."""
    context = None if pn.state.curdoc is None else pn.state.curdoc.session_context
    ready: Ready | None = getattr(context, "made_ready", None)
    if ready is None:
        return make_ready(runs_folder, pn.state.session_args or {}, compile=False)
    del context.made_ready  # type: ignore[union-attr]
    return ready


def make_ready(runs_folder: str | Path | None, query: Mapping[str, Sequence[bytes]], *, compile: bool = True) -> Ready:
    """The state of a session that comes with this query; compiled what it will need, if ``compile``."""
    state = ExplorerState(runs_folder, served=True)
    state.param["view"].objects = [page.key for page in PAGES]
    asked = {name: values[-1].decode(errors="replace") for name, values in query.items()}
    problems = address.read(state, asked)
    if compile and len(state.cohort) > plots.MANY:
        with _COMPILING:  # a second visitor waits for the first one's, aside as well
            _compile()
    return Ready(state, problems, asked.get("theme"))


@functools.cache
def _compile() -> None:
    """Draw a small cloud of each kind, whole and in part: numba compiles for seconds, once a process."""
    places = np.linspace(0, 1, 8, dtype=np.float32)
    points = pd.DataFrame({"x": places, "y": places, "kind": ["a", "b"] * 4, "number": places})
    for color in ("kind", "number"):
        cloud = plots.embedding_cloud(points, "x", "y", color)
        for chosen in (None, np.arange(4)):
            plots.cloud_image(cloud, chosen)
