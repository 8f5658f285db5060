"""Statistics over people, never over scans: intervals, paired tests, and the sentence that they allow."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.stats.interval import Interval, bootstrap_interval, two_level_interval
    from workbench.stats.paired import (
        cohens_dz,
        detectable_difference,
        holm,
        paired_power,
        rank_biserial,
        sign_flip_p,
        wilcoxon_p,
    )
    from workbench.stats.people import paired_people, person_means
    from workbench.stats.roc import DeLong, auroc, delong
    from workbench.stats.sentence import Comparison, compare, verdict

__all__ = [
    "Comparison",
    "DeLong",
    "Interval",
    "auroc",
    "bootstrap_interval",
    "cohens_dz",
    "compare",
    "delong",
    "detectable_difference",
    "holm",
    "paired_people",
    "paired_power",
    "person_means",
    "rank_biserial",
    "sign_flip_p",
    "two_level_interval",
    "verdict",
    "wilcoxon_p",
]
__getattr__ = lazy.names(
    __name__,
    {
        **dict.fromkeys(["DeLong", "auroc", "delong"], "roc"),
        **dict.fromkeys(["Interval", "bootstrap_interval", "two_level_interval"], "interval"),
        **dict.fromkeys(
            [
                "cohens_dz",
                "detectable_difference",
                "holm",
                "paired_power",
                "rank_biserial",
                "sign_flip_p",
                "wilcoxon_p",
            ],
            "paired",
        ),
        **dict.fromkeys(["paired_people", "person_means"], "people"),
        **dict.fromkeys(["Comparison", "compare", "verdict"], "sentence"),
    },
)
