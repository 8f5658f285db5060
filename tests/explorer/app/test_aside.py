"""What is slow of a new session is done in a thread, and the server's own thread answers others meanwhile."""

from __future__ import annotations

import asyncio
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from bokeh.document import Document
from panel.io.state import set_curdoc

from workbench import plots
from workbench.explorer.app import aside
from workbench.explorer.app.aside import Aside, Ready, ready_for


class Context(SimpleNamespace):
    """Of a session whose address asks for nothing."""

    request = SimpleNamespace(arguments={})


def on_a_loop(work):
    """In a thread of its own: a browser test before this one leaves its loop marked as running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result(60)


def test_others_are_answered_while_a_session_is_made_ready(monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def slow(*_, **__):
        begun.set()
        assert go.wait(10), "whoever would let it go on is not answered"
        return threading.current_thread()

    monkeypatch.setattr(aside, "make_ready", slow)

    async def visit():
        session = Context()
        created = asyncio.create_task(Aside(None).on_session_created(session))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        assert not created.done()
        go.set()
        await created
        return session.made_ready, threading.current_thread()

    worker, loop = on_a_loop(visit)
    assert worker is not loop


def test_of_two_that_are_ready_at_once_others_come_in_between(monkeypatch):
    monkeypatch.setattr(aside, "make_ready", lambda *_, **__: None)
    seen = []

    async def visits():
        handler = Aside(None)

        async def page():
            await handler.on_session_created(Context())
            seen.append("page")

        async def other():
            while seen.count("page") < 2:
                seen.append("other")
                await asyncio.sleep(0)

        await asyncio.gather(page(), page(), other())

    on_a_loop(visits)
    first, second = (i for i, what in enumerate(seen) if what == "page")
    assert "other" in seen[first:second]


def test_a_page_takes_what_was_made_ready_once_and_a_fault_there_is_told_by_the_page(monkeypatch, fake_runs):
    session, document = Context(), Document()
    on_a_loop(lambda: Aside(fake_runs).on_session_created(session))
    made = session.made_ready
    assert isinstance(made, Ready) and len(made.state.cohort)
    document._session_context = weakref.ref(session)
    with set_curdoc(document):
        assert ready_for(fake_runs) is made
        assert ready_for(fake_runs) is not made

    def fails(*_, **__):
        raise ValueError("a fault")

    session = Context()
    monkeypatch.setattr(aside, "make_ready", fails)
    on_a_loop(lambda: Aside(fake_runs).on_session_created(session))
    assert not hasattr(session, "made_ready")


def test_what_draws_clouds_is_compiled_where_a_cohort_is_large_and_only_there(monkeypatch, fake_runs):
    compiled = []
    monkeypatch.setattr(aside, "_compile", lambda: compiled.append(threading.current_thread()))
    on_a_loop(lambda: Aside(fake_runs).on_session_created(Context()))
    assert not compiled
    monkeypatch.setattr(plots, "MANY", 0)
    on_a_loop(lambda: Aside(fake_runs).on_session_created(Context()))
    assert len(compiled) == 1 and compiled[0].name.startswith("session")
