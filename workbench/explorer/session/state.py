"""The one state of a session. Views read it, widgets write it; it knows no widget."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import param

from workbench.columns import PROJECTIONS, column
from workbench.errors import WorkbenchError
from workbench.explorer.session.group_state import GroupState
from workbench.explorer.session.scan_state import ScanState
from workbench.explorer.stored import files
from workbench.explorer.stored.catalog import Catalog
from workbench.explorer.stored.scores import metrics_of, scored_runs
from workbench.explorer.stored.shared import once_a_table
from workbench.plots.scatter import colorable

MOST_COMPARED = 4  # runs that are compared until somebody chooses

log = logging.getLogger(__name__)


class ExplorerState(GroupState, ScanState):
    """Which runs are looked at, which scans are selected, which one is the case, and what is laid over it."""

    view: Any = param.Selector(default="cohort", objects=["cohort"], doc="Which page is open; pages.PAGES names them.")
    embed_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Embedding")
    projection: Any = param.Selector(default="UMAP", objects=list(PROJECTIONS))
    color: Any = param.Selector(default=None, objects=[], allow_None=True, label="Colour by")

    panel: Any = param.Selector(
        default="table",
        objects=["table", "pictures", "histograms", "neighbours", "shift", "second", "saved", "report"],
        doc="What is open below the scatter.",
    )
    histogram_of: Any = param.Selector(default=None, objects=[], allow_None=True, label="Column")
    plane: Any = param.Selector(default="axial", objects=["axial", "coronal", "sagittal"], label="Plane")
    other_embed: Any = param.Selector(default=None, objects=[], allow_None=True, label="Second embedding")
    shift_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Shift run")
    compared: Any = param.ListSelector(default=[], objects=[], label="Runs")
    metric: Any = param.Selector(default=None, objects=[], allow_None=True, label="Score")
    part: Any = param.Selector(default="test", objects=["test", "validation", "train", "all"], label="People of")
    below: Any = param.Selector(
        default="cases", objects=["cases", "sites", "differences", "batch"], doc="What is open below the scores."
    )
    case_order: Any = param.Selector(
        default="worst",
        label="Cases",
        objects={"Worst of A first": "worst", "Largest difference first": "difference"},
    )
    seeds_as_one = param.Boolean(
        default=True, label="Seeds as one", doc="Runs that differ in nothing but the seed are one line."
    )
    batch_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Batch")

    # without item_type: to look at half a million ids one by one takes longer than the table below the scatter
    selection = param.List(default=[], doc="scan_ids of the selected points; empty means all.")
    case = param.String(default="", doc="scan_id of the scan in the viewer; empty means none.")

    cohort: Any = param.DataFrame(default=pd.DataFrame(), doc="One row a scan; see Catalog.cohort.")
    message = param.String(default="", doc="What went wrong last, for the page; empty when nothing did.")
    place = param.Event(precedence=-1, doc="The order of the cases, or how many there are, has changed.")
    pressed = param.String(default="", precedence=-1, doc="A key of the open page, with a number before it.")
    address_lacks = param.String(default="", precedence=-1, doc="What the address cannot hold of this state.")

    def __init__(self, runs_folder: str | Path | None, *, served: bool = False, **params: Any) -> None:
        super().__init__(**params)
        self.served = served  # to a browser that answers; not in a saved page
        self.runs_folder = Path(runs_folder) if runs_folder else None
        self.catalog = Catalog(self.runs_folder or Path(), {}, {})
        self._remember_ids()
        self._order: tuple[int, np.ndarray] | None = None
        self.refresh()
        if not self.catalog.of_job("attend"):  # the first screen has one overlay, and that must be one that there is
            self.show_attention = False
            self.show_prediction = bool(self.catalog.of_job("segment"))
            self.show_truth = not self.show_prediction

    @param.depends("cohort", watch=True)  # comes before the watchers of the views
    def _remember_ids(self) -> None:
        self._rows: tuple[list[str] | None, np.ndarray] = (None, np.empty(0, np.int64))  # a selection, and where it is
        self._index, self.ids_joined = _names(self.cohort)

    # runs ----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look for runs again; what is chosen stays chosen where it still exists."""
        self.message = ""
        if self.runs_folder is not None:
            with self.guarded():
                self.catalog = Catalog.scan(self.runs_folder)
        self._offer("segment_run", self.catalog.of_job("segment"))  # first: the first case is a scored one
        self._offer_other()
        self._offer("embed_run", self.catalog.with_scans())
        self._offer("batch_run", self.catalog.of_job("batch"))
        self._offer_compared()
        self.offer_groups()
        self._load_embedding()
        self.offer_overlays(*(self.catalog.of_job(job) for job in ("attend", "tokens", "whatif")))
        self.param["runs_beside"].objects = [
            run for job in ("segment", "classify", "attend") for run in self.catalog.of_job(job)
        ]
        self.runs_beside = [run for run in self.runs_beside if run in self.param["runs_beside"].objects]

    def _offer_compared(self) -> None:
        runs = scored_runs(self.catalog)
        kept = [run for run in self.compared if run in runs]
        self.param["compared"].objects = runs
        self.compared = kept or (self.catalog.of_job("segment") or runs)[:MOST_COMPARED]
        self._offer_metrics()

    @param.depends("compared", watch=True)
    def _offer_metrics(self) -> None:
        with self.guarded():
            self._offer("metric", metrics_of(self.catalog, self.compared))

    def _offer(self, name: str, objects: list[str], *, keep: bool = True) -> None:
        """New choices for a selector; keeps the present one where it is still offered, else takes the first."""
        present = getattr(self, name)
        value = present if keep and present in objects else (objects[0] if objects else None)
        self.param[name].objects = objects if objects else [None]
        setattr(self, name, value)

    @param.depends("embed_run", "segment_run", watch=True)
    def _load_embedding(self) -> None:
        cohort = pd.DataFrame()
        if self.embed_run:
            with self.guarded():
                try:
                    cohort = self.catalog.cohort(self.embed_run, self.segment_run)
                except (WorkbenchError, KeyError):
                    cohort = self.catalog.cohort(self.embed_run)  # a broken Dice table must not hide the embedding
                    raise
                finally:
                    self._offer("attend_run", self.catalog.attend_runs_for(self.embed_run))
                    others = [run for run in self.catalog.of_job("embed") if run != self.embed_run]
                    self._offer("other_embed", others)
                    self._offer("shift_run", self.catalog.shift_runs_for(self.embed_run))
        known = _names(cohort)[0]  # shared: of a million ids a set takes a second, for each session
        columns = _colours(cohort)
        with param.parameterized.batch_call_watchers(self):
            self.cohort = cohort
            self._offer(
                "projection",
                [name for name, pair in PROJECTIONS.items() if not len(cohort) or set(pair) <= set(cohort)],
            )
            self._offer("contrast", files.contrasts_of(cohort))
            self._offer("color", sorted(columns, key=lambda c: (c != "site", c)))
            self._offer("histogram_of", sorted(columns, key=lambda c: (c != "age", c)))
            self.selection = [scan_id for scan_id in self.selection if scan_id in known]
            self.case = self.case if self.case in known else _first_case(cohort)

    @param.depends("segment_run", watch=True)
    def _offer_other(self) -> None:
        self._offer("other_run", [run for run in self.catalog.of_job("segment") if run != self.segment_run])

    @param.depends("attend_run", watch=True)
    def _load_heads(self) -> None:
        heads = ["mean"]
        if self.attend_run:
            with self.guarded():
                heads = files.attention_heads(self.catalog, self.attend_run) or heads
        self._offer("head", heads)
        self.offer_overlays(*(self.catalog.of_job(job) for job in ("attend", "tokens", "whatif")))

    def overlay_of(self, run: str) -> None:
        """Lay what belongs to a run over the scan: its prediction, and the attention of its encoder."""
        with self.guarded():
            shown = self.catalog.shown_of(run)
            self.param.update(**{name: value for name, value in shown.items() if value})

    # selection -----------------------------------------------------------------------------------------------

    def select_rows(self, rows: Sequence[int] | np.ndarray) -> None:
        """Positions in the cohort table, as a plot reports them; the first becomes the case, none clears."""
        asked = np.asarray(rows, dtype=np.int64)
        inside = asked[(asked >= 0) & (asked < len(self.cohort))]
        rows = np.sort(inside)
        with param.parameterized.batch_call_watchers(self):
            if not np.array_equal(rows, self.selected_rows() if self.selection else rows[:0]):
                ids = self._index.to_numpy(object)[inside].tolist()
                self._rows = (ids, rows)
                self.selection = ids  # not the same ids again: param compares them one by one for each who watches
            if len(rows) and not np.isin(self._at(), rows):
                self.case = str(self._index[inside[0]])

    def select_ids(self, scan_ids: list[str]) -> None:
        """The same by name; names that the table does not hold are left out."""
        self.select_rows(self._rows_of(scan_ids).tolist())

    def select_case(self, scan_id: str) -> None:
        """Make a scan the case; an id that the table does not hold is refused with a message."""
        with self.guarded():
            self.case = str(files.case_row(self.cohort, scan_id)["scan_id"])

    def step(self, by: int) -> None:
        """To the next or previous scan of the selection (of the cohort where nothing is selected), round the end."""
        if len(self.cohort):
            self.case = self.neighbour(by)

    def set_order(self, rows: np.ndarray | None) -> None:
        """The rows of the cohort as the table shows them, sorted and filtered; None: as they are. Forgotten with the
        selection that it was made for."""
        self._order = None if rows is None else (self._turn(), np.asarray(rows, np.int64))
        self.param.trigger("place")

    def rows_in_order(self, scan_ids: list[str]) -> np.ndarray:
        """Positions in the cohort of these ids, as they stand; those that it does not hold are left out."""
        found = self._index.get_indexer(pd.Index(np.asarray(scan_ids, object)))
        return np.asarray(found[found >= 0], np.int64)

    def _turn(self) -> int:
        return hash((id(self.cohort), id(self.selection)))

    def walked_rows(self) -> np.ndarray:
        """The rows that next and previous go through: the selection, as the table sorts and filters it."""
        if self._order is not None and self._order[0] == self._turn() and len(self._order[1]):
            return self._order[1]
        return self.selected_rows()

    def standing(self) -> tuple[int, int]:
        """Which of how many the case is, counted from 1; 0 where it is not among them."""
        rows = self.walked_rows()
        here = np.flatnonzero(rows == self._at())
        return (int(here[0]) + 1 if len(here) else 0), len(rows)

    def case_row_of_selection(self) -> int | None:
        """The place of the case among the selected rows, counted from 0; None where it is not among them."""
        here = np.flatnonzero(self.selected_rows() == self._at())
        return int(here[0]) if len(here) else None

    def neighbour(self, by: int) -> str:
        """The scan ``by`` places after the case in what the table shows (the selection, or the cohort)."""
        rows = self.walked_rows()
        here = np.flatnonzero(rows == self._at())
        return str(self._index[rows[((here[0] if len(here) else -by) + by) % len(rows)]])

    def _at(self) -> int:
        """The place of the case in the cohort; -1 where there is none."""
        return int(self._index.get_loc(self.case)) if self.case in self._index else -1

    def selected(self) -> pd.DataFrame:
        """The cohort rows that the table shows: the selection, or all where nothing is selected."""
        return self.cohort.iloc[self.selected_rows()] if self.selection else self.cohort

    def selected_rows(self) -> np.ndarray:
        """Their positions in the cohort, in its order."""
        if not self.selection:
            return np.arange(len(self.cohort))
        if self._rows[0] is not self.selection:
            self._rows = (self.selection, self._rows_of(self.selection))
        return self._rows[1]

    def _rows_of(self, scan_ids: list[str]) -> np.ndarray:
        # among 100,000 ids pandas' own `isin` takes 0.2 s, for each view that asks
        return np.sort(self.rows_in_order(scan_ids))

    # the case ------------------------------------------------------------------------------------------------

    def row(self) -> dict[str, Any] | None:
        return files.case_row(self.cohort, self.case) if self.case else None

    def case_dice(self) -> pd.DataFrame:
        """Own Dice of the case in every segmentation run: columns run, structure, dice, split."""
        tables = []
        for run in self.catalog.of_job("segment"):
            dice = self.catalog.dice(run)
            rows = dice.loc[dice["scan_id"] == self.case, ["structure", "dice", "split"]]
            tables.append(rows.assign(run=run))
        return pd.concat(tables) if tables else pd.DataFrame(columns=["structure", "dice", "split", "run"])

    @property
    def simulated(self) -> bool:
        """Whether any simulated scan is on the screen."""
        return bool(self.embed_run and self.catalog.run(self.embed_run).simulated) or (
            "simulated" in self.cohort and bool(self.cohort["simulated"].fillna(False).any())
        )

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """An error in the data becomes a message in the page; the page lives on."""
        try:
            yield
        except WorkbenchError as error:
            log.warning("%s", error)  # the page leaves out where things lie
            self.message = str(error)
        except Exception as error:  # whatever a damaged table may raise: told in the page, traced in the server's log
            log.exception("explorer")
            self.message = f"Something in the data was not as expected: {type(error).__name__}: {error}"


@once_a_table
def _names(cohort: pd.DataFrame) -> tuple[pd.Index, bytes]:
    """The scan ids, for looking up many at once, and joined: what an address knows a cohort by."""
    ids = [str(i) for i in cohort["scan_id"].to_numpy(object)] if len(cohort) else []
    return pd.Index(ids, dtype=object), chr(0).join(ids).encode()


@once_a_table
def _colours(cohort: pd.DataFrame) -> list[str]:
    return colorable(cohort[[c for c in cohort if column(str(c)).colour]]) if len(cohort) else []


def _first_case(cohort: pd.DataFrame) -> str:
    """A scan with a prediction where there is one, so that the first picture shows everything; else the first."""
    if not len(cohort):
        return ""
    scored = cohort[cohort["dice_mean"].notna()] if "dice_mean" in cohort else cohort
    return str((scored if len(scored) else cohort)["scan_id"].iloc[0])
