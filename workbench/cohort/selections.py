"""Named selections of scans, which are tags as well: a TSV beside the run with a row for each name and scan.

A scan may carry any number of names, and a name any number of scans. A name is there as long as a scan carries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from workbench.cohort.beside import Beside, login, now, plain, refuse_unknown
from workbench.errors import ConfigError, WorkbenchError
from workbench.runs import Run

COLUMNS = ("name", "scan_id", "participant", "by", "time")
KEPT = Beside("selections", COLUMNS, "named selections")
LONGEST = 60  # characters of a name: it stands in a list


def selections_file(run: Run) -> Path:
    """Beside the run's folder."""
    return KEPT.file(run)


def read_selections(path: Path) -> pd.DataFrame:
    """Columns ``COLUMNS``, all text; empty where there is no file yet.

    Raises:
        WorkbenchError: the file is no such table.
    """
    return KEPT.read(path)


def add_to(path: Path, name: str, scans: pd.DataFrame, by: str, *, alone: bool = False) -> pd.DataFrame:
    """Give ``name`` to some scans, and return the whole table. Those that carry it keep who gave it them, and when.

    Args:
        path: From :func:`selections_file`.
        name: Of the selection, new or not.
        scans: With ``scan_id`` and ``participant``.
        by: Who says so.
        alone: All other scans lose the name.

    Raises:
        WorkbenchError: no name or one that is too long; a damaged file; a folder that cannot be written to.
    """
    name = plain(name)
    if not name or len(name) > LONGEST:
        raise WorkbenchError(
            f"'{name[:LONGEST]}': no name for a selection",
            cause="it is empty" if not name else f"it has {len(name)} characters",
            remedy=f"give one of 1 to {LONGEST} characters",
        )

    def work(table: pd.DataFrame) -> pd.DataFrame:
        ids, mine = scans["scan_id"].astype(str), table["name"] == name
        new = scans[~ids.isin(table.loc[mine, "scan_id"])].drop_duplicates("scan_id")
        if alone:
            table = table[~mine | table["scan_id"].isin(ids)]
        rows = pd.DataFrame({"name": name, "scan_id": new["scan_id"].astype(str).to_numpy()})
        rows["participant"] = [plain(one) for one in new["participant"]]
        return pd.concat([table, rows.assign(by=plain(by), time=now())], ignore_index=True)

    return KEPT.change(path, work)


def take_out(path: Path, name: str, scan_ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Take ``name`` away from some scans (None: from all that carry it), and return the whole table."""
    some = None if scan_ids is None else set(scan_ids)

    def work(table: pd.DataFrame) -> pd.DataFrame:
        mine = table["name"] == plain(name)
        return table[~mine if some is None else ~(mine & table["scan_id"].isin(some))]

    return KEPT.change(path, work)


def carrying(table: pd.DataFrame, names: Sequence[str], where: object = "the table") -> set[str]:
    """The scans that carry any of these names.

    Raises:
        ConfigError: nobody carries one of them.
    """
    known = sorted(set(table["name"]))
    if lost := [name for name in names if plain(name) not in known]:
        raise ConfigError(
            f"{where}: has no selection named {', '.join(map(repr, lost))}",
            cause=f"it has: {', '.join(known) or 'none'}",
            remedy="check the spelling, or save it in the explorer (Cohort, Saved)",
        )
    return set(table.loc[table["name"].isin([plain(name) for name in names]), "scan_id"])


# by run, for notebooks -----------------------------------------------------------------------------------------------


def selections(run: Run | str | Path) -> dict[str, list[str]]:
    """The named selections that were saved beside a run, here or in the explorer.

    Args:
        run: Whose scans the explorer shows: of `embed`, or of `prepare`, `cohort` or `segment`.

    Returns:
        name → scan_ids, in the order in which they were added.
    """
    table = read_selections(selections_file(_run(run)))
    return {str(name): list(rows["scan_id"]) for name, rows in table.groupby("name", sort=True)}


def save_selection(run: Run | str | Path, name: str, scan_ids: Iterable[str], *, by: str = "") -> Path:
    """Make a named selection of exactly these scans beside a run, where the explorer and `split` find it.

    Args:
        run: As in :func:`selections`.
        name: One that is there already becomes these scans; without any, the name goes.
        scan_ids: Of the run's table of scans.
        by: Who says so; your login name where it is not given.

    Returns:
        The file, for `workbench split --selections`.

    Raises:
        WorkbenchError: a scan is not in the run's table, or the file cannot be written.
    """
    run, wanted = _run(run), list(dict.fromkeys(map(str, scan_ids)))
    scans = _scans(run)
    refuse_unknown(wanted, set(scans["scan_id"]), f"in the table of {run.path}", "its table")
    path = selections_file(run)
    add_to(path, name, scans.set_index("scan_id", drop=False).loc[wanted], by or login(), alone=True)
    return path


def _run(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else Run(Path(run))


def _scans(run: Run) -> pd.DataFrame:
    name = next((one for one in ("scans", "index", "dice") if one in run.tables()), "scans")
    table = run.read_table(name)[["scan_id", "participant"]].drop_duplicates("scan_id")
    return table.assign(scan_id=table["scan_id"].astype(str))
