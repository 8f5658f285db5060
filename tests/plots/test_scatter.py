import holoviews as hv
import numpy as np
import pandas as pd
import pytest

from workbench.plots import case_ring, embedding_scatter, with_ring
from workbench.plots.scatter import colorable, is_continuous


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "scan_id": ["c", "a", "b"],
            "participant": ["C", "A", "B"],
            "site": ["Z", "A", None],
            "age": [70.0, 20.5, np.nan],
            "umap_1": [0.0, 1.0, 2.0],
            "umap_2": [2.0, 1.0, 0.0],
            "path": ["/x", "/y", "/z"],
        }
    )


def test_rows_keep_their_order_and_dimensions_have_names(table):
    points = embedding_scatter(table, "umap_1", "umap_2", "site")
    assert [d.label for d in points.kdims] == ["UMAP 1", "UMAP 2"]
    assert points.get_dimension("color").label == "site"
    assert list(points.dimension_values("scan_id")) == ["c", "a", "b"]
    assert list(points.dimension_values("color")) == ["Z", "A", "unknown"]
    assert "path" not in [d.name for d in points.dimensions()]


def test_the_legend_shows_how_many_and_is_sorted(table):
    plot = hv.render(
        with_ring(embedding_scatter(table, "umap_1", "umap_2", "site"), case_ring(table, "umap_1", "umap_2", "a")),
        backend="bokeh",
    )
    assert [item.label.value for item in plot.legend[0].items] == ["A (1)", "Z (1)", "unknown (1)"]


def test_colors_are_the_same_for_a_part_of_the_plot_options(table):
    first, again = (
        embedding_scatter(t, "umap_1", "umap_2", "site").opts.get("style").kwargs["cmap"]
        for t in (table, table.iloc[::-1])
    )
    assert first == again


def test_numbers_get_a_scale_and_codes_a_legend(table):
    assert is_continuous(table["age"])
    assert not is_continuous(pd.Series([0, 1, 1, 0]))
    points = embedding_scatter(table, "umap_1", "umap_2", "age")
    assert points.get_dimension("color").label == "age"
    assert hv.render(points, backend="bokeh") is not None


def test_a_hostile_column_name_stays_a_label(table):
    name = "@{x}{safe}<img src=x onerror=alert(1)>"
    points = embedding_scatter(table.rename(columns={"site": name}), "umap_1", "umap_2", name)
    assert name not in [d.name for d in points.dimensions()]
    assert points.get_dimension("color").label == name


def test_ring_is_at_the_case_or_nowhere(table):
    assert case_ring(table, "umap_1", "umap_2", "b").dframe().to_numpy().tolist() == [[2.0, 0.0]]
    assert len(case_ring(table, "umap_1", "umap_2", "nobody")) == 0


def test_colorable_leaves_out_what_is_no_legend():
    table = pd.DataFrame(
        {
            "many": [f"p{i}" for i in range(40)],
            "few": ["a", "b"] * 20,
            "age": np.linspace(1, 2, 40),
            "vector": [[1, 2]] * 40,
            "empty": [""] * 40,
            "none": [None] * 40,
        }
    )
    assert colorable(table) == ["few", "age"]
