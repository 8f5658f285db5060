"""Measures of a look into an encoder: a value a row of the tables ``correspondence`` (tokens), ``attention`` and
``region_mass`` (attend), ``people`` (reliability) and ``probe``; the study takes each person's mean
(``study.evidence.looks``).
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING

from workbench.measures.measure import Measure

if TYPE_CHECKING:
    import pandas as pd


def _where(sites: str, column: str) -> Callable[[pd.DataFrame], pd.Series]:
    """This column in the rows whose model was learnt within the tested person's site, or between sites."""
    return lambda rows: rows[column].where(rows["sites"] == sites)


def _probe(name: str, sites: str, column: str, what: str, long: str) -> Measure:
    where = "at another site than the one it was learnt at" if sites == "between" else "at the site it was learnt at"
    return Measure(
        name=name,
        task="probe",
        title=f"{what}, {sites} sites" if sites == "between" else f"{what}, within a site",
        words=f"points of {what}",
        long=f"{long} {where}",
        scale=100,
        digits=1,
        most=1,
        of_rows=_where(sites, column),
        needs=(column, "sites"),
    )


LOOKS = (
    Measure(
        name="token_hit",
        task="tokens",
        title="tokens in the same structure",
        words="points of tokens found in the same structure",
        long="share of tokens whose most alike one in another person lies in the same structure",
        scale=100,
        digits=1,
        most=1,
        of_rows=itemgetter("hit"),
        needs=("hit",),
    ),
    Measure(
        name="token_distance_mm",
        task="tokens",
        title="distance of the token found",
        words="mm from the structure",
        long="distance from the token found to the middle of the structure",
        unit="mm",
        digits=1,
        better="lower",
        of_rows=itemgetter("distance_mm"),
        needs=("distance_mm",),
    ),
    Measure(
        name="attention_outside",
        task="attend",
        title="attention outside the brain",
        words="points of attention outside the brain",
        long="share of the attention that falls outside the brain",
        scale=100,
        digits=1,
        better="lower",
        most=1,
        of_rows=itemgetter("outside_brain"),
        needs=("outside_brain",),
    ),
    Measure(
        name="region_rank",
        task="attend",
        title="rank of the regions",
        words="points of rank of the regions",
        long="rank of a region's attention among places of its size at random (50 is chance)",
        scale=100,
        digits=1,
        most=1,
        of_rows=itemgetter("rank"),
        needs=("rank",),
    ),
    Measure(
        name="discriminability",
        task="reliability",
        title="discriminability",
        words="points of discriminability",
        long="discriminability (how often a stranger's scan is farther than the person's other one)",
        scale=100,
        digits=1,
        most=1,
        of_rows=itemgetter("discriminability"),
        needs=("discriminability",),
    ),
    Measure(
        name="identified",
        task="reliability",
        title="people identified",
        words="points of people identified",
        long="share of scans whose nearest one under another condition is of the same person",
        scale=100,
        digits=1,
        most=1,
        of_rows=itemgetter("identified"),
        needs=("identified",),
    ),
    _probe(
        "probe_between",
        "between",
        "average_precision",
        "precision of the linear model",
        "average precision of a linear model of the frozen tokens",
    ),
    _probe(
        "probe_within",
        "within",
        "average_precision",
        "precision of the linear model",
        "average precision of a linear model of the frozen tokens",
    ),
    _probe(
        "probe_hit_between",
        "between",
        "hit",
        "best tokens in the structure",
        "share of scans in which the token that a linear model takes for the structure's is in it,",
    ),
)
