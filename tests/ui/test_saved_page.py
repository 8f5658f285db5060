"""The page as one file: opened without a server and with the network cut."""

import json

import numpy as np
import pytest

from tests.ui.explorer_page import WAIT_MS, ExplorerPage
from workbench.testing import MARKER_MM


@pytest.fixture
def offline_page(browser):
    """A window without a network; no request may be tried, and nothing be written to the console as an error."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
    page, asked, errors = context.new_page(), [], []
    page.set_default_timeout(WAIT_MS)
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] and not errors


def test_a_saved_page_shows_the_same_and_asks_nobody(server, open_page, offline_page, tmp_path):
    page = ExplorerPage(open_page(f"{server}?case=fake_sub-03&mass=40&radiological=0&show_prediction=1"))
    page.wait_ready(["base", "attention", "prediction"])
    with page.page.expect_download() as download:
        page.page.get_by_text("Save page").click()
    download.value.save_as(tmp_path / "saved.html")

    offline_page.goto((tmp_path / "saved.html").as_uri())
    saved = ExplorerPage(offline_page)
    saved.wait_ready(["base", "attention", "prediction"])
    assert saved.data()["convention"] == "neurological" and saved.data()["scan"] == "fake_sub-03"
    saved.move_to(MARKER_MM)
    assert np.abs(saved.mm() - MARKER_MM).max() < 1.1 and float(saved.data()["value"]) == pytest.approx(400, abs=15)
    for part in ("saved 20", "SIMULATED DATA", "12 scans", "case=fake_sub-03", "not for diagnosis", "fake/sub-03"):
        offline_page.get_by_text(part).first.wait_for()
    assert len(saved.points()) == 12
    assert json.loads(saved.data()["window"]) == json.loads(page.data()["window"])
