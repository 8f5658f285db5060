"""The page for somebody with a keyboard or a screen reader: axe-core on every tab, and the Tab key."""

import pytest

from workbench.explorer.app.pages import PAGES

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
FOCUSED = """() => {
  let e = document.activeElement
  while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement
  return { tag: e.tagName, table: Boolean(e.closest?.(".tabulator")), name: e.ariaLabel ?? "" }
}"""


@pytest.mark.parametrize("view", [page.key for page in PAGES])
def test_no_page_has_a_serious_fault(at, view):
    explorer = at(f"view={view}&side=settings", shown=None)
    explorer.page.locator("#main[role=main]").wait_for()
    explorer.page.wait_for_timeout(1500)  # names are given once a second
    found = axe.Axe().run(explorer.page, options={"resultTypes": ["violations"]}).response["violations"]
    told = [
        f"{fault['id']}: {fault['help']}: {node['html'][:200]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert not told, "\n".join(told)


def test_tab_goes_through_the_table_and_out_of_it(at):
    page = at("view=cohort", shown=["base", "attention"]).page
    page.locator(".tabulator-header-filter input").first.click()
    page.locator(".tabulator-header-filter input[aria-label='Filter Participant']").wait_for()
    places = []
    for _ in range(30):
        page.keyboard.press("Tab")
        places.append(page.evaluate(FOCUSED))
        if places[-1]["tag"] != "BODY" and not places[-1]["table"]:
            break
    assert not places[-1]["table"] and places[-1]["tag"] != "BODY", places
    assert any(place["name"].startswith("Filter ") for place in places)


def test_keys_are_told_on_the_page(at):
    page = at("view=cohort", shown=["base", "attention"]).page
    page.locator(".footer kbd:text-is('n')").wait_for()
    page.keyboard.press("?")
    page.get_by_text("n next case; p previous case").wait_for()
    page.get_by_role("button", name="Dismiss").click()
