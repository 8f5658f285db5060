"""What a person reads after a cohort was built."""

from __future__ import annotations

import pandas as pd

from workbench.cohort.source import Remark

SHOWN = 20
HEADINGS = {
    "unused": "not used",
    "guess": "guessed (--strict refuses instead)",
    "note": "notes",
}


def report(table: pd.DataFrame, set_aside: pd.DataFrame, remarks: list[Remark]) -> str:
    """A short text: how many scans, of whom, from where; what was set aside, not used, guessed and done."""
    lines = [headline(table)]
    rows = summary(table)
    if len(rows) > 1:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(set_aside):
        lines.append(f"set aside: {counts(set_aside)}")
        for row in set_aside.head(SHOWN).itertuples():
            lines += [f"  {row.kind} {row.path}", f"    cause:  {row.cause}", f"    remedy: {row.remedy}"]
        if len(set_aside) > SHOWN:
            lines.append(f"  … and {len(set_aside) - SHOWN} more in results/set_aside.parquet")
    for kind, heading in HEADINGS.items():
        mine = [remark for remark in remarks if remark.kind == kind]
        if mine:
            lines.append(f"{heading}:")
            lines += [f"  {remark}" for remark in mine[:SHOWN]]
        if len(mine) > SHOWN:
            lines.append(f"  … and {len(mine) - SHOWN} more in results/notes.parquet")
    return "\n".join(lines)


def headline(table: pd.DataFrame) -> str:
    unknown = int(table["site"].isna().sum())
    return (
        f"cohort: {_count(len(table), 'scan')} of {_count(table['participant'].nunique(), 'person', 'people')}, "
        f"{_count(table['site'].nunique(), 'site')}, {_count(table['dataset'].nunique(), 'data set')}"
        + (f" ({_count(unknown, 'scan')} at an unknown site)" if unknown else "")
    )


def summary(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """A header and a row a data set."""
    rows: list[tuple[str, ...]] = [
        ("", "scans", "people", "F / M / ?", "age", "segm.", "masks", "stored", "spacing in mm")
    ]
    for dataset, scans in table.groupby("dataset", sort=False):
        sex = scans.groupby("participant")["sex"].first()
        ages = scans["age"].dropna()
        rows.append(
            (
                f"{dataset} (simulated)" if scans["simulated"].any() else str(dataset),
                str(len(scans)),
                str(scans["participant"].nunique()),
                f"{(sex == 'F').sum()} / {(sex == 'M').sum()} / {sex.isna().sum()}",
                f"{ages.min():.3g}-{ages.max():.3g}" if len(ages) else "?",
                str(scans["seg_path"].notna().sum()),
                str(scans["mask_path"].notna().sum()),
                _kinds(scans["axcodes"].tolist()),
                _kinds([f"{row.sx:.3g}x{row.sy:.3g}x{row.sz:.3g}" for row in scans.itertuples()]),
            )
        )
    return rows


def counts(set_aside: pd.DataFrame) -> str:
    """ "9 scans, 2 masks, 1 person"."""
    many = {"person": "people"}
    return ", ".join(
        _count(n, str(kind), many.get(str(kind), "")) for kind, n in set_aside["kind"].value_counts().items()
    )


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def _kinds(values: list[str]) -> str:
    """The distinct values, most frequent first, at most three."""
    kinds = pd.Series(values).value_counts().index.tolist()
    return ", ".join(kinds[:3]) + (f", … ({len(kinds)} kinds)" if len(kinds) > 3 else "")
