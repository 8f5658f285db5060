"""What is measured again and again: vectors of an encoder, Dice and volumes of a segmentation, scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from workbench.analysis.embed.vectors import open_embed
from workbench.analysis.inputs import TABLES
from workbench.cohort.splits import tested_people
from workbench.errors import WorkbenchError
from workbench.measures.predictions import classes_of
from workbench.prepare.store import open_store
from workbench.runs import Run

VOLUMES = {"dice": "Dice", "volume_ml": "volume", "true_volume_ml": "volume of the labels"}


@dataclass(frozen=True)
class Quantities:
    """Numbers of scans, of one run."""

    run: str
    kind: str
    """``embedding``, of which every column is one dimension, or what each column is."""
    scans: pd.DataFrame
    """A row a scan: ``scan_id``, ``participant``, and the cohort's columns."""
    values: np.ndarray
    """``(scans, columns)``, finite."""
    names: tuple[str, ...]
    simulated: bool
    transductive: bool = False

    def take(self, keep: np.ndarray) -> Quantities:
        return replace(self, scans=self.scans[keep].reset_index(drop=True), values=self.values[keep])


class Asked(Protocol):
    """What of a job's settings chooses runs and people."""

    @property
    def runs(self) -> tuple[Path, ...]: ...
    @property
    def token(self) -> str: ...
    @property
    def split(self) -> Path | None: ...
    @property
    def seen(self) -> bool: ...


def of_run(path: Path, config: Asked) -> list[Quantities]:
    """The quantities of a finished embed, segment or classify run, by their kind; scans that lack one are not in it.

    Raises:
        WorkbenchError: the store of a fine-tuning is not there, so that nothing tells its scans' sessions.
    """
    run = Run(path).require_ok()
    name = str(path)
    if run.job == "embed":
        _, scans, vectors = open_embed(path, config.token)
        return [
            Quantities(name, "embedding", scans, vectors.astype(float), dimensions(vectors.shape[1]), run.simulated)
        ]
    store = Path(str(run.config["store"]))
    if not store.is_dir():
        raise WorkbenchError(
            f"{path}: the store of its scans is not there",
            cause=f"{store} does not exist; sessions and scanners stand in it",
            remedy="put the store back, or run it again on the one that is there",
        )
    index, table = open_store(store).index, run.read_table(TABLES[run.job])
    table = table[table["split"] == "test"]
    trained = bool(run.provenance.get("transductive"))
    if run.job == "segment":
        kinds = {told: table.pivot_table(column, "scan_id", "structure") for column, told in VOLUMES.items()}
    else:
        classes = classes_of(table)
        columns = [f"p_{one}" for one in classes] if len(classes) > 2 else ["score"]
        kinds = {"score": table.set_index("scan_id")[columns].astype(float)}
    found = []
    for told, wide in kinds.items():
        wide = wide.replace([np.inf, -np.inf], np.nan).dropna()
        if len(wide):
            scans = index.set_index("scan_id").loc[wide.index].reset_index()
            names = tuple(str(c) for c in wide)
            found.append(Quantities(name, told, scans, wide.to_numpy(float), names, run.simulated, trained))
    return found


def dimensions(count: int) -> tuple[str, ...]:
    return tuple(f"dimension {i}" for i in range(count))


def of_each(measured: list[Quantities], work: Callable[[Quantities], None], notes: list[str]) -> None:
    """``work`` on each. Of one kind (people without labels) others may still have enough: its refusal is a note.

    Raises:
        WorkbenchError: the first refusal, where all are refused.
    """
    refused: list[WorkbenchError] = []
    for one in measured:
        try:
            work(one)
        except WorkbenchError as error:
            refused.append(error)
            notes.append(str(error.what) + (f" ({error.cause})" if error.cause else ""))
    if len(refused) == len(measured):
        raise refused[0]


def those_asked_for(one: Quantities, config: Asked, seen: set[str]) -> tuple[Quantities, list[str]]:
    """Without the people on other sides of the split than the tested one, and without those whom the encoder has seen,
    unless they are asked for; and what must be said of it."""
    keep, notes = np.ones(len(one.scans), bool), []
    people = one.scans["participant"]
    if config.split is not None:
        keep = people.isin(tested_people(config.split)).to_numpy()
        notes.append(f"{one.run}: {people[keep].nunique()} people on the tested side of the split")
    if "seen_in_pretraining" in one.scans:
        seen = seen | set(people[one.scans["seen_in_pretraining"].astype(bool)])
    known = people.isin(seen).to_numpy() & keep
    if not known.any():
        return one.take(keep), notes
    count = people[known].nunique()
    if config.seen:
        notes.append(f"{one.run}: {count} people were seen in pretraining (transductive)")
        return replace(one.take(keep), transductive=True), notes
    notes.append(f"{one.run}: {count} people whom the pretraining has seen are left out (--seen keeps them)")
    return one.take(keep & ~known), notes
