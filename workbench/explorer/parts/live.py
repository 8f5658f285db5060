"""Work that an encoder does while somebody waits: in a thread, one at a time on this server, with a bar and a stop.

The page lives on meanwhile. A stop is taken between two steps; a step that is being computed ends first.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import panel as pn

from workbench.errors import WorkbenchError
from workbench.explorer.parts.text import hint
from workbench.explorer.stored.catalog import Catalog
from workbench.model.box import boxed
from workbench.runs.folder import from_there

log = logging.getLogger(__name__)
_ONE = threading.Lock()  # two forward passes at once on a small server are slower than one after the other


class Stopped(Exception):
    """The user pressed cancel."""


class Live(pn.viewable.Viewer):
    """A progress bar, what is being done, and a cancel button; hidden while nothing is done."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._bar = pn.indicators.Progress(
            value=0, max=100, sizing_mode="stretch_width", height=14, margin=(4, 10, 0, 10)
        )
        self._text = hint()
        self._cancel = pn.widgets.Button(name="Cancel", width=80, height=28, margin=(2, 10))
        self._cancel.on_click(lambda *_: self.stop())
        self._box = pn.Column(self._bar, self._text, self._cancel, visible=False, sizing_mode="stretch_width", margin=0)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __panel__(self) -> pn.viewable.Viewable:
        return self._box

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()
        self._text.object = "Stopping after this step …"

    def start(
        self,
        work: Callable[[Callable[[float, str], None]], Any],
        done: Callable[[Any], None],
        failed: Callable[[str], None],
    ) -> None:
        """Run ``work(step)`` in a thread; what is running is stopped first and its result dropped.

        Args:
            work: Calls ``step(share, text)`` between its steps: it moves the bar, and raises where it is to stop.
            done: Gets the result, in the session's own turn.
            failed: Gets what went wrong; an empty text when it was cancelled.
        """
        self._stop.set()
        self._stop = stop = threading.Event()
        turn = turn_of(pn.state.curdoc)
        self._box.visible, self._bar.value, self._text.object = True, 0, "Waiting for its turn …"

        def step(share: float, text: str) -> None:
            if stop.is_set():
                raise Stopped
            turn(lambda: self._show(share, text) if self._stop is stop else None)

        def run() -> None:
            result, error = None, None
            try:
                with _ONE:
                    step(0.02, "Starting …")
                    result = work(step)
                    if stop.is_set():
                        raise Stopped
            except Stopped:
                error = ""
            except WorkbenchError as problem:
                error = str(problem)
            except Exception as problem:  # told in the page, traced in the log: a thread must not end in silence
                log.exception("live")
                error = f"{type(problem).__name__}: {problem}"
            turn(lambda: self._end(stop, result, error, done, failed))

        self._thread = threading.Thread(target=run, daemon=True, name="explorer-live")
        self._thread.start()

    def _show(self, share: float, text: str) -> None:
        self._bar.value, self._text.object = int(100 * share), text

    def _end(
        self,
        stop: threading.Event,
        result: Any,
        error: str | None,
        done: Callable[[Any], None],
        failed: Callable[[str], None],
    ) -> None:
        if self._stop is not stop:
            return  # another one was started meanwhile: the bar is its
        self._box.visible = False
        if error is None:
            done(result)
        else:
            failed(error)


def turn_of(doc: Any) -> Callable[[Callable[[], Any]], None]:
    """How a thread changes what a session shows: at the session's next turn; at once where there is none."""
    if doc is None or doc.session_context is None:
        return lambda call: call()
    return lambda call: doc.add_next_tick_callback(call)


def open_encoder(catalog: Catalog, run: str) -> tuple[Any, Any, Any]:
    """The store, the encoder (on the CPU) and its card that a run of embed or attend was made with.

    Raises:
        WorkbenchError: they are not where the run says.
    """
    config, folder = catalog.run(run).config, catalog.run(run).path
    store, encoder = (from_there(str(config[name]), folder) for name in ("store", "encoder"))
    encoder = boxed().get(str(config["encoder"]), encoder)
    for what, path in (("prepared store", store), ("encoder", encoder)):
        if not path.is_dir():
            raise WorkbenchError(
                f"{path}: the {what} is not at hand",
                cause=f"run '{run}' was made with it, and it is not on this machine",
                remedy="copy it there to compute here; stored results stay",
            )
    return _open(store.resolve(), encoder.resolve(), str(config.get("init", "pretrained")), int(config.get("seed", 0)))


@functools.lru_cache(maxsize=2)  # a base encoder takes 350 MB: two for all sessions together
def _open(store: Path, encoder: Path, init: Any, seed: int) -> tuple[Any, Any, Any]:
    from workbench.model.encode import open_matching

    opened, loaded, card = open_matching(store, encoder, init=init, seed=seed)
    return opened, loaded.eval(), card
