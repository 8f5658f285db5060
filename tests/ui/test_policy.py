"""What stands between text from data and the browser: escaping on every page, and a policy behind it."""

import re
import subprocess
import sys

import pytest

from tests.explorer.hostile import write_hostile_runs
from tests.ui.conftest import PATIENCE
from tests.ui.explorer_page import ExplorerPage
from workbench.explorer.app.pages import PAGES

# every element that came from data, through all shadow roots, and whether data is there as text
FROM_DATA = """() => {
  const found = []
  let text = false
  const look = root => {
    for (const one of root.querySelectorAll("*")) {
      if (one.getAttribute("src") === "x" || one.hasAttribute("onerror")) found.push(one.outerHTML)
      const said = [...one.childNodes].filter(n => n.nodeType === 3 && one.tagName !== "SCRIPT").map(n => n.data)
      text ||= [...said, one.title ?? "", one.value ?? ""].join(" ").includes("onerror=pwned")
      if (one.shadowRoot) look(one.shadowRoot)
    }
  }
  look(document)
  return [found, text]
}"""
INJECT = """() => new Promise(done => {
  document.addEventListener("securitypolicyviolation", event => done(event.violatedDirective))
  const box = document.createElement("div")
  box.innerHTML = '<img src=x onerror="window.pwned = 1">'
  document.body.append(box)
  setTimeout(() => done(window.pwned ? "it ran" : "nothing"), 5000)
})"""


@pytest.fixture(scope="module")
def explored():
    """``workbench explore``, which has the policy; ``panel serve`` does not."""
    started = []

    def start(runs):
        command = [sys.executable, "-u", "-m", "workbench.cli", "explore", str(runs), "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        started.append(process)
        return re.search(r"http://\S+", process.stdout.readline())[0]

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def hostile(explored, tmp_path_factory):
    return explored(write_hostile_runs(tmp_path_factory.mktemp("hostile")))


def test_the_page_works_under_the_policy_and_a_handler_in_markup_does_not(explored, runs, browser):
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(60_000 * PATIENCE)
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(explored(runs))
    explorer = ExplorerPage(page)
    explorer.wait_ready()
    assert explorer.picture().std() > 10  # the viewer draws: its shaders and its worker are allowed
    assert len(explorer.points()) == 12 and explorer.rows()
    assert not errors, errors
    assert "script-src" in page.evaluate(INJECT)  # what markup that was not escaped would meet
    assert page.evaluate("window.pwned === undefined")
    page.context.close()


@pytest.mark.parametrize("view", [page.key for page in PAGES])
def test_text_from_data_is_no_element_of_any_page(hostile, browser, view):
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(60_000 * PATIENCE)
    page.goto(f"{hostile}?view={view}")
    page.locator(".summary").wait_for()
    page.wait_for_timeout(1500)
    assert page.evaluate(FROM_DATA) == [[], True]
    assert page.evaluate("window.pwned === undefined")
    page.context.close()
