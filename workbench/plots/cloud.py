"""The embedding of very many scans, drawn as an image: what is sent and painted does not grow with their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.plots.palette import category_colors, coded
from workbench.plots.scatter import FRAME, axis_label, is_continuous, named_legend, select_tools

if TYPE_CHECKING:
    import holoviews as hv

Range = tuple[float, float]

FAINT = 0.35  # opacity of what was not chosen
SPARSE_ALPHA = 140  # of 255: of a pixel with few scans, where the fullest has 255
MARGIN = 0.05  # of the extent, around it


@dataclass(frozen=True)
class Cloud:
    """Scans as points, ready to be drawn at any zoom by :func:`cloud_image`."""

    points: pd.DataFrame
    """float32 ``x`` and ``y``, and ``color``: categories, or float32."""
    colors: dict[str, str]
    """Category → colour; empty where ``color`` is a scale."""
    labels: tuple[str, str, str]
    """Of the axes and of the colour, as in the data: to be shown as text only."""

    @property
    def extent(self) -> tuple[Range, Range]:
        """Of all points, with a margin."""
        return _padded(self.points["x"]), _padded(self.points["y"])


def embedding_cloud(table: pd.DataFrame, x: str, y: str, color: str) -> Cloud:
    """Prepare two projection columns, one row of ``table`` a point, in the order of the rows.

    Args:
        table: One row a scan with at least ``x``, ``y`` and ``color``.
        x: Column on the first axis, for example ``"umap_1"``. Projections have no unit.
        y: Column on the second axis.
        color: Column that gives the colour: categories by name, numbers on a continuous scale.
    """
    colors = {} if is_continuous(table[color]) else category_colors(table[color])
    values = (
        pd.Categorical.from_codes(coded(table[color])[0], categories=list(colors))
        if colors
        else pd.to_numeric(table[color]).to_numpy(np.float32)
    )
    points = pd.DataFrame(
        {
            "x": pd.to_numeric(table[x]).to_numpy(np.float32),
            "y": pd.to_numeric(table[y]).to_numpy(np.float32),
            "color": values,
        }
    )
    return Cloud(points, colors, (axis_label(x), axis_label(y), color))


def cloud_image(
    cloud: Cloud,
    chosen: np.ndarray | None = None,
    x_range: Range | None = None,
    y_range: Range | None = None,
    width: int | None = None,
    height: int | None = None,
) -> hv.RGB:
    """Draw a part of a cloud.

    A pixel has the mean colour of its categories (or the colour of its mean value), and is the more opaque the more
    scans lie in it, ranked over the pixels of the picture (datashader's histogram equalisation). A point is three
    pixels wide, more where they are few.

    Args:
        cloud: From :func:`embedding_cloud`.
        chosen: Positions of the rows that were chosen; the others are faint. None or empty: nothing is chosen.
        x_range: Part of the first axis to draw; all of it where None.
        y_range: Part of the second axis.
        width: Of the picture in pixels; 400 where the page has not yet said.
        height: In pixels; 300 where the page has not yet said.

    Returns:
        ``height × width`` pixels, red, green, blue and opacity, with the ranges as bounds.
    """
    import datashader as ds
    import holoviews as hv
    from datashader import transfer_functions as tf

    (x0, x1), (y0, y1) = (range_ or all_ for range_, all_ in zip((x_range, y_range), cloud.extent, strict=True))
    canvas = ds.Canvas(int(width or 400), int(height or 300), (x0, x1), (y0, y1))
    if chosen is None or not len(chosen):
        image = _shade(cloud, canvas, cloud.points)
    else:
        few = np.zeros(len(cloud.points), bool)
        few[chosen] = True
        faint = _shade(cloud, canvas, cloud.points[~few])
        alpha = _bytes(faint)[..., 3]
        alpha[:] = alpha * FAINT
        image = tf.stack(faint, _shade(cloud, canvas, cloud.points[few]))
    pixels = np.ascontiguousarray(_bytes(image)[::-1])
    return hv.RGB(pixels, ["x", "y"], [hv.Dimension(c, range=(0, 255)) for c in "RGBA"], bounds=(x0, y0, x1, y1))


def cloud_look(cloud: Cloud) -> dict[str, Any]:
    """Options of the plot that holds the images: tools, names on the axes, and what the colours stand for."""
    if cloud.colors:
        counts = cloud.points["color"].value_counts()
        hook = named_legend({f"{name} ({counts[name]})": c for name, c in cloud.colors.items()})
    else:
        hook = _color_bar(cloud)
    return {"xlabel": cloud.labels[0], "ylabel": cloud.labels[1], "tools": select_tools(), "hooks": [hook], **FRAME}


def _shade(cloud: Cloud, canvas: Any, points: pd.DataFrame) -> Any:
    """A datashader image: height × width packed colours, the lowest ``y`` first."""
    import datashader as ds
    from bokeh.palettes import Cividis256
    from datashader import transfer_functions as tf

    if cloud.colors:
        image = tf.shade(
            canvas.points(points, "x", "y", ds.count_cat("color")),
            color_key=list(cloud.colors.values()),
            how="eq_hist",
            min_alpha=SPARSE_ALPHA,
        )
    else:  # a colour is a value at any zoom
        image = tf.shade(
            canvas.points(points, "x", "y", ds.mean("color")), cmap=list(Cividis256), how="linear", span=_span(cloud)
        )
    return tf.dynspread(tf.spread(image, px=1), threshold=0.8, max_px=2)  # 3 pixels wide, or more


def _bytes(image: Any) -> np.ndarray:
    """The same memory as uint8, height × width × (red, green, blue, opacity)."""
    return np.asarray(image.data).view(np.uint8).reshape(*image.shape, 4)


def _color_bar(cloud: Cloud) -> Any:
    """The scale that the image itself does not carry."""

    def add(plot: Any, element: Any) -> None:
        from bokeh.models import LinearColorMapper
        from bokeh.models.annotations import ColorBar
        from bokeh.palettes import Cividis256

        figure, (low, high) = plot.state, _span(cloud)
        if not any(isinstance(part, ColorBar) for part in figure.right):
            scale = LinearColorMapper(palette=list(Cividis256), low=low, high=high)
            figure.add_layout(ColorBar(color_mapper=scale, width=10, title=cloud.labels[2]), "right")

    return add


def _span(cloud: Cloud) -> Range:
    low, high = float(cloud.points["color"].min()), float(cloud.points["color"].max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _padded(values: pd.Series) -> Range:
    low, high = float(values.min()), float(values.max())
    edge = (high - low) * MARGIN or 1.0
    return low - edge, high + edge
