"""Measures of a look into an encoder: a value a row of the tables ``correspondence`` (tokens), ``attention`` and
``region_mass`` (attend) and ``people`` (reliability); the study takes each person's mean (``study.evidence.looks``).
"""

from __future__ import annotations

from operator import itemgetter

from workbench.measures.measure import Measure

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
)
