"""Plots as pure functions: a table in, a HoloViews element out. No server, no state; for notebooks and the app."""

from workbench.plots.palette import UNKNOWN, category_colors, label_colors
from workbench.plots.scatter import case_ring, embedding_scatter, with_ring

__all__ = ["UNKNOWN", "case_ring", "category_colors", "embedding_scatter", "label_colors", "with_ring"]
