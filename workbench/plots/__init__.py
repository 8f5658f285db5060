"""Plots as pure functions: a table or a volume in, a HoloViews element out. No server, no state; for notebooks and
the app."""

from workbench.plots.by_run import scores_by_site
from workbench.plots.by_site import histograms
from workbench.plots.cloud import Cloud, cloud_image, cloud_look, embedding_cloud
from workbench.plots.curves import run_curves, training_curves
from workbench.plots.intervals import interval_plot
from workbench.plots.offline import offline
from workbench.plots.palette import UNKNOWN, category_colors, label_colors
from workbench.plots.scatter import MANY, case_ring, embedding_scatter, with_ring
from workbench.plots.slices import densest_point, slices

__all__ = [
    "MANY",
    "UNKNOWN",
    "Cloud",
    "case_ring",
    "category_colors",
    "cloud_image",
    "cloud_look",
    "densest_point",
    "embedding_cloud",
    "embedding_scatter",
    "histograms",
    "interval_plot",
    "label_colors",
    "offline",
    "run_curves",
    "scores_by_site",
    "slices",
    "training_curves",
    "with_ring",
]
