"""The scans of a study: cells that gather and prepare them, and, once they are there, who is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from workbench.analysis.config import HIPPOCAMPI
from workbench.cohort.config import CohortConfig
from workbench.cohort.splits import save_split, split_fingerprint
from workbench.columns import at_known_site
from workbench.errors import ConfigError, WorkbenchError
from workbench.finetune.targets import with_target
from workbench.prepare.config import PrepareConfig
from workbench.prepare.store import Store, open_store
from workbench.runs import digest_path
from workbench.simulate.config import SimulateConfig
from workbench.study.cells.cell import Cell, make_cell
from workbench.study.settings.parts import DataSettings

NOWHERE = Path("not-yet")


@dataclass(frozen=True)
class Data:
    """Prepared scans: where, and the fingerprint that stands for them in keys."""

    name: str
    settings: DataSettings
    cells: tuple[Cell, ...]
    """In order, each needing the one before; none for a store that was there."""
    path: Path
    fingerprint: str

    @property
    def ready(self) -> bool:
        return all(cell.done for cell in self.cells)

    def open(self) -> Store:
        return open_store(self.path)

    def usable_sites(self, usable: pd.Series, index: pd.DataFrame) -> list[str]:
        return sorted(set(index.loc[usable & at_known_site(index), "site"]) - set(self.settings.pretrain_sites))


def plan_data(name: str, settings: DataSettings, root: Path, workers: int) -> Data:
    """The cells from the sources to the store.

    Raises:
        ConfigError: a source that is not there.
    """
    if settings.store is not None:
        store = open_store(settings.store)
        return Data(name, settings, (), settings.store.resolve(), store.content + store.fingerprint)
    cells: list[Cell] = []
    if settings.cohort is not None:
        cohort, cohort_key = settings.cohort.resolve(), _there(settings.cohort)
    else:
        sources, key = [p.resolve() for p in settings.sources], [_there(p) for p in settings.sources]
        if settings.simulate is not None:
            simulate = SimulateConfig.build({**settings.simulate, "out": NOWHERE, "workers": workers})
            cells.append(make_cell(root, simulate, {}, f"simulate {name}", {"stage": "data", "data": name}))
            sources, key = [cells[-1].folder], [cells[-1].key]
        config = CohortConfig.build(
            {
                **settings.gather,
                "out": NOWHERE,
                "sources": sources,
                "segmentations": settings.segmentations,
                "workers": workers,
            }
        )
        cells.append(
            make_cell(root, config, {"sources": " ".join(key)}, f"cohort {name}", {"stage": "data", "data": name})
        )
        cohort, cohort_key = cells[-1].folder, cells[-1].key
    prepare = PrepareConfig.build({**settings.prepare, "out": NOWHERE, "cohort": cohort, "workers": workers})
    cells.append(make_cell(root, prepare, {"cohort": cohort_key}, f"prepare {name}", {"stage": "data", "data": name}))
    return Data(name, settings, tuple(cells), cells[-1].folder, cells[-1].key)


def keep_split(root: Path, split: pd.DataFrame, *, write: bool) -> tuple[Path, str]:
    """A split under the name of its content: where it is, and that fingerprint. Written only with ``write``."""
    fingerprint = split_fingerprint(split)
    path = root / "splits" / f"{fingerprint[:16]}.parquet"
    if write and not path.is_file():
        save_split(path, split)
    return path.resolve(), fingerprint


def usable_scans(store: Store, job: str, settings: dict, where: str) -> pd.Series:
    """Bool a row of ``store.index``: has the label that a task needs."""
    if job in ("segment", "probe"):
        structures = tuple(settings.get("structures", HIPPOCAMPI))
        usable = store.index["has_seg"] & store.index["scan_id"].map(
            lambda scan: all(store.codes(scan, s) for s in structures)
        )
    elif job == "tokens":
        structures = tuple(settings.get("structures", HIPPOCAMPI))
        usable = store.index["has_seg"] & store.index["scan_id"].map(
            lambda scan: any(store.codes(scan, s) for s in structures)
        )
    elif job == "attend":
        usable = pd.Series(True, store.index.index)
    elif job == "reliability":
        usable = store.index["participant"].duplicated(keep=False)
    else:
        target = settings.get("target", "sex")
        if target not in store.index:
            raise ConfigError(
                f"{where}: there is no column {target!r}",
                cause=f"there are: {', '.join(store.index.columns)}",
                remedy="correct target",
            )
        usable = with_target(store.index, target, tuple(settings.get("classes", ())))
    if not usable.any():
        if job == "reliability":
            raise WorkbenchError(f"{where}: nobody has several scans", remedy="give data of people scanned again")
        raise WorkbenchError(f"{where}: no scan has the labels of this task", remedy="check structures or target")
    return usable.astype(bool)


def _there(path: Path) -> str:
    if not path.exists():
        raise ConfigError(f"{path}: does not exist", remedy="correct the path, or set the sources on this machine")
    return digest_path(path)
