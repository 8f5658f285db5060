"""Damaged MINC 1 files: each is read within bounds, or refused by name; no header takes memory that its file lacks."""

from __future__ import annotations

import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.harness import damaged, fuzz
from tests.volumes.test_minc import write_minc
from workbench.errors import ScanError
from workbench.testing import phantom
from workbench.volumes import read_volume

EXTREMES = (-1, -(2**31), 0, 1, 2, 255, 65_536, 2**28, 2**31 - 1)


def test_minc(tmp_path: Path) -> None:
    scan = phantom(spacing=(8, 8, 8), shape=(9, 10, 8), noise=5)
    whole = write_minc(tmp_path / "whole.mnc", scan.data, scan.spacing, scan.affine[:3, 3]).read_bytes()
    header = whole.index(b"image-max") + 100
    path = tmp_path / "scan.mnc"

    def attempt(rng: random.Random) -> str:
        content = bytearray(whole)
        for _ in range(rng.choice((0, 1, 1, 2))):  # a number of the header is what no writer puts there
            struct.pack_into(">i", content, 4 * rng.randrange(1, header // 4), rng.choice(EXTREMES))
        path.write_bytes(damaged(rng, bytes(content)) if rng.random() < 0.3 else bytes(content))
        assert np.isfinite(read_volume(path).data).all()
        return "read"

    fuzz("MINC", 150, attempt)


def test_a_header_that_asks_for_gigabytes_is_refused_before_they_are_taken(tmp_path: Path) -> None:
    scan = phantom(spacing=(8, 8, 8), shape=(9, 10, 8), noise=5)
    path = write_minc(tmp_path / "scan.mnc", scan.data, scan.spacing, scan.affine[:3, 3])
    content = bytearray(path.read_bytes())
    for name in (b"zspace", b"yspace"):  # a name of 6 bytes is padded to 8, then its length
        struct.pack_into(">i", content, content.index(name) + 8, 32_000)
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ScanError, match="MINC"):
        read_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6
