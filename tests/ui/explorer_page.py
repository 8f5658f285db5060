"""What a test does with the page: wait for the viewer, find points, drag a lasso, look at pixels."""

from __future__ import annotations

import io
import json
import os
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

PATIENCE = float(os.environ.get("WORKBENCH_TEST_PATIENCE", "1"))  # more on a machine that does other things too
WAIT_MS = 20_000 * PATIENCE
POINTS = """() => {
  // the document may still know the figure before this one, which has no view
  const figure = [...Bokeh.documents[0].all_models].find(m => m.type === "Figure" && Bokeh.index.find_one(m))
  const source = figure.renderers.map(r => r.data_source).find(s => s && s.data.scan_id)
  const view = Bokeh.index.find_one(figure), box = view.el.getBoundingClientRect()
  return Object.fromEntries(Array.from(source.data.scan_id).map((id, i) =>
    [id, [box.x + view.frame.x_scale.compute(source.data.x[i]), box.y + view.frame.y_scale.compute(source.data.y[i])]]))
}"""


class ExplorerPage:
    def __init__(self, page: Any) -> None:
        self.page = page
        self.view = page.locator(".volume-view:visible")  # "Your scan" keeps one of its own, once it was opened

    # the viewer ----------------------------------------------------------------------------------------------

    def data(self) -> dict[str, Any]:
        return self.view.evaluate("e => Object.assign({}, e.dataset)")

    def wait_ready(self, volumes: list[str] | None = None, state: str = "ready") -> None:
        self.page.wait_for_selector(f".volume-view:visible[data-state='{state}']")
        if volumes is not None:
            shown = json.dumps(volumes, separators=(",", ":"))
            self.page.wait_for_selector(f".volume-view:visible[data-state='ready'][data-volumes='{shown}']")
        self.page.wait_for_timeout(400)  # the frame after the last draw

    def mm(self) -> np.ndarray:
        return np.array(json.loads(self.data()["mm"]))

    def move_to(self, mm: Any) -> None:
        self.view.evaluate("(e, mm) => e.niftiView.moveTo(mm)", [float(v) for v in mm])
        self.page.wait_for_timeout(300)

    def window(self, low: float, high: float) -> None:
        """Grey level window of the scan."""
        self.view.evaluate(
            """(e, [low, high]) => {
            const { nv } = e.niftiView
            Object.assign(nv.volumes[0], { cal_min: low, cal_max: high })
            nv.updateGLVolume() }""",
            [low, high],
        )

    def canvas(self) -> dict[str, float]:
        return self.view.locator("canvas.planes").bounding_box()

    def in_tile(self, plane: str, across: float, down: float) -> tuple[float, float]:
        """A place of the screen, by its share of one plane's part of the canvas."""
        box, (left, top, width, height) = self.canvas(), json.loads(self.data()["tiles"])[plane]
        return box["x"] + left + across * width, box["y"] + top + down * height

    def picture(self) -> np.ndarray:
        """Pixels of the canvas as the page shows them, ``(height, width, 3)``; reading a canvas gives black."""
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot(clip=self.canvas()))).convert("RGB")).astype(int)

    # the rest of the page ------------------------------------------------------------------------------------

    def case(self) -> str:
        return self.page.locator("h2:has-text('Scan') small").first.inner_text().split()[0]

    def wait_other_case(self, scan_id: str) -> str:
        """Until it is another, which is returned: a verdict leads to the next a moment after it counts."""
        heading = self.page.locator(f"h2:has-text('Scan') small:not(:text-matches('^{scan_id}'))")
        heading.first.wait_for()
        return self.case()

    def wait_case(self, scan_id: str) -> None:
        """Until the page says so and the viewer has it: the heading is there first, over the scan before."""
        self.page.locator(f"h2:has-text('Scan') small:text-matches('^{scan_id}')").first.wait_for()
        self.page.locator(f".volume-view:visible[data-scan='{scan_id}']:not([data-state='loading'])").first.wait_for()

    def points(self) -> dict[str, list[float]]:
        return self.page.evaluate(POINTS)

    def rows(self) -> list[str]:
        return self.page.locator(".tabulator-row .tabulator-cell[tabulator-field='participant']").all_inner_texts()

    def wait_rows(self, n: int, timeout: float | None = None) -> None:
        """Until the table says so; what it says comes after its rows, which it may draw a moment later."""
        self.page.locator(f"text=/^{n} of n = [0-9]+ scans/").first.wait_for(timeout=timeout)
        self.page.wait_for_timeout(200)

    def lasso(self, corners: list[tuple[float, float]], *, takes: int) -> None:
        """Drag a lasso and wait for the table. On a busy machine the first move may come later than 250 ms, which is
        a press and no drag for Bokeh: then it is drawn again, as a hand would."""
        from playwright.sync_api import TimeoutError as Late  # here, so that without playwright the tests are skipped

        mouse = self.page.mouse
        for _ in range(5):
            mouse.move(*corners[0])
            mouse.down()
            for (x0, y0), (x1, y1) in pairwise(corners):  # left open: it closes itself
                for k in range(1, 6):
                    mouse.move(x0 + (x1 - x0) * k / 5, y0 + (y1 - y0) * k / 5)
            mouse.up()
            try:
                return self.wait_rows(takes, timeout=8_000)
            except Late:
                continue
        self.wait_rows(takes)

    def check(self, label: str) -> None:
        """A chip above the viewer, or a box of the settings, which are opened for it."""
        chip = self.page.locator(f".chips button:text-is('{label}')")
        if chip.count():
            return chip.first.click()
        self.settings()
        self.page.locator(f"input[type=checkbox]:has(+ .bk-label:text-is('{label}'))").click()

    def settings(self) -> None:
        if not self.page.locator("input[type=checkbox]:has(+ .bk-label:text-is('Radiological convention'))").count():
            self.page.get_by_role("button", name="Settings", exact=True).first.click()
            self.page.locator("input[type=checkbox]:has(+ .bk-label:text-is('Radiological convention'))").wait_for()

    def choose(self, label: str, option: str) -> None:
        if label != "View":
            self.settings()
        self.page.locator(f".bk-input-group:visible:has(label:text-is('{label}')) select").select_option(option)
