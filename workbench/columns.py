"""The columns of a table of scans: what each is called for people, its unit and type, who writes it, what it is for.

The cohort, the store and the embedding run write them; whoever shows scans reads here what to call them, which are for
the machine alone, and which may colour a plot. A data set's own columns are not here: ``column`` describes them, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table with a row a scan."""

    name: str
    title: str
    """For people, without the unit."""
    by: Literal["source", "cohort", "check", "channels", "prepare", "split", "embed", "explorer", "data set"]
    """Who writes it. A name that a job writes is reserved: a data set's own column of that name is kept as
    ``<name>_given``."""
    type: Literal["text", "number", "truth", "file", "list"] = "text"
    unit: str = ""
    first: bool = False
    """Shown before all others, in this order."""
    internal: bool = False
    """For the machine; no reader wants it in a table."""
    colour: bool = True
    """Worth colouring a plot by: it groups scans or orders them."""
    optional: bool = False
    """A text that may be None in any cohort."""

    @property
    def reserved(self) -> bool:
        return self.by != "data set"

    @property
    def heading(self) -> str:
        """The title with its unit: "Age (years)"."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


def _machine(name: str, title: str, by: Any, type: Any = "text", **more: Any) -> Column:
    return Column(name=name, title=title, by=by, type=type, internal=True, colour=False, **more)


UNKNOWN = "unknown"
"""What a store calls the site of a scan where it is not known; it takes part in no measure by site. A cohort has None
there."""
PROJECTIONS = {"UMAP": ("umap_1", "umap_2"), "t-SNE": ("tsne_1", "tsne_2"), "PCA": ("pca_1", "pca_2")}
"""The coordinates of each picture of an embedding."""
_IN_ORDER = (
    Column(name="scan_id", title="Scan", by="cohort", colour=False),
    Column(name="participant", title="Participant", by="cohort", first=True, colour=False),
    _machine("participant_id", "Participant in the data set", "source"),
    Column(name="session", title="Session", by="cohort", first=True),
    Column(name="dataset", title="Data set", by="cohort", internal=True),
    _machine("path", "File", "cohort", "file"),
    _machine("seg_path", "File of the segmentation", "cohort", "file", optional=True),
    _machine("mask_path", "File of the mask", "cohort", "file", optional=True),
    Column(name="site", title="Site", by="cohort", first=True, optional=True),
    Column(name="scanner", title="Scanner", by="cohort"),
    Column(name="sex", title="Sex", by="cohort", first=True, optional=True),
    Column(name="age", title="Age", unit="years", type="number", by="cohort", first=True),
    Column(name="diagnosis", title="Diagnosis", by="data set", first=True),
    _machine("simulated", "Simulated", "check", "truth"),
    *(_machine(axis, f"Voxels along {axis}", "check", "number") for axis in "xyz"),
    *(
        Column(name=f"s{axis}", title=f"Voxel size along {axis}", unit="mm", type="number", by="check", internal=True)
        for axis in "xyz"
    ),
    Column(name="axcodes", title="Stored axes", by="check"),
    _machine("fingerprint", "Fingerprint of the scan", "check"),
    _machine("seg_fingerprint", "Fingerprint of the segmentation", "check", optional=True),
    _machine("mask_fingerprint", "Fingerprint of the mask", "check", optional=True),
    _machine("seg_lacks", "Structures that the segmentation lacks", "check", optional=True),
    _machine("channels", "Contrasts", "channels"),
    Column(name="channels_missing", title="Missing contrasts", by="channels"),
    _machine("channel_paths", "Files of the further contrasts", "channels", "file"),
    _machine("channel_fingerprints", "Fingerprints of the further contrasts", "channels"),
    *(_machine(f"p{axis}", f"Prepared voxels along {axis}", "prepare", "number") for axis in "xyz"),
    _machine("affine", "Affine of the prepared box", "prepare", "list"),
    _machine("source_shape", "Shape in the file", "prepare", "list"),
    _machine("source_affine", "Affine in the file", "prepare", "list"),
    _machine("has_seg", "Has a segmentation", "prepare", "truth"),
    Column(name="mask_kind", title="Brain mask", by="prepare", internal=True),
    Column(name="brain_ml", title="Volume in the mask", unit="ml", type="number", by="prepare"),
    _machine("key", "Key of the prepared scan", "prepare"),
    _machine("split", "Side of the split", "split"),
    _machine("fold", "Fold", "split", "number"),
    Column(name="seen_in_pretraining", title="Seen in pretraining", type="truth", by="embed"),
    *(
        _machine(name, f"{picture} {i}", "embed", "number")
        for picture, pair in PROJECTIONS.items()
        for i, name in enumerate(pair, start=1)
    ),
    Column(name="dice_mean", title="Dice (mean)", type="number", by="explorer", first=True),
    Column(name="dice_split", title="Dice from", by="explorer", first=True),
)
COLUMNS: dict[str, Column] = {one.name: one for one in _IN_ORDER}
"""By name, in the order in which they are written."""


def at_known_site(table: Any, site: str = "site") -> Any:
    """Which rows of a data frame have a site that is known: a bool series."""
    return table[site].notna() & ~table[site].astype(str).isin(["", UNKNOWN])


def holds_arrays(column: Any) -> bool:
    """Whether a cell of a column (a pandas Series) is a list, a dictionary or an array: no fact for a reader."""
    if column.dtype != object:  # numbers and text are not looked at one by one: there may be a million
        return False
    return bool(column.map(lambda v: isinstance(v, (list, tuple, dict)) or hasattr(v, "shape")).any())


def has_value(column: Any) -> Any:
    """Of each cell of a column (a pandas Series) whether it is neither missing nor empty text."""
    there = column.notna()
    return there if column.dtype.kind in "biufcM" else there & (column.astype(str) != "")


def column(name: str) -> Column:
    """By its name; a data set's own column is called by its name in words."""
    if known := COLUMNS.get(name):
        return known
    words = name.replace("_", " ").strip() or name
    return Column(name=name, title=words[:1].upper() + words[1:], by="data set")


def written_by(*who: str) -> list[str]:
    """Names of the columns that these jobs write, in order."""
    return [one.name for one in _IN_ORDER if one.by in who]


def shown(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that a reader wants to see, the well-known ones first."""
    given = list(names)
    first = [one.name for one in _IN_ORDER if one.first and one.name in given]
    rest = [name for name in given if name not in first and name != "scan_id" and not column(name).internal]
    return first + rest


def text(name: str, value: Any) -> str:
    """A value as it is told: yes and no in place of True and False, numbers without a tail."""
    if column(name).type == "truth" or isinstance(value, bool):
        return "yes" if value is True or str(value) == "True" else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
