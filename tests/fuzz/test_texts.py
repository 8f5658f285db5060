"""1,000 JSON and 500 YAML files, damaged: values, or an error with a name and a place, never a parser's own."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.fuzz.harness import damaged, fuzz
from workbench.runs import read_yaml
from workbench.runs.texts import read_json, read_text

PARTICIPANTS_JSON = {
    "age": {"Description": "age", "Units": "years"},
    "sex": {"Levels": {"F": "female", "M": {"Description": "male"}}},
    "diagnosis": {"Levels": {"control": "healthy", "patient": "a patient"}},
}
SIDECAR = {"MagneticFieldStrength": 3, "Manufacturer": "Siemens", "ManufacturersModelName": "Trio", "EchoTime": 0.003}
YAML = """job: pretrain
store: work/store
epochs: 16
encoder: {preset: micro, image_size: [64, 80, 64], patch: 8}
views:
  crop: 0.5   # a remark
  sites: ["A", 'B']
rate: 1.5e-4
since: 2024-05-01
"""


def test_json(tmp_path: Path) -> None:
    path, content = tmp_path / "a.json", json.dumps({**PARTICIPANTS_JSON, **SIDECAR}).encode()

    def attempt(rng: random.Random) -> str:
        path.write_bytes(damaged(rng, content))
        read_text(path, encodings=("utf-8-sig", "latin-1"))
        read_json(path, finite=rng.random() < 0.5)
        return "read"

    fuzz("JSON", 1000, attempt)


def test_yaml(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"

    def attempt(rng: random.Random) -> str:
        path.write_bytes(damaged(rng, YAML.encode()))
        values = read_yaml(path)
        assert all(isinstance(key, str) for key in values)
        return "read"

    fuzz("YAML", 500, attempt)
