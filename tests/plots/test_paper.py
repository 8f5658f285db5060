import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from workbench import plots


@pytest.fixture
def table():
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "scan_id": [f"s{i}" for i in range(30)],
            "participant": [f"p{i}" for i in range(30)],
            "site": ["North", "South", "West"] * 10,
            "age": np.arange(30) + 0.5,
            "umap_1": draw.normal(size=30),
            "umap_2": draw.normal(size=30),
        }
    )


@pytest.mark.parametrize("color", ["site", "age"])
def test_a_scatter_holds_every_scan_and_every_site(table, color):
    figure = plots.scatter_figure(table, "umap_1", "umap_2", color, selected=["s1", "s2"])
    assert sum(len(c.get_offsets()) for c in figure.axes[0].collections) == len(table)
    if color == "site":
        assert [t.get_text() for t in figure.legends[0].get_texts()] == [
            f"{s} (n = 10)" for s in ("North", "South", "West")
        ]


def test_the_files_are_whole_and_the_picture_has_300_dots_an_inch(table):
    figure = plots.scatter_figure(table, "umap_1", "umap_2", "site", width=3)
    files = zipfile.ZipFile(io.BytesIO(plots.figure_files(figure, "scatter", "What is seen.", "x = 1\n")))
    assert set(files.namelist()) == {f"scatter.{kind}" for kind in ("pdf", "svg", "png", "txt", "py")}
    picture = Image.open(io.BytesIO(files.read("scatter.png")))
    assert picture.size[0] == 900 and round(picture.info["dpi"][0]) == 300
    assert files.read("scatter.pdf").startswith(b"%PDF") and b"<text" in files.read("scatter.svg")
    assert files.read("scatter.txt").decode() == "What is seen.\n"


def test_scores_have_a_line_at_the_mean_over_people(table):
    scores = pd.concat(
        [table.assign(run=run, value=np.linspace(shift, 1, 30)) for run, shift in (("a", 0.5), ("b", 0.6))]
    )
    figure = plots.scores_figure(scores, ["a", "b", "none"], "Dice")
    axis = figure.axes[0]
    lines = [c.get_segments()[0][0][1] for c in axis.collections if hasattr(c, "get_segments") and c.get_segments()]
    means = scores.groupby(["run", "site"])["value"].mean()
    assert sorted(lines) == pytest.approx(sorted(means))


def test_strips_share_one_scale():
    small, large = np.zeros((10, 20, 3)), np.ones((40, 30, 3))
    figure = plots.strips_figure([("one", [small, large]), ("two", [large, small])], ["A", "B"])
    widths = {tuple(np.abs(np.diff(axis.get_xlim()))) for axis in figure.axes}
    assert widths == {(30.0,)}
