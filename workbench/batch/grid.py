"""From a grid, a list or a table to one mapping of parameters a run."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

from workbench.batch.batch_config import BatchConfig
from workbench.batch.config import parse_value
from workbench.errors import ConfigError


def expand(config: BatchConfig) -> list[dict[str, Any]]:
    """Parameters of every run, in order: rows of ``runs`` or ``table`` × points of ``grid``, each over ``parameters``.

    Raises:
        ConfigError: a parameter given in two places, a value that a notebook cannot take, or an unreadable table.
    """
    rows = read_table(config.table) if config.table else config.runs or [{}]
    points = [dict(zip(config.grid, values, strict=True)) for values in itertools.product(*config.grid.values())]
    in_rows = {name for row in rows for name in row}
    for name in sorted(in_rows | config.grid.keys() | config.parameters.keys()):
        places = [
            place
            for place, names in (
                ("parameters", config.parameters),
                ("grid", config.grid),
                ("table" if config.table else "runs", in_rows),
            )
            if name in names
        ]
        if len(places) > 1:
            raise ConfigError(
                f"parameter {name} is given in {' and in '.join(places)}", remedy="keep it in one of them"
            )
    return [_plain({**config.parameters, **row, **point}) for row in rows for point in points]


def read_table(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV or TSV; a cell means what it means on the command line, an empty one nothing."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as a table", cause=str(error), remedy="check the path") from error
    header = [name.strip() for name in lines[0]] if lines else []
    if len(lines) < 2 or len(set(header)) < len(header) or not all(header):
        raise ConfigError(
            f"{path}: not a table of parameters",
            cause="it needs a first line of different names and at least one line below it",
            remedy="write one column a parameter and one line a run",
        )
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in line):
            continue
        if len(line) != len(header):
            raise ConfigError(
                f"{path}, line {number}: has {len(line)} cells",
                cause=f"the header has {len(header)}",
                remedy="quote cells that hold a comma",
            )
        try:
            rows.append({name: parse_value(cell) for name, cell in zip(header, line, strict=True) if cell.strip()})
        except ValueError as error:
            raise ConfigError(f"{path}, line {number}: {error}", remedy="correct the cell") from error
    return rows


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same values as JSON has them: what is hashed is what the notebook is given."""
    for name, value in values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"parameter {name}: {value!r} is no plain value",
                cause=f"it is a {type(value).__name__}",
                remedy="use numbers, true, false, null, text, lists or mappings; quote dates and nan",
            ) from error
    return json.loads(json.dumps(values))
