import holoviews as hv
import numpy as np
import pandas as pd
import pytest

from workbench.plots import cloud_image, cloud_look, embedding_cloud
from workbench.plots.palette import category_colors

VIEW = {"x_range": (0.0, 100.0), "y_range": (0.0, 50.0), "width": 100, "height": 50}


def pixels(image):
    """``(height, width, 4)``, the first row on top."""
    return np.stack([image.dimension_values(c, flat=False)[::-1] for c in "RGBA"], -1).astype(int)


def table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "umap_1": rng.uniform(0, 100, n),
            "umap_2": rng.uniform(0, 50, n),
            "site": rng.choice(["B", "A", None], n),
            "age": rng.uniform(20, 80, n),
        }
    )


def cloud_of(rows, color="site"):
    return embedding_cloud(rows, "umap_1", "umap_2", color)


def test_a_point_is_where_it_is_and_up_is_up():
    one = pd.DataFrame({"umap_1": [10.5], "umap_2": [40.5], "site": ["A"]})
    alpha = pixels(cloud_image(cloud_of(one), **VIEW))[..., 3]
    rows, columns = np.nonzero(alpha)
    assert abs(columns.mean() - 10) < 0.01 and abs(rows.mean() - 9) < 0.01  # 40 of 50 up: the tenth row from the top
    assert len(rows) < 30


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_a_category_has_its_colour_in_any_order_and_at_any_zoom(order):
    rows = table().iloc[order]
    colors = category_colors(rows["site"])
    for index in (0, 7, 100):
        row = rows.iloc[index]
        name = "unknown" if pd.isna(row["site"]) else row["site"]
        near = {
            "x_range": (row["umap_1"] - 1e-3, row["umap_1"] + 1e-3),
            "y_range": (row["umap_2"] - 1e-3, row["umap_2"] + 1e-3),
            "width": 21,
            "height": 21,
        }
        red, green, blue, alpha = pixels(cloud_image(cloud_of(rows), **near))[10, 10]
        assert f"#{red:02x}{green:02x}{blue:02x}" == colors[name].lower() and alpha > 0


def test_a_number_has_the_same_colour_at_any_zoom():
    rows = pd.DataFrame({"umap_1": [20.0, 80.0], "umap_2": [25.0, 25.0], "age": [20.0, 80.0]})
    far = pixels(cloud_image(cloud_of(rows, "age"), **VIEW))
    near = pixels(cloud_image(cloud_of(rows, "age"), x_range=(79, 81), y_range=(24, 26), width=50, height=50))
    assert (near[25, 25] == far[25, 80]).all() and (far[25, 20] != far[25, 80]).any()


def test_what_was_not_chosen_is_faint_and_what_was_is_not():
    rows = table()
    chosen = np.flatnonzero(rows["umap_1"] < 50)
    plain, image = (pixels(cloud_image(cloud_of(rows), some, **VIEW)) for some in (None, chosen))
    assert image[:, 55:, 3].max() < 0.5 * plain[:, 55:, 3].max()
    assert image[:, :45, 3].max() == plain[:, :45, 3].max()
    assert (image[..., 3] > 0)[plain[..., 3] > 0].mean() > 0.95  # nobody is gone
    assert (pixels(cloud_image(cloud_of(rows), np.empty(0, int), **VIEW)) == plain).all()


def test_all_points_are_within_the_picture_before_the_page_says_its_size():
    rows = table()
    cloud = cloud_of(rows)
    image = cloud_image(cloud)
    left, bottom, right, top = image.bounds.lbrt()
    assert left < rows["umap_1"].min() and right > rows["umap_1"].max()
    assert bottom < rows["umap_2"].min() and top > rows["umap_2"].max()
    assert pixels(image).shape == (300, 400, 4)
    alone = pd.DataFrame({"umap_1": [3.0], "umap_2": [3.0], "site": ["A"]})
    assert (pixels(cloud_image(cloud_of(alone)))[..., 3] > 0).any()


def test_a_place_that_is_not_known_is_not_drawn():
    rows = table()
    rows.loc[0, "umap_1"] = np.nan
    assert np.isfinite(cloud_of(rows).extent).all()
    assert (pixels(cloud_image(cloud_of(rows), np.array([0]), **VIEW))[..., 3] < 150).all()


@pytest.mark.parametrize(("color", "part"), [("site", "legend"), ("age", "right")])
def test_colours_are_explained_once_however_often_it_is_drawn(color, part):
    cloud = cloud_of(table(), color)
    plot = hv.renderer("bokeh").get_plot(cloud_image(cloud).opts(hv.opts.RGB(**cloud_look(cloud), backend="bokeh")))
    for hook in cloud_look(cloud)["hooks"]:
        hook(plot, None)
    figure = plot.state
    if part == "legend":
        assert [item.label.value.split(" (")[0] for item in figure.legend[0].items] == ["A", "B", "unknown"]
        assert len(figure.legend) == 1
    else:
        assert [bar.title for bar in figure.right] == ["age"]
    assert figure.xaxis[0].axis_label == "UMAP 1"
