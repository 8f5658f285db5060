"""What is compared: the embedding as it is, with covariates regressed out, and after ComBat. Whatever is fitted is
fitted on the training people of a fold and applied to the others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from workbench.columns import at_known_site
from workbench.errors import WorkbenchError

Fold = tuple[np.ndarray, np.ndarray]  # rows to fit on, rows held out
Fit = Callable[[np.ndarray], Callable[[np.ndarray, np.ndarray], np.ndarray]]  # rows -> (vectors, rows) -> vectors

MANY = 5000  # people, from where on what is as good and faster is taken: float32 too


@dataclass(frozen=True)
class Units:
    """A row a person and site: the mean of the person's scans there, standardised."""

    table: pd.DataFrame  # participant, site, and the covariates that are known
    vectors: np.ndarray  # (n, D) float64, float32 of more than MANY people
    covariates: np.ndarray  # (n, C) numbers, NaN where unknown
    names: tuple[str, ...]  # of the covariates' columns
    left_out: dict[str, int] = field(default_factory=dict)  # sites with too few people

    @property
    def sites(self) -> np.ndarray:
        return self.table["site"].to_numpy(str)

    @property
    def people(self) -> np.ndarray:
        return self.table["participant"].to_numpy(str)

    def take(self, rows: np.ndarray) -> Units:
        return Units(
            self.table.iloc[rows].reset_index(drop=True),
            self.vectors[rows],
            self.covariates[rows],
            self.names,
            self.left_out,
        )


def make_units(
    scans: pd.DataFrame, vectors: np.ndarray, *, site: str, covariates: tuple[str, ...], smallest: int
) -> Units:
    """Average a person's scans of one site; leave out small sites; standardise every feature, drop constant ones.

    Raises:
        WorkbenchError: the site column is not there, or fewer than two sites are large enough.
    """
    if site not in scans:
        raise WorkbenchError(
            f"column '{site}': the embedded scans do not have it",
            cause=f"they have: {', '.join(map(str, scans.columns))}"[:300],
            remedy="choose another --site",
        )
    known = at_known_site(scans, site)
    table = scans[known].assign(site=scans[site].astype(str))
    have = [c for c in covariates if c in table]
    groups = table.groupby(["participant", "site"], sort=True)
    units = groups[have].first().reset_index() if have else groups.size().reset_index()[["participant", "site"]]
    means = means_of(vectors[known], groups.ngroup().to_numpy())
    sizes = units["site"].value_counts()
    small = {str(s): int(n) for s, n in sizes[sizes < smallest].items()}
    keep = ~units["site"].isin(list(small)).to_numpy()
    if units.loc[keep, "site"].nunique() < 2:
        raise WorkbenchError(
            "fewer than two sites to compare",
            cause=", ".join(f"{s}: {n} people" for s, n in sizes.items()),
            remedy="gather more sites, or lower --smallest_site",
        )
    units, means = units[keep].reset_index(drop=True), means[keep]
    spread = means.std(axis=0)
    means = (means - means.mean(axis=0))[:, spread > 1e-9] / spread[spread > 1e-9]
    numbers, names = _numbers(units, have)
    return Units(units, means.astype(np.float32 if len(means) > MANY else np.float64), numbers, names, small)


def means_of(vectors: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Mean of the rows of each group, float64 ``(groups, D)``; ``group`` numbers them from 0."""
    rows = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    ends = np.cumsum(sizes)
    means = vectors[rows[ends - sizes]].astype(np.float64)  # the first of each, which most often is the only one
    for several in np.flatnonzero(sizes > 1):
        means[several] = vectors[rows[ends[several] - sizes[several] : ends[several]]].mean(axis=0, dtype=np.float64)
    return means


def _numbers(units: pd.DataFrame, columns: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Covariates as numbers: words become indicators of all but the first level."""
    parts, names = [], []
    for column in columns:
        values = units[column]
        if pd.api.types.is_numeric_dtype(values):
            parts.append(values.to_numpy(float))
            names.append(column)
            continue
        words = values.astype(object).where(values.notna() & (values.astype(str) != ""), None)
        for level in sorted(set(words.dropna().astype(str)))[1:]:
            parts.append(np.where(words.isna(), np.nan, words.astype(str) == level).astype(float))
            names.append(f"{column}={level}")
    return (np.stack(parts, axis=1) if parts else np.empty((len(units), 0))), tuple(names)


def folds_of(units: Units, folds: int, seed: int) -> list[Fold]:
    """Folds by person, sites alike in each."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    smallest = int(pd.Series(units.sites).value_counts().min())
    # with groups each person is placed by itself, for minutes of 100,000; where nobody is there twice none need be
    alone = len(units.people) > MANY and len(set(units.people)) == len(units.people)
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    cut = kind(n_splits=max(2, min(folds, smallest)), shuffle=True, random_state=seed)
    return list(cut.split(units.vectors, units.sites, None if alone else units.people))


def as_it_is(units: Units) -> Fit:
    return lambda rows: lambda vectors, targets: vectors[targets]


def regressed(units: Units) -> Fit:
    """Subtract what a linear regression on the covariates says, leaving the mean."""

    def fit(rows: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        centre = units.covariates[rows].mean(axis=0)
        design = np.column_stack([np.ones(len(rows)), units.covariates[rows] - centre])
        asked = units.vectors[rows]
        if len(rows) > MANY:  # the same solution, of a few rows in place of all
            turned, design = np.linalg.qr(design)
            asked = turned.T.astype(asked.dtype) @ asked
        slopes = np.linalg.lstsq(design, asked, rcond=None)[0][1:].astype(units.vectors.dtype)
        return lambda vectors, targets: (
            vectors[targets] - (units.covariates[targets] - centre).astype(vectors.dtype) @ slopes
        )

    return fit


def combat(units: Units, seed: int) -> Fit:
    """ComBat (Johnson 2007; Fortin 2018), the covariates kept, by neuroHarmonize. The site of a held-out person must be
    known to apply it, as it would be in use: what is tested is whether the site's mark is gone."""
    covars = pd.DataFrame(units.covariates, columns=list(units.names)).assign(SITE=units.sites)
    varies = [c for c in units.names if covars[c].nunique() > 1]
    covars = covars[["SITE", *varies]]

    def fit(rows: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        from neuroHarmonize import harmonizationApply, harmonizationLearn

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations of NumPy inside
            vectors = units.vectors.astype(np.float64, copy=False)
            model, _ = harmonizationLearn(vectors[rows], covars.iloc[rows].reset_index(drop=True), seed=seed)
            # all rows at once: its design matrix is wrong where a site is missing among those it is applied to
            harmonised = harmonizationApply(vectors, covars, model)
        if not np.isfinite(harmonised).all():
            raise np.linalg.LinAlgError("site and covariates cannot be told apart")
        return lambda vectors, targets: harmonised[targets]

    return fit


def held_out(units: Units, fit: Fit, folds: list[Fold]) -> np.ndarray:
    """Every row as the transform of the fold says in which it was not fitted on, ``(n, D)``."""
    out = np.empty_like(units.vectors)
    for train, test in folds:
        out[test] = fit(train)(units.vectors, test)
    return out
