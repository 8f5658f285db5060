"""Runs in which every name and every text is markup, and the search for markup in what is shown of them."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import yaml

from tests.explorer.fake_runs import STRUCTURES, write_fake_runs
from tests.explorer.group.made import write_group_run

KEPT = {
    "path",
    "seg_path",
    "mask_path",
    "file",
    "head",
    "what",
    "other",
}  # where files are: they must be found for the page to be full
TYPED = {"split", "kind"}  # words that the page asks for


def evil(where: str) -> str:
    """Markup that says where it came from, and would run as soon as it were markup. No slash: it names folders too."""
    return f"<img src=x onerror=pwned('{where}')>\"'&amp;<b>"


def write_hostile_runs(root: Path, n: int = 4) -> Path:
    """The runs of ``write_fake_runs`` with markup as scan ids, people, sites, columns, structures, names of runs,
    settings and reasons; beside them a failed run and a damaged one whose files say markup."""
    runs = write_fake_runs(root, n=n)
    write_group_run(runs / "group", attend=runs / "attend")
    for path in runs.glob("*/results/*.parquet"):
        table = pd.read_parquet(path)
        for column in table:
            if table[column].map(type).isin([str]).all() and column not in KEPT | TYPED:
                table[column] = table[column] + evil(f"{column} in {path.stem}" if column not in KEYS else column)
        table[evil(f"a column of {path.stem}")] = evil("a value")
        table.to_parquet(path)
    for path in runs.glob("*/config.yaml"):
        config = yaml.safe_load(path.read_text())
        config["encoder"] = f"{config.get('encoder')}-{evil('encoder')}"
        if "structures" in config:
            config["structures"] = [s + evil("structure") for s in STRUCTURES]
        path.write_text(yaml.safe_dump(config))
    for name, status in (
        ("failed", '{"state": "failed", "why": %s}'),
        ("damaged", '{"state": %s}'),
    ):
        folder = runs / name
        folder.mkdir()
        (folder / "status.json").write_text(status % yaml.safe_dump(evil("why"), default_style='"').strip())
        (folder / "config.yaml").write_text(yaml.safe_dump({"job": evil("job")}))
        (folder / "provenance.json").write_text("{}")
    for folder in list(runs.iterdir()):
        folder.rename(folder.with_name(folder.name + evil("a run")))
    return runs


KEYS = {
    "scan_id",
    "participant",
    "site",
    "structure",
    "by",
    "group",
    "weights",
}  # by which tables are joined: one text in all of them


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("src") == "x" or any(name.startswith("on") for name in values):
            self.found.append(str(self.get_starttag_text()))


def markup_in(html: str) -> Iterator[str]:
    """The elements in ``html`` that came from our markup."""
    parser = _Elements()
    parser.feed(html)
    yield from parser.found
