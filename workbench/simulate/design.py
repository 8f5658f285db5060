"""Who is simulated: site, sex, age and diagnosis by design, and what they do to the anatomy.

The effects below are the truth of the simulation. They are set to the size that the literature on ageing and
Alzheimer's disease reports, rounded; nobody should read them as measurements.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.simulate.config import SimulateConfig
from workbench.simulate.sites import SITES

# intracranial volume (the volume of the brain mask), ml
ICV_ML = {"M": 1550.0, "F": 1380.0}
ICV_SD = 95.0
ICV_REFERENCE = 1465.0  # hippocampus and ventricles below are those of a head of this size

# one hippocampus, mm³, at age 55 without disease
HIPPOCAMPUS_MM3 = {"left": 3650.0, "right": 3800.0}
HIPPOCAMPUS_PER_YEAR = -20.0  # after 55
HIPPOCAMPUS_PER_YEAR_EARLY = -4.0  # from 20 to 55
HIPPOCAMPUS_AD = -750.0
HIPPOCAMPUS_SD = 320.0  # between people, both sides together: volumes alone then tell AD at an AUROC near 0.9
HIPPOCAMPUS_SIDE_SD = 50.0  # between the sides of one person
HIPPOCAMPUS_ICV_POWER = 0.67  # the hippocampus grows less than in proportion to the head

# both lateral ventricles, ml, at age 20 without disease
VENTRICLES_ML = 15.0
VENTRICLES_PER_YEAR_EARLY = 0.15  # from 20 to 55
VENTRICLES_PER_YEAR = 0.6  # after 55
VENTRICLES_AD = 13.0
VENTRICLES_LOG_SD = 0.18  # between people, of the logarithm

# how far the outer surface of the cortex retracts into CSF, mm
THINNING_PER_YEAR = 0.007  # from 20
THINNING_AD = 0.25
THINNING_SD = 0.05

AGES_AD, AGES_CN = (55.0, 85.0), (20.0, 85.0)


@dataclass(frozen=True)
class Person:
    """One participant: the design variables and the planted anatomy (volumes of the continuous shapes)."""

    index: int
    participant_id: str
    site: str
    sex: str
    age: float
    diagnosis: str
    icv_ml: float
    left_hippocampus_mm3: float
    right_hippocampus_mm3: float
    ventricles_ml: float
    thinning_mm: float
    seed: int
    converts: bool = False
    """CN at first and AD at the last follow-up."""

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator of this person's own for one purpose, so that adding a purpose changes no other."""
        return np.random.default_rng([self.seed, self.index, *purpose.encode()])


@dataclass(frozen=True)
class Visit:
    """One scan: who (with the site and the age of that day), and in which session; "" where there is one scan each."""

    person: Person
    session: str = ""

    @property
    def stem(self) -> str:
        """Folder and name of its files, below the data set, without a suffix."""
        name, session = self.person.participant_id, self.session
        return f"{name}/{session}/anat/{name}_{session}" if session else f"{name}/anat/{name}"


def visits_of(person: Person, config: SimulateConfig) -> list[Visit]:
    """Everybody's sessions: at every site where heads travel, and once more for each follow-up, older by the years
    that have passed, with what the draws of the person gave at first."""
    sites = [site.name for site in SITES[: config.sites]] if config.travelling else [person.site]
    out = []
    for number in range(1 + config.followups):
        age = round(person.age + number * config.years_between, 1)
        cell = {"site": person.site, "sex": person.sex, "diagnosis": person.diagnosis, "age": age}
        if person.converts:
            share = number / config.followups
            cell |= {"disease": share, "diagnosis": "AD" if share > 0.5 else "CN"}
        older = _person(config, person.index, person.participant_id, cell) if number else person
        for site in sites:
            parts = [re.sub(r"[^A-Za-z0-9]", "", site)] if config.travelling else []
            parts += [f"{number + 1}"] if config.followups else []
            session = f"ses-{'x'.join(parts)}" if parts else ""
            out.append(Visit(replace(older, site=site), session))
    return out


