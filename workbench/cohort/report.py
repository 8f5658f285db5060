"""What a person reads after a cohort was built."""

from __future__ import annotations

import pandas as pd

SHOWN = 20


def report(table: pd.DataFrame, set_aside: pd.DataFrame, notes: list[str]) -> str:
    """A short text: how many scans, of whom, from where; what was set aside and why; remarks."""
    lines = [
        f"cohort: {_count(len(table), 'scan')} of {_count(table['participant'].nunique(), 'person', 'people')}, "
        f"{_count(table['site'].nunique(), 'site')}, {_count(table['dataset'].nunique(), 'data set')}"
    ]
    rows = [("", "scans", "people", "F / M / ?", "segm.", "masks", "stored", "spacing in mm")]
    for dataset, scans in table.groupby("dataset", sort=False):
        sex = scans.groupby("participant")["sex"].first()
        name = f"{dataset} (simulated)" if scans["simulated"].any() else str(dataset)
        rows.append(
            (
                name,
                str(len(scans)),
                str(scans["participant"].nunique()),
                f"{(sex == 'F').sum()} / {(sex == 'M').sum()} / {sex.isna().sum()}",
                str(scans["seg_path"].notna().sum()),
                str(scans["mask_path"].notna().sum()),
                _kinds(scans["axcodes"].tolist()),
                _kinds([f"{row.sx:.3g}x{row.sy:.3g}x{row.sz:.3g}" for row in scans.itertuples()]),
            )
        )
    if len(rows) > 1:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(set_aside):
        counts = ", ".join(_count(n, str(kind)) for kind, n in set_aside["kind"].value_counts().items())
        lines.append(f"set aside: {counts}")
        for row in set_aside.head(SHOWN).itertuples():
            lines += [f"  {row.kind} {row.path}", f"    cause:  {row.cause}", f"    remedy: {row.remedy}"]
        if len(set_aside) > SHOWN:
            lines.append(f"  … and {len(set_aside) - SHOWN} more in results/set_aside.parquet")
    return "\n".join(lines + [f"note: {note}" for note in notes])


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"


def _kinds(values: list[str]) -> str:
    """The distinct values, most frequent first, at most three."""
    kinds = pd.Series(values).value_counts().index.tolist()
    return ", ".join(kinds[:3]) + (f", … ({len(kinds)} kinds)" if len(kinds) > 3 else "")
