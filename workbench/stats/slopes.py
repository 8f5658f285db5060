"""Change per year of people who were measured several times: each person's own slope, and a mixed model of all."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import scipy

BOTH, OWN = "random intercept and slope", "mean of people's own slopes"


@dataclass(frozen=True)
class Slope:
    """Change per year with its 95 % interval over people."""

    estimate: float
    low: float
    high: float
    p: float
    """Of no change, two-sided; not corrected."""
    people: int
    rows: int
    method: str
    """``BOTH``, or ``OWN`` where the mixed model's slopes cannot be estimated."""
    spread: float = math.nan
    """Standard deviation of the change between people."""
    across: float = math.nan
    """Per year of age at the first measurement: how people of different ages differ; NaN where it was not asked for."""
    across_low: float = math.nan
    across_high: float = math.nan
    why: str = ""
    """Why the mixed model was not taken; empty where it was."""


def own_slopes(values: np.ndarray, years: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares slope of each person who was measured at two times or more.

    Args:
        values: ``(rows,)`` or ``(rows, columns)``.
        years: When each row was measured.
        people: Whose each row is.

    Returns:
        Names of the people, sorted, and slopes ``(people,)`` or ``(people, columns)``.
    """
    values, people = np.asarray(values, float), np.asarray(people)
    names, slopes = [], []
    for name in np.unique(people):
        mine = people == name
        apart = years[mine] - years[mine].mean()
        if (whole := (apart**2).sum()) > 1e-9:
            names.append(name)
            slopes.append(apart @ values[mine] / whole)
    return np.array(names), np.array(slopes).reshape(len(names), *values.shape[1:])


def change_per_year(
    values: np.ndarray,
    years: np.ndarray,
    people: np.ndarray,
    *,
    first: np.ndarray | None = None,
    age: np.ndarray | None = None,
) -> Slope:
    """Mean change per year, or how much more one group changes than the other.

    A linear mixed model (Laird & Ware 1982, Biometrics 38:963; statsmodels' MixedLM, REML) with a random intercept and
    slope a person. Its interval is Student's t with people less groups: of a balanced design that is the t-test of
    people's own slopes. Where there are no more rows than random effects (everybody measured twice, say), or it does
    not converge, the mean of people's own slopes is taken: a random intercept alone would forget that people differ in
    how they change, and its interval would be too narrow.

    Args:
        values: ``(rows,)``, finite.
        years: Since each person's first measurement.
        people: Whose each row is; everybody has two different times or more.
        first: Whether the row's person is of the first of two groups: the result is then first minus the other.
        age: At the person's first measurement, the same in all their rows.

    Raises:
        ValueError: fewer than three people, or than two of a group.
    """
    names, slopes = own_slopes(values, years, people)
    group = None if first is None else np.array([bool(first[people == name][0]) for name in names])
    least = len(names) if group is None else int(min(group.sum(), (~group).sum()))
    if len(names) < 3 or least < 2:
        raise ValueError(f"{len(names)} people, {least} of the smaller group: three, and two of each, are needed")
    plain = _of_slopes(slopes, group, len(values))
    if len(values) <= 2 * len(names):
        return replace(plain, why="everybody's intercept and slope are as many as the rows")
    found = _mixed(np.asarray(values, float), years, people, first, age, plain)
    return replace(plain, why="the mixed model cannot be fitted") if found is None else found


def _of_slopes(slopes: np.ndarray, group: np.ndarray | None, rows: int) -> Slope:
    if group is None:
        estimate, error, df = slopes.mean(), slopes.std(ddof=1) / math.sqrt(len(slopes)), len(slopes) - 1.0
        spread = float(slopes.std(ddof=1))
    else:  # Welch
        a, b = slopes[group], slopes[~group]
        parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
        estimate, error = a.mean() - b.mean(), math.sqrt(parts.sum())
        df = float(parts.sum() ** 2 / max(parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1), 1e-300))
        spread = math.nan
    return _interval(float(estimate), error, df, Slope(0, 0, 0, 1, len(slopes), rows, OWN, spread))


def _interval(estimate: float, error: float, df: float, like: Slope) -> Slope:
    half = float(scipy.stats.t.ppf(0.975, max(df, 1.0))) * error
    p = float(2 * scipy.stats.t.sf(abs(estimate) / error, max(df, 1.0))) if error > 0 else float(estimate == 0)
    return replace(like, estimate=estimate, low=estimate - half, high=estimate + half, p=p)


def _mixed(
    values: np.ndarray,
    years: np.ndarray,
    people: np.ndarray,
    first: np.ndarray | None,
    age: np.ndarray | None,
    plain: Slope,
) -> Slope | None:
    from statsmodels.regression.mixed_linear_model import MixedLM

    scale, unit = _rest(values, years, people), years.std()  # near 1: the optimiser stops by absolute size
    if scale <= 1e-6 * values.std():
        return None
    columns = {"one": np.ones(len(values)), "years": years / unit}
    if first is not None:
        columns |= {"group": np.where(first, 0.5, -0.5), "slope": np.where(first, 0.5, -0.5) * years / unit}
    spread = 0.0 if age is None else float(age.std())
    if age is not None and spread > 0:
        columns["age"] = (age - age.mean()) / spread
    names, wanted = list(columns), "years" if first is None else "slope"
    fixed = np.stack(list(columns.values()), axis=1)
    if np.linalg.matrix_rank(fixed) < len(names):
        return None
    model = MixedLM((values - values.mean()) / scale, fixed, people, exog_re=fixed[:, :2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance of people's slopes at its edge, 0, is an answer and no fault
        try:
            found = model.fit(reml=True, method=["powell"])  # by gradients it does not end where a variance is near 0
        except (np.linalg.LinAlgError, ValueError):
            return None
    estimate, error = (float(v[names.index(wanted)]) * scale / unit for v in (found.fe_params, found.bse_fe))
    if not found.converged or not math.isfinite(error) or error <= 0:
        return None
    variance = float(np.asarray(found.cov_re)[1, 1])
    out = _interval(
        estimate,
        error,
        plain.people - (1.0 if first is None else 2.0),
        replace(plain, method=BOTH, spread=math.sqrt(max(variance, 0.0)) * scale / unit),
    )
    if "age" not in columns:
        return out
    at = names.index("age")
    by, off = float(found.fe_params[at]) * scale / spread, float(found.bse_fe[at]) * scale / spread
    half = float(scipy.stats.t.ppf(0.975, max(plain.people - 2.0, 1.0))) * off
    return replace(out, across=by, across_low=by - half, across_high=by + half)


def _rest(values: np.ndarray, years: np.ndarray, people: np.ndarray) -> float:
    """Standard deviation about each person's own line."""
    squares, df = 0.0, 0
    for name in np.unique(people):
        y, t = values[people == name], years[people == name]
        line = np.stack([np.ones(len(t)), t], axis=1)
        squares += float(((y - line @ np.linalg.lstsq(line, y, rcond=None)[0]) ** 2).sum())
        df += len(t) - 2
    return math.sqrt(squares / max(df, 1))
