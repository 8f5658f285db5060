"""Who is in which group, and what else the groups differ in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy

from workbench.columns import at_known_site, column
from workbench.errors import ConfigError
from workbench.stats.sentence import counted

MOST_GROUPS = 20  # of a column: more are measurements, not groups
MOST_PAIRED = 6  # groups of a column, the largest, that are compared with each other
BESIDE = ("site", "scanner", "diagnosis", "sex")  # what a difference of groups may as well be a difference of
STRONG = 0.3  # Cramér's V, or standard deviations of age, that is told though it may be chance


def require_groups(index: pd.DataFrame, name: str) -> None:
    """Refuse a column that there is not, or that holds measurements.

    Raises:
        ConfigError: it says which columns could be taken.
    """
    usable = [
        c for c in index if not column(str(c)).internal and c not in ("scan_id", "participant") and _groups(index[c])
    ]
    if name not in index:
        raise ConfigError(f"there is no column '{name}'", remedy=f"--by takes one of: {', '.join(map(str, usable))}")
    if not _groups(index[name]):
        raise ConfigError(
            f"column '{name}' does not make groups",
            cause=f"it holds {counted(index[name].nunique(), 'value')} of {counted(len(index), 'scan')}",
            remedy=f"--by takes one of: {', '.join(map(str, usable))}; or cut it into classes in the cohort's table",
        )


def _groups(values: pd.Series) -> bool:
    try:
        number = values.nunique()
    except TypeError:  # lists
        return False
    return 1 <= number <= MOST_GROUPS and not (pd.api.types.is_float_dtype(values) and number > 5)


def units_of(scans: pd.DataFrame, name: str) -> pd.DataFrame:
    """A row a scan whose group is known: scan_id, participant, group, and ``unit``, the person in that group. A person
    whose scans are in two groups is a unit of each."""
    known = scans[at_known_site(scans, name)]
    out = known[["scan_id", "participant"]].assign(group=known[name].astype(str))
    return out.assign(unit=out["participant"].astype(str) + "\0" + out["group"]).reset_index(drop=True)


def pairs_of(sizes: dict[str, int], smallest: int) -> tuple[list[tuple[str, str]], list[str]]:
    """Which groups are compared, the larger first, and a note where not all are."""
    large = sorted((g for g, n in sizes.items() if n >= smallest), key=lambda g: (-sizes[g], g))
    notes = [
        f"{group}: {counted(n, 'person', 'people')}: a group of fewer than {smallest} is not compared: not estimable"
        for group, n in sizes.items()
        if n < smallest
    ]
    if len(large) > MOST_PAIRED:
        notes.append(f"of {len(large)} groups the {MOST_PAIRED} largest are compared; choose others with --groups")
        large = large[:MOST_PAIRED]
    return [(a, b) for i, a in enumerate(large) for b in large[i + 1 :]], notes


def confounds(scans: pd.DataFrame, name: str, a: str, b: str) -> list[dict[str, object]]:
    """What two groups differ in besides their name, by person, each in words: ``wholly`` where no level of it holds
    both groups, so that nobody can tell which of the two makes a difference; ``partly`` where it goes with the group.

    Args:
        scans: Of the two groups, a row a scan: participant, the column ``name``, and any of site, scanner, diagnosis,
            sex and age.
        name: The column of the groups.
        a, b: The groups.
    """
    people = scans[scans[name].astype(str).isin([a, b])].drop_duplicates(["participant", name])
    rows: list[dict[str, object]] = []
    for other in BESIDE:
        if other == name or other not in people:
            continue
        known = people[at_known_site(people, other)]
        table = pd.crosstab(known[other].astype(str), known[name].astype(str))
        if table.shape[1] < 2 or table.shape[0] < 2:
            continue
        title = column(other).title.lower()
        if not (table > 0).all(axis=1).any():
            rows.append(
                _confound(
                    other,
                    "wholly",
                    f"no {title} holds both {a} and {b}: a difference may as well "
                    f"be one of {title}, and these scans cannot tell",
                )
            )
            continue
        found = scipy.stats.chi2_contingency(table, correction=False)
        strength = float(np.sqrt(found.statistic / table.to_numpy().sum()))  # Cramér's V of two groups
        if found.pvalue < 0.05 or strength >= STRONG:
            shares = table / table.sum()
            most = (shares[a] - shares[b]).abs().idxmax()
            told = f"{most} makes {100 * shares.loc[most, a]:.0f} % of {a} and {100 * shares.loc[most, b]:.0f} % of {b}"
            rows.append(
                _confound(other, "partly", f"the groups differ in {title} ({told}): a difference may be partly that")
            )
    if "age" in people and name != "age":
        ages = [
            pd.to_numeric(people.loc[people[name].astype(str) == g, "age"], errors="coerce").dropna() for g in (a, b)
        ]
        if min(map(len, ages)) >= 2 and (spread := float(np.sqrt((ages[0].var() + ages[1].var()) / 2))) > 0:
            apart = float(ages[0].mean() - ages[1].mean()) / spread
            if abs(apart) >= STRONG or scipy.stats.ttest_ind(*ages, equal_var=False).pvalue < 0.05:
                rows.append(
                    _confound(
                        "age",
                        "partly",
                        f"{a} is {'older' if apart > 0 else 'younger'} than {b}: mean age "
                        f"{ages[0].mean():.0f} and {ages[1].mean():.0f} years: a difference may be partly that",
                    )
                )
    return rows


def _confound(other: str, kind: str, words: str) -> dict[str, object]:
    return {"column": other, "kind": kind, "words": words}
