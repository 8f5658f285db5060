"""A real Chromium on a real server. Without Chromium the tests are skipped and say so; under CI=true they fail."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.explorer.fake_runs import write_fake_runs
from tests.ui.explorer_page import PATIENCE, WAIT_MS, ExplorerPage

REPO = Path(__file__).parents[2]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.ui)


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    return write_fake_runs(tmp_path_factory.mktemp("ui"), n=12)


SLOT = """from pathlib import Path

from workbench.explorer.app.page import build

build(Path(r"{place}").read_text()).servable()
"""
SLOTS = 12  # further folders that one server shows


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """Start ``panel serve apps/explorer.py`` and return its address and its process."""
    started = []

    def start(*more: str, folder: Path | None = None, **environment: str) -> tuple[str, subprocess.Popen]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = tmp_path_factory.mktemp("serve") / "log.txt"
        command = [sys.executable, "-m", "panel", "serve", "apps/explorer.py", *more]
        command += ["--address", "127.0.0.1", "--port", str(port), *(["--args", str(folder)] if folder else [])]
        with open(log, "w") as out:
            process = subprocess.Popen(
                command, cwd=REPO, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}
            )
        started.append(process)
        address, patience = f"http://localhost:{port}/explorer", time.monotonic() + 40 * PATIENCE
        while time.monotonic() < patience:
            if process.poll() is not None:
                pytest.fail(f"the server ended: {log.read_text()[-2000:]}")
            try:
                urllib.request.urlopen(address, timeout=40 * PATIENCE).close()
                return address, process
            except OSError:
                time.sleep(0.3)
        pytest.fail(f"the server did not answer: {log.read_text()[-2000:]}")

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def _one_server(start_server, runs, tmp_path_factory):
    """One process for all folders of runs: a new one would read the libraries again."""
    slots = tmp_path_factory.mktemp("slots")
    for k in range(SLOTS):
        (slots / f"slot{k}.py").write_text(SLOT.format(place=slots / f"{k}.txt"))
    address, _ = start_server(*(str(slots / f"slot{k}.py") for k in range(SLOTS)), folder=runs)
    return address, slots


@pytest.fixture(scope="session")
def server(_one_server):
    """The explorer of the runs that are the same for all tests."""
    return _one_server[0]


@pytest.fixture(scope="session")
def serve(_one_server):
    """The explorer of another folder of runs, by its address."""
    address, slots = _one_server
    free = iter(range(SLOTS))

    def of(folder: Path) -> str:
        slot = next(free)
        (slots / f"{slot}.txt").write_text(str(folder))
        return address.replace("/explorer", f"/slot{slot}")

    return of


@pytest.fixture(scope="session")
def new_page(browser):
    """A window, as a function of its size. All are of one profile: what the page loads is compiled once, which is half
    of what a page costs; nothing of the explorer is kept in a profile."""
    context = browser.new_context()

    def new(width: int = 1440, height: int = 900):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(WAIT_MS)
        return page

    yield new
    context.close()


class _Window:
    """A window and what is wrong with it: requests that leave this machine, errors on the console."""

    def __init__(self, page) -> None:
        self.page, self.requests, self.errors = page, [], []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def check(self) -> None:
        near = ("http://localhost:", "ws://localhost:", "blob:", "data:")
        abroad, errors = [url for url in self.requests if not url.startswith(near)], [*self.errors]
        self.requests.clear()
        self.errors.clear()
        assert not abroad, f"requests left this machine: {abroad}"
        assert not errors, f"the console says: {errors}"


@pytest.fixture
def open_page(new_page):
    """Open an address in a window of its own. At the end of the test: no request may have left this machine, and
    nothing may have been written to the console as an error."""
    windows = []

    def open_it(address: str):
        windows.append(_Window(new_page()))
        windows[-1].page.goto(address)
        return windows[-1].page

    yield open_it
    for window in windows:
        window.page.close()
    for window in windows:
        assert window.requests
        window.check()


@pytest.fixture(scope="module")
def _kept():
    """For one file of tests: which files came before is chance, and what they have opened stays in a page."""
    kept = {"window": None, "turns": 0}
    yield kept
    if kept["window"] is not None:
        kept["window"].page.close()


@pytest.fixture
def at(_kept, new_page, server):
    """The page at a place (a query), in a window that is kept from test to test: it goes there as Back does, which
    takes a fifth of the time of a new page. For tests that leave the table as they find it: its sorting and its filters
    are in no address."""
    from playwright.sync_api import TimeoutError as Late

    def go(query: str = "case=fake_sub-00", *, shown: list[str] | None) -> ExplorerPage:
        """``shown``: of the viewer; None for pages without one."""
        if _kept["window"] is not None:
            _kept["turns"] = _kept["turns"] % 90 + 1
            page = ExplorerPage(_kept["window"].page)
            try:
                # the server writes what it has understood, in its own order and without what is not its own
                page.page.evaluate(
                    "to => { history.replaceState({}, '', to); dispatchEvent(new PopStateEvent('popstate')) }",
                    f"?unknown=1&{query}&similar={10 + _kept['turns']}",
                )
                page.page.wait_for_function("() => !location.search.includes('unknown')")
                if shown is not None:
                    page.wait_ready(shown)
                return page
            except Late:  # the test before left it in disorder
                _kept["window"].page.close()
        _kept["window"] = _Window(new_page())
        _kept["window"].page.goto(f"{server}?{query}")
        page = ExplorerPage(_kept["window"].page)
        if shown is not None:
            page.wait_ready(shown)
        return page

    yield go
    if _kept["window"] is not None:
        _kept["window"].check()
