"""Damaged run folders and encoders: told as what they are, the others beside them untouched."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch

from tests.fuzz.harness import damaged, fuzz
from workbench.explorer.stored.catalog import Catalog
from workbench.found.told import as_json, as_line
from workbench.model.config import EncoderConfig
from workbench.model.export import EncoderCard, fresh_encoder, load_encoder, save_encoder
from workbench.runs import JobConfig, find_runs, start_run

TABLE = pd.DataFrame({"scan_id": ["a", "b"], "age": [1.0, None]})
ODD = [None, True, -1, 1e300, "", "x", [], {}, ["ok"], {"a": [1]}, "<img src=x onerror=alert(1)>"]


class Toy(JobConfig):
    job: ClassVar[str] = "toy"


def another_value(rng: random.Random, content: bytes) -> bytes:
    """The same JSON with a value that nobody writes there."""
    values = json.loads(content)
    values[rng.choice(list(values))] = rng.choice(ODD)
    return json.dumps(values).encode()


def spoil(rng: random.Random, path: Path, whole: bytes) -> None:
    """A file that is gone, a folder in its place, noise, bytes changed, or a value of another kind."""
    kind = rng.randrange(6)
    if kind == 0:
        path.unlink()
        if rng.random() < 0.5:
            path.mkdir()
    elif kind == 1:
        path.write_bytes(rng.randbytes(rng.randrange(200)))
    elif kind == 2 and path.suffix == ".json":
        path.write_bytes(another_value(rng, whole))
    else:
        path.write_bytes(damaged(rng, whole))


def test_run_folders(tmp_path: Path) -> None:
    good, shelf = tmp_path / "good", tmp_path / "shelf"
    with start_run(Toy(out=good), simulated=True, participants=["a", "b"]) as run:
        run.log(step=1, loss=2.0)
        run.write_table("scans", TABLE)
    files = sorted(p.relative_to(good) for p in good.rglob("*") if p.is_file())
    for name in ("a", "b", "c"):
        shutil.copytree(good, shelf / name)

    def attempt(rng: random.Random) -> str:
        name = rng.choice(files)
        spoil(rng, shelf / "b" / name, (good / name).read_bytes())
        try:
            runs = find_runs(shelf)
            assert list(runs) == ["a", "b", "c"], "a damaged run vanished from the list"
            lines = {key: as_line(key, run) + as_json(run) for key, run in runs.items()}
            assert "ok" in lines["a"] and "ok" in lines["c"]
            catalog = Catalog.scan(shelf)
            assert {"a", "c"} <= set(catalog.finished)
            if "b" not in catalog.finished:
                return catalog.unfinished["b"].split(":")[0]
            assert catalog.of_job("toy")[0] == "a"
            runs["b"].metrics()
            read = catalog.table("b", "scans")
            assert read.equals(TABLE), "values changed and nobody noticed"
            return "read"
        finally:
            shutil.rmtree(shelf / "b")
            shutil.copytree(good, shelf / "b")

    outcomes = fuzz("run folders", 300, attempt)
    assert set(outcomes) >= {"read", "refused", "damaged"}


def test_encoders(tmp_path: Path) -> None:
    config = EncoderConfig(preset="micro", image_size=16, patch=8)
    card = EncoderCard(config, "abc", 2.0, ("site/sub-01",), ("f1",), "volta", 10, 3, True)
    weights = {name: w * 0 + 1 for name, w in fresh_encoder(config, 0).state_dict().items()}
    good = save_encoder(tmp_path / "good", weights, card)
    names = ("encoder.safetensors", "config.json")
    whole = {name: (good / name).read_bytes() for name in names}
    head = 8 + int.from_bytes(whole[names[0]][:8], "little")  # its own table of contents

    def attempt(rng: random.Random) -> str:
        name = rng.choice(names)
        content = whole[name]
        if name == names[0] and rng.random() < 0.5:
            content = damaged(rng, content[:head]) + content[head:]
        elif name == names[1] and rng.random() < 0.5:
            content = another_value(rng, content)
        else:
            content = damaged(rng, content)
        (good / name).write_bytes(content)
        try:
            encoder, facts = load_encoder(good, init=rng.choice(("pretrained", "random")))
            assert facts.spacing > 0 and isinstance(facts.simulated, bool)
            assert all(torch.isfinite(w).all() for w in encoder.state_dict().values())
            return "read"
        finally:
            (good / name).write_bytes(whole[name])

    fuzz("encoders", 200, attempt)
