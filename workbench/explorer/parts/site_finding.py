"""What the embedding says of the sites, in one sentence."""

from __future__ import annotations

from html import escape

import pandas as pd

from workbench.explorer.session.state import ExplorerState

NAMED = "site predicted"  # how the measures of `workbench shift` begin that name the site from the embedding


def site_finding(state: ExplorerState) -> str:
    """The stored figure of `workbench shift` as a sentence with its interval, chance and n; empty where none is stored.

    Figures of another embedding, or of a selection, are never shown.
    """
    if not state.shift_run:
        return ""
    table = state.catalog.table(state.shift_run, "shift")
    if not {"measure", "space", "value", "low", "high", "chance", "people"} <= set(table.columns):
        return ""
    rows = table[table["measure"].astype(str).str.startswith(NAMED) & table["value"].notna()]
    if not len(rows):
        return ""
    first, *others = rows.itertuples()
    sentence = f"The site can be named from the embedding in {_share(first)} of people (n = {first.people})"
    if pd.notna(first.chance):
        sentence += f", chance {100 * first.chance:.0f} %"
    if pd.notna(first.low) and pd.notna(first.chance) and first.low <= first.chance:
        sentence += ": not shown to be better than chance"
    if others:
        sentence += "; " + ", ".join(f"{escape(str(r.space))} {_share(r)}" for r in others)
    return sentence + "."


def _share(row: object) -> str:
    value, low, high = (float(getattr(row, name)) for name in ("value", "low", "high"))
    interval = f" [{100 * low:.0f}, {100 * high:.0f}]" if pd.notna(low) and pd.notna(high) else ""
    return f"{100 * value:.0f} %{interval}"
