"""OpenMind: 800 BIDS data sets in one folder, and one table of all their scans beside it."""

from __future__ import annotations

from pathlib import Path

from workbench.cohort.layouts import look
from workbench.cohort.source import Source

TABLE = "openneuro_metadata.csv"
COLUMNS = ("age", "sex", "handedness", "health_status", "image_quality_score")
SCANNER = ("manufacturer", "model_name")


def describe(root: Path, sources: list[Source]) -> None:
    """Add what ``openneuro_metadata.csv`` says of a scan to the candidates; a data set's own tables win.

    Its ``image_path`` is relative to ``root``; other columns say age, sex, quality and scanner. The anatomy masks that
    it lists are not of the brain, and are not used.
    """
    found = look.tables(root, TABLE)
    if not found:
        return
    rows = {str(root / look.value(row, "image_path")): row for row in look.rows_of(found[0], sources[0])}
    for source in sources:
        filled = 0
        for candidate in source.candidates:
            row = rows.get(str(candidate.path))
            if row is None:
                continue
            own = {name.lower() for name in candidate.values}
            added = {name: text for name in COLUMNS if name not in own and (text := look.value(row, name))}
            if "scanner" not in own and (scanner := " ".join(filter(None, (look.value(row, n) for n in SCANNER)))):
                strength = look.number(look.value(row, "magnetic_field_strength"))
                added["scanner"] = scanner + (f" {strength:g}T" if strength else "")
            candidate.values |= added
            filled += bool(added)
        if filled:
            source.note(f"{TABLE} adds columns to {filled} scans")