def design(config: SimulateConfig) -> list[Person]:
    """Everybody of the cohort, in the order of their ids. The ids are shuffled over the cells of the design."""
    rng = np.random.default_rng([config.seed, 1])
    cells: list[dict[str, Any]] = []
    for number in range(config.sites):
        size = len(range(number, config.participants, config.sites))
        cells += _site(config, number, size, rng)
    order = rng.permutation(len(cells))
    width = max(3, len(str(len(cells))))
    people = [_person(config, i, f"sub-SIM{i + 1:0{width}d}", cells[j]) for i, j in enumerate(order)]
    healthy = [person.index for person in people if person.diagnosis == "CN"]
    count = round(config.converters * len(healthy))
    chosen = set(np.random.default_rng([config.seed, 3]).permutation(healthy)[:count].tolist())
    return [replace(person, converts=person.index in chosen) for person in people]


def _site(config: SimulateConfig, number: int, size: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Sex × diagnosis of one site, as even as its size and the planted confound allow, with ages spread evenly."""
    tilt = 1 - 2 * number / (config.sites - 1)  # 1 at the first site, -1 at the last
    ad_share = 0.5 + 0.5 * config.confound * tilt * (config.confounded in ("diagnosis", "both"))
    male_share = 0.5 + 0.5 * config.confound * tilt * (config.confounded in ("sex", "both"))
    half_up = number % 2  # odd sizes: the extra one alternates between the groups from site to site
    n_ad = _share(size, ad_share, half_up)
    people: list[dict[str, Any]] = []
    for diagnosis, n in (("AD", n_ad), ("CN", size - n_ad)):
        n_male = _share(n, male_share, (number + (diagnosis == "CN")) % 2)
        sexes = ["M"] * n_male + ["F"] * (n - n_male)
        low, high = AGES_CN if diagnosis == "CN" and not config.age_matched else AGES_AD
        # one age from each of n equal bands: every group covers the range, however small it is
        bands = rng.permutation(n)
        ages = low + (high - low) * (bands + rng.uniform(size=n)) / max(n, 1)
        people += [
            {"site": SITES[number].name, "sex": sex, "diagnosis": diagnosis, "age": round(float(age), 1)}
            for sex, age in zip(sexes, ages, strict=True)
        ]
    return people


def _share(n: int, share: float, half_up: int) -> int:
    return int(np.floor(n * share + (0.5 if half_up else 0.5 - 1e-9)))


def _person(config: SimulateConfig, index: int, participant_id: str, cell: dict[str, Any]) -> Person:
    rng = np.random.default_rng([config.seed, 2, index])
    z = rng.standard_normal(6).clip(-2.5, 2.5)
    age, ad = cell["age"], cell.get("disease", float(cell["diagnosis"] == "AD"))
    early, late = min(age, 55.0) - 20.0, max(age - 55.0, 0.0)
    icv = ICV_ML[cell["sex"]] + ICV_SD * z[0]
    size = icv / ICV_REFERENCE
    change = (
        HIPPOCAMPUS_PER_YEAR_EARLY * (early - 35.0)
        + HIPPOCAMPUS_PER_YEAR * late
        + HIPPOCAMPUS_AD * ad
        + HIPPOCAMPUS_SD * z[1]
    )
    left, right = (
        max(800.0, (HIPPOCAMPUS_MM3[side] + change + HIPPOCAMPUS_SIDE_SD * z_side) * size**HIPPOCAMPUS_ICV_POWER)
        for side, z_side in (("left", z[2]), ("right", z[3]))
    )
    ventricles = (
        (VENTRICLES_ML + VENTRICLES_PER_YEAR_EARLY * early + VENTRICLES_PER_YEAR * late + VENTRICLES_AD * ad)
        * size
        * np.exp(VENTRICLES_LOG_SD * z[4])
    )
    thinning = max(0.0, THINNING_PER_YEAR * (age - 20) + THINNING_AD * ad + THINNING_SD * z[5])
    return Person(
        index,
        participant_id,
        cell["site"],
        cell["sex"],
        age,
        cell["diagnosis"],
        round(float(icv), 1),
        round(float(left), 1),
        round(float(right), 1),
        round(float(ventricles), 2),
        round(float(thinning), 3),
        config.seed,
    )
