"""Settings of the job "notebook"."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import yaml
from pydantic import field_validator

from workbench.runs import JobConfig

WORDS = {"none": None, "null": None, "": None, "true": True, "false": False}


class NotebookConfig(JobConfig):
    """Run a notebook from top to bottom with parameters of your own; leaves `notebook.ipynb` and `notebook.html`.

    A notebook that makes runs of its own takes the folder for them as its parameter `out` (not the same folder as
    --out, which is for the executed notebook).
    """

    job: ClassVar[str] = "notebook"

    notebook: Path
    """The notebook (.ipynb) with a cell tagged `parameters`; it is read, never written."""
    parameters: tuple[str, ...] = ()
    """Values for names of its `parameters` cell, each as name=value: `epochs=20 bids=/data/ixi targets=[sex]`. A value
    is a number, true, false, none, a list or mapping (JSON or YAML), or else text."""

    @field_validator("parameters")
    @classmethod
    def _check_names(cls, parameters: tuple[str, ...]) -> tuple[str, ...]:
        names = [_split(parameter)[0] for parameter in parameters]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"given twice: {', '.join(twice)}")
        return parameters

    @property
    def values(self) -> dict[str, Any]:
        """The parameters by name, as Python values."""
        return {name: parse_value(text) for name, text in map(_split, self.parameters)}


def parse_value(text: str) -> Any:
    """One value from the command line: JSON where it is JSON, else a YAML list or mapping, else text.

    Not YAML for scalars: there ``no`` is False, ``1:30`` is 90 and ``1e-3`` is text.
    """
    text = text.strip()
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        pass
    if re.fullmatch(r"[-+]?(\d+\.|\d*\.\d+)([eE][-+]?\d+)?", text):  # .5 and 5. are no JSON
        return float(text)
    if text[0] in "[{":
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{text}: neither JSON nor YAML") from error
    return text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is text here")  # Python's json alone takes NaN and Infinity for numbers


def _split(parameter: str) -> tuple[str, str]:
    name, equals, text = parameter.partition("=")
    if not equals or not name.strip().isidentifier():
        raise ValueError(f"'{parameter}' is not name=value")
    parse_value(text)
    return name.strip(), text
