"""Tables that leave the page."""

from __future__ import annotations

from typing import Any

import pandas as pd


def safe_csv(table: pd.DataFrame) -> str:
    """CSV in which no text from data can act as a formula of a spreadsheet."""

    def tame(value: Any) -> Any:
        return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value

    return str(table.map(tame).rename(columns=tame).to_csv(index=False))
