"""What a notebook found, in a few numbers and words, for the table of its batch."""

from __future__ import annotations

import json
import numbers
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.runs import replacing

FILE = "recorded.json"


def record(out: str | Path, **values: Any) -> None:
    """Keep ``values`` as the results of this notebook; ``workbench batch collect`` puts each in a column.

    The last cell of a notebook calls it, as in ``record(out, dice=0.71, dice_low=0.65, dice_high=0.77, people=15)``.
    Later calls add to earlier ones. Tables need no record: ``collect --table`` finds those of the runs it made.

    Args:
        out: The notebook's parameter ``out``.
        values: Numbers (NumPy's too), true or false, text, or None. An infinite number or NaN becomes None.

    Raises:
        WorkbenchError: a value that does not fit into one cell of a table.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {**recorded(folder), **{name: _cell(name, value) for name, value in values.items()}}
    with replacing(folder / FILE) as partial:
        partial.write_text(json.dumps(kept, indent=1) + "\n")


def recorded(out: Any) -> dict[str, Any]:
    """What was recorded below a notebook's ``out``; nothing where there is none."""
    try:
        return dict(json.loads((Path(out) / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def forget(out: Any) -> None:
    """Remove what an earlier attempt recorded, so that a run that fails half way shows no results of another."""
    if isinstance(out, str):
        (Path(out) / FILE).unlink(missing_ok=True)


def _cell(name: str, value: Any) -> Any:
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()  # NumPy's and torch's scalars
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if number - number == 0 else None
    raise WorkbenchError(
        f"record: {name} is a {type(value).__name__}",
        cause="a result is one cell of a table",
        remedy="record its numbers one by one, or write a table into a run folder",
    )
