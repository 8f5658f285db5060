"""A cohort as later jobs read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from workbench.cohort.contrasts import USUAL
from workbench.columns import COLUMNS
from workbench.html import facts_table
from workbench.runs import Run

OPTIONAL = tuple(name for name, one in COLUMNS.items() if one.optional)


@dataclass(frozen=True)
class Cohort:
    """The scans that can be used, and what is known of them.

    Attributes:
        table: One row a scan: scan_id, participant, session, dataset, path, seg_path, mask_path, site, scanner, sex,
            age, the data sets' own columns, simulated, shape (x, y, z), spacing in mm (sx, sy, sz), axcodes, and
            fingerprints of the files (fingerprint, seg_fingerprint, mask_fingerprint), seg_lacks (structures that
            other segmentations of the data set hold and this one does not, by ``canonical_structure``, joined by ";").
            What is unknown is None, or NaN in a column of numbers.
        set_aside: path, dataset, participant, kind ("scan", "segmentation", "mask", "row"), cause, remedy.
        labels: dataset, code, name (as the data set writes it), structure (``canonical_structure``), scans (how many
            hold it).
        notes: kind ("note", "guess", "unused"), dataset, text: what the report said. Empty for runs of before.
        fingerprint: Of every row but for where the files lie.
        simulated: Whether any scan is simulated.
        path: The run folder.
    """

    table: pd.DataFrame
    set_aside: pd.DataFrame
    labels: pd.DataFrame
    fingerprint: str
    simulated: bool
    path: Path
    notes: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Of every scan, in the order of its channels."""
        return tuple(str(self.table["channels"].iloc[0]).split("+")) if "channels" in self.table else USUAL

    def _repr_html_(self) -> str:
        """For a notebook's cell: how much of what came in can be used, and whose it is, by site."""
        people = self.table["participant"].nunique()
        sites = self.table.assign(site=self.table["site"].fillna("unknown")).groupby("site")["participant"].nunique()
        return facts_table(
            f"Cohort: {len(self.table)} scans of {people} people",
            {
                "set aside": f"{len(self.set_aside)} files" if len(self.set_aside) else "nothing",
                "people by site": ", ".join(f"{site}: {n}" for site, n in sites.items()),
                "with a segmentation": f"{self.table['seg_path'].notna().sum()} scans",
                "fingerprint": self.fingerprint,
                "folder": self.path,
            },
            simulated=self.simulated,
        )


def load_cohort(path: str | Path) -> Cohort:
    """Read the cohort that ``workbench cohort`` wrote at ``path``.

    Raises:
        WorkbenchError: not a run folder, of another job, or not finished.
    """
    run = Run(path).require_job("cohort", "a cohort")
    table = run.read_table("scans")
    for name in set(OPTIONAL) & set(table):  # parquet gives NaN (pandas 3) or None (pandas 2); None it is
        table[name] = table[name].astype(object).where(table[name].notna(), None)
    return Cohort(
        table,
        run.read_table("set_aside"),
        run.read_table("labels"),
        str(run.provenance["cohort_fingerprint"]),
        run.simulated,
        run.path,
        run.read_table("notes") if "notes" in run.tables() else pd.DataFrame(columns=["kind", "dataset", "text"]),
    )
