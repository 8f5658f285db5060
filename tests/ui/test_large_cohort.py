"""More scans than are sent to the browser one by one: the server draws them, and outlines come back."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.explorer.fake_runs import FakeEmbed
from tests.ui.explorer_page import ExplorerPage
from workbench.plots import MANY
from workbench.runs import start_run

N, PLANTED = MANY + 1000, 70
PLACE = """([x, y]) => {
  const figure = [...Bokeh.documents[0].all_models].find(m => m.type === "Figure" && Bokeh.index.find_one(m))
  const view = Bokeh.index.find_one(figure), box = view.el.getBoundingClientRect()
  return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)] }"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Rows 10, 20, … lie near (5, 5), one alone at (5, -5), the others near (-5, 0)."""
    root = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    places = rng.uniform((-6, -1), (-4, 1), (N, 2))
    rows = 10 * np.arange(1, PLANTED + 1)
    places[rows] = rng.uniform(-0.5, 0.5, (PLANTED, 2)) + 5
    places[5] = 5, -5
    ids = [f"many_sub-{k:05d}" for k in range(N)]
    with start_run(FakeEmbed(out=root / "runs" / "embed", store=root, encoder=root), simulated=True) as run:
        run.write_table(
            "scans",
            pd.DataFrame(
                {
                    "scan_id": ids,
                    "participant": ids,
                    "path": "",
                    "site": rng.choice(["North", "South"], N),
                    "age": rng.normal(50, 15, N).round(1),
                    "simulated": True,
                }
            ),
        )
        run.write_table("projections", pd.DataFrame({"scan_id": ids, "umap_1": places[:, 0], "umap_2": places[:, 1]}))
    return root / "runs", [ids[k] for k in rows], ids[5], places


def around(page, x, y, by=1.0):
    (left, top), (right, bottom) = (
        page.page.evaluate(PLACE, [x - by, y + by]),
        page.page.evaluate(PLACE, [x + by, y - by]),
    )
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def colored(page, x, y):
    """How strong the colour of each pixel around a place of the plot is, 0 (grey) to 255."""
    corners = np.array(around(page, x, y))
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    picture = page.page.screenshot(clip={"x": left, "y": top, "width": right - left, "height": bottom - top})
    rgb = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    return np.ptp(rgb, axis=2)


def test_a_lasso_a_tap_and_a_zoom_among_many(planted, serve, open_page):
    runs, cluster, lonely, places = planted
    page = ExplorerPage(open_page(serve(runs)))
    page.wait_rows(N)
    page.page.wait_for_timeout(1000)
    assert (colored(page, -5, 0) > 60).sum() > 300  # the others are seen, and so is the cluster
    before = (colored(page, 5, 5) > 60).sum()
    assert before > 20

    page.lasso(around(page, 5, 5), takes=PLANTED)
    assert page.rows() == sorted(cluster)[: len(page.rows())] and len(page.rows()) >= 5
    assert page.case() == cluster[0]
    page.page.wait_for_timeout(1500)
    assert (colored(page, -5, 0) > 150).sum() < 30  # faint now
    assert (colored(page, 5, 5) > 60).sum() >= before / 2
    page.page.wait_for_function("() => location.search.includes('selection=')")
    page.page.reload()
    page.wait_rows(PLANTED)

    page.page.get_by_role("button", name="Show all").click()
    page.wait_rows(N)
    page.page.wait_for_timeout(1500)
    assert (colored(page, -5, 0) > 60).sum() > 300  # what was chosen elsewhere is seen in the plot as well

    x, y = page.page.evaluate(PLACE, [5, -5])
    page.page.mouse.click(x + 3, y - 3)  # not quite on it
    page.wait_case(lonely)
    page.wait_rows(1)
    page.page.wait_for_timeout(600)  # two clicks sooner are a double click
    page.page.mouse.click(*page.page.evaluate(PLACE, [0, -3]))  # beside all
    page.wait_rows(N)

    page.page.mouse.move(*page.page.evaluate(PLACE, [5, 5]))
    page.page.mouse.wheel(0, -400)
    page.page.wait_for_function("""() => {
      const figure = [...Bokeh.documents[0].all_models].find(m => m.type === "Figure" && Bokeh.index.find_one(m))
      const image = figure.renderers.map(r => r.data_source.data).find(d => d.image)
      const width = figure.x_range.end - figure.x_range.start
      if (figure.lod_timeout > 200) throw "a zoom waits half a second before it asks for its picture"
      return width < 9 && Math.abs(image.dw[0] - width) < 1e-3 * width }""")  # drawn again for what is seen
    page.page.wait_for_timeout(500)
    part = (np.abs(places - [5, 4.8]) < 0.2).all(axis=1).sum()
    assert 5 < part < PLANTED / 2
    page.lasso(around(page, 5, 4.8, by=0.2), takes=part)
