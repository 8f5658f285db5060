"""Damaged texts of a BIDS folder: what is optional never ends a cohort, and what is left unread is said."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.fuzz.harness import damaged, fuzz
from tests.fuzz.test_texts import PARTICIPANTS_JSON, SIDECAR
from workbench.cohort.gather import gather
from workbench.testing import write_bids

DECATHLON = {
    "modality": {"0": "T1w"},
    "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
    "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
    "test": ["./imagesTs/b.nii.gz"],
}
ODD = [None, 5, -1, 1e300, "x", "²", [], [1], {}, {"a": {"b": 1}}, True, "9" * 5000, "1e999"]


def other_value(rng: random.Random, content: bytes) -> bytes:
    """Valid JSON with a value of another kind somewhere, which damage to bytes seldom makes."""
    values = inside = json.loads(content)
    key = rng.choice(list(inside))
    while isinstance(inside[key], dict) and inside[key] and rng.random() < 0.7:
        inside = inside[key]
        key = rng.choice(list(inside))
    inside[key] = rng.choice(ODD)
    return json.dumps(values).encode()


def test_texts_of_a_data_set(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "toy", people=2, spacing=(8, 8, 8), shape=(7, 8, 6))
    (root / "participants.json").write_text(json.dumps(PARTICIPANTS_JSON))
    for scan in root.glob("sub-*/anat/*_T1w.nii.gz"):
        scan.with_name(scan.name.replace(".nii.gz", ".json")).write_text(json.dumps(SIDECAR))
    texts = sorted(p for p in root.rglob("*") if p.suffix in (".json", ".tsv"))
    whole = {path: path.read_bytes() for path in texts}

    def listed() -> tuple[list[dict[str, object]], list[tuple[int, str]], dict[str, object]]:
        (source,) = gather([root])
        assert len(source.candidates) == 2, "a scan vanished for a text beside it"
        return [c.values for c in source.candidates], source.labels, source.described

    before = listed()

    def attempt(rng: random.Random) -> str:
        path = rng.choice(texts)
        if path.suffix == ".json" and rng.random() < 0.4:
            path.write_bytes(other_value(rng, whole[path]))
        else:
            path.write_bytes(damaged(rng, whole[path]))
        try:
            (source,) = gather([root])
            found = listed()
            broken = [r.text for r in source.remarks if "not used" in r.text or "cannot be read" in r.text]
            if broken:
                return "left out, and said"
            return "as before" if found == before else "other values"
        finally:
            path.write_bytes(whole[path])

    outcomes = fuzz("texts of a data set", 40, attempt)
    assert set(outcomes) >= {"as before", "other values", "left out, and said"}


def test_decathlon(tmp_path: Path) -> None:
    whole = json.dumps(DECATHLON).encode()

    def attempt(rng: random.Random) -> str:
        (tmp_path / "dataset.json").write_bytes(other_value(rng, whole) if rng.random() < 0.5 else damaged(rng, whole))
        (source,) = gather([tmp_path])
        assert all(isinstance(code, int) and code > 0 for code, _ in source.labels)
        assert all(c.path.is_relative_to(tmp_path) for c in source.candidates)
        return "read"

    fuzz("Decathlon", 100, attempt)
