"""Runs that are repeats of each other: the same in everything but the seed, their own or that of their encoder."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.explorer.stored.catalog import Catalog
from workbench.runs import Run
from workbench.runs.folder import from_there, is_run

OWN = ("out", "seed")  # what repeats may differ in
DEEPEST = 5  # runs that lead to each other: pretraining that went on from another, and so on


def repeats(catalog: Catalog, runs: Sequence[str]) -> dict[str, list[str]]:
    """The runs under the name of what they repeat, in their order; a run without repeats is alone under its own name.

    Two runs with the same seeds are no repeats of each other, and stay apart.
    """
    groups: dict[str, list[str]] = {}
    seen: dict[str, set[tuple[Any, ...]]] = {}
    for run in runs:
        try:
            what, seeds = _identity(catalog.run(run), DEEPEST)
        except WorkbenchError:
            what, seeds = run, ()  # an encoder that is not here any more: nothing is known of it
        key = what if seeds not in seen.get(what, set()) else f"{what} {run}"
        seen.setdefault(key, set()).add(seeds)
        groups.setdefault(key, []).append(run)
    out: dict[str, list[str]] = {}
    for members in groups.values():
        name = _named(members)
        out[name if name not in out and (name not in runs or name in members) else members[0]] = members
    return out


def pooled(table: pd.DataFrame, groups: dict[str, list[str]]) -> pd.DataFrame:
    """Scores with ``run`` as the name of the group, and the run itself as ``repeat``."""
    name = {run: group for group, members in groups.items() for run in members}
    return table.assign(repeat=table["run"], run=table["run"].map(name))


def _identity(run: Run, deep: int) -> tuple[str, tuple[Any, ...]]:
    """What a run is but for its seeds, as comparable text, and its seeds, the encoder's after its own."""
    config = run.config
    seeds: tuple[Any, ...] = (config.get("seed"),)
    told = {name: value for name, value in config.items() if name not in OWN}
    for name in ("encoder", "start_from"):
        if not (given := config.get(name)):
            continue
        path = from_there(str(given), run.path)
        if deep and path.is_dir() and is_run(path):
            told[name], more = _identity(Run(path), deep - 1)
            seeds += more
        else:
            told[name] = str(path.resolve() if path.exists() else given)
    for name in ("store", "split", "cohort"):
        if told.get(name):
            told[name] = str(from_there(str(told[name]), run.path).resolve())
    return json.dumps(told, sort_keys=True, default=str), seeds


def _named(members: list[str]) -> str:
    """What the names have in common, without the word that the seed follows."""
    if len(members) == 1:
        return members[0]
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*members, strict=False))
    common = "".join(letters[0] for letters in alike).rstrip("0123456789")
    for tail in ("seed", "s", "run", "repeat"):
        bare = common.rstrip("-_. ")
        if bare.lower().endswith(tail) and (bare == tail or not bare[: -len(tail)][-1:].isalnum()):
            common = bare[: -len(tail)]
    return common.rstrip("-_. /") or members[0]
