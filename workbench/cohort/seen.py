"""What the voxels showed, over all scans: codes and structures, labels that were moved, scans that are one image."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict

import numpy as np
import pandas as pd

from workbench.cohort.check import Checked
from workbench.cohort.labels import HIPPOCAMPI, canonical_structure
from workbench.cohort.match import few
from workbench.cohort.pictures import Pictures
from workbench.cohort.source import Remark, Source
from workbench.volumes import Guess
from workbench.volumes.thumbnail import alike_pairs

SIDE_MM = 1.0  # by which a left structure lies left of its twin
MOVED = {
    (
        "segmentation",
        "turned",
    ): "{n} segmentations are stored in another order of axes than their scans, and were turned",
    ("mask", "turned"): "{n} masks are stored in another order of axes than their scans, and were turned",
    ("segmentation", "resampled"): "{n} segmentations lie on another grid than their scans, and were resampled",
    ("mask", "resampled"): "{n} masks lie on another grid than their scans, and were resampled",
}


class Seen:
    """What the voxels of one source's scans showed, in little room: what was read of a scan goes once it is added."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rows = array("l")  # of the cohort's table
        self.labelled = bytearray()  # whether that scan has a segmentation
        self.codes: list[frozenset[int]] = []  # in it
        self._sets: dict[frozenset[int], frozenset[int]] = {}  # one object for all scans with the same codes
        self._moved: Counter[tuple[str, str]] = Counter()
        self._said: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def add(self, found: Checked, scan_id: str, row: int) -> None:
        codes = frozenset(found.codes[:, 0].tolist())
        self.rows.append(row)
        self.labelled.append(bool(found.seg_fingerprint))
        self.codes.append(self._sets.setdefault(codes, codes))
        self._moved.update(found.moved.items())
        for remark in found.remarks:  # equal ones, but for their numbers, in one line
            kind = "guess" if isinstance(remark, Guess) else "note"
            self._said[f"{kind}:{''.join(c for c in remark if not c.isdigit())}"].append((scan_id, remark))

    def tell(self, table: pd.DataFrame, labels: pd.DataFrame) -> None:
        """Add it to the source's remarks, to ``table`` (``seg_lacks``) and to ``labels`` (``scans``)."""
        for what, text in MOVED.items():
            if self._moved[what]:
                self.source.note(text.format(n=self._moved[what]))
        for key, scans in self._said.items():
            text = f"{len(scans)} scans: {scans[0][1]} ({few([name for name, _ in scans], 3)})"
            self.source.guess(text) if key.startswith("guess") else self.source.note(text)
        _tell_structures(self, table, labels)


def _tell_structures(seen: Seen, table: pd.DataFrame, labels: pd.DataFrame) -> None:
    """Codes without a name, and structures that some segmentations lack."""
    source = seen.source
    mine = labels[labels["dataset"] == source.dataset]
    structure_of = dict(zip(mine["code"], mine["structure"], strict=True))
    scans = Counter(code for codes in seen.codes for code in codes)
    strange = [row for row, codes in zip(seen.rows, seen.codes, strict=True) if codes and not codes & set(structure_of)]
    if strange and structure_of:
        source.unused(
            f"{len(strange)} segmentations hold no code that has a name (are they of another kind, or images?): "
            f"{few(table['scan_id'].iloc[strange].tolist())}"
        )
    labels.loc[mine.index, "scans"] = [scans[code] for code in mine["code"]]
    if structure_of and (nameless := sorted(code for code in scans if code not in structure_of)):
        source.unused(
            "codes without a name are taken for background: "
            + few([f"{code} (in {scans[code]} scans)" for code in sorted(nameless, key=lambda c: -scans[c])], 8)
        )
    with_labels = [i for i, labelled in enumerate(seen.labelled) if labelled]
    everywhere = {structure_of[code] for code in scans if code in structure_of}
    lacking: Counter[str] = Counter()
    column = table.columns.get_loc("seg_lacks")
    for i in [] if source.absent_is_none else with_labels:
        lacks = sorted(everywhere - {structure_of[code] for code in seen.codes[i] if code in structure_of})
        lacking.update(lacks)
        table.iat[seen.rows[i], column] = ";".join(lacks)
    if lacking:
        first = sorted(lacking, key=lambda name: (name not in HIPPOCAMPI, -lacking[name], name))
        source.unused(
            f"of {len(with_labels)} segmentations some lack a structure that others have; such a scan is not used as "
            f"labelled for it: {few([f'{name} (lacking in {lacking[name]})' for name in first], 6)}"
        )
    if absent := sorted(HIPPOCAMPI & set(structure_of.values()) - everywhere) if with_labels else []:
        source.unused(f"structures that are named and in no segmentation: {few(absent)}")


def sided(labels: list[tuple[int, str]]) -> list[tuple[int, int]]:
    """Codes of structures that have a left and a right: (left, right) each."""
    codes = {canonical_structure(name): code for code, name in labels}
    pairs = [
        (code, codes.get(f"right_{name.removeprefix('left_')}")) for name, code in codes.items() if "left_" in name
    ]
    return [(left, right) for left, right in pairs if right is not None]


def mirrored(pairs: list[tuple[int, int]], found: Checked) -> str:
    """Why the sides of a segmentation cannot be believed: what is called left lies right, of most pairs; "" if not."""
    middles = dict(zip(found.codes[:, 0].tolist(), found.middles.tolist(), strict=True))
    apart = [middles[left] - middles[right] for left, right in pairs if left in middles and right in middles]
    wrong = sum(mm > SIDE_MM for mm in apart)
    if wrong <= sum(mm < -SIDE_MM for mm in apart):
        return ""
    return f"what its names call left lies right of what they call right, by its header ({wrong} of {len(apart)} pairs)"


def near_duplicates(table: pd.DataFrame, pictures: Pictures) -> list[Remark]:
    """Scans of two people that are nearly one image. ``pictures`` has a row for each of ``table``."""
    people, ids = table["participant"].to_numpy(), table["scan_id"].to_numpy()
    every = np.arange(len(table))
    pairs = [(i, j, r) for i, j, r in alike_pairs(pictures, every, every, once=True) if people[i] != people[j]]
    if not pairs:
        return []
    pairs.sort(key=lambda pair: -pair[2])
    shown = few([f"{ids[i]} and {ids[j]} ({r:.3f})" for i, j, r in pairs])
    return [
        Remark(
            "guess",
            "",
            f"{len(pairs)} pairs of scans are nearly the same image and count as two people (correlation): {shown}; "
            "is somebody there under two names?",
        )
    ]
