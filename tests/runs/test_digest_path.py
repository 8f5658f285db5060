"""A folder's fingerprint stays with a copy, and changes with what is in it."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workbench.runs import digest_path

NOISE = np.random.default_rng(0).integers(0, 256, 400_000, dtype=np.uint8).tobytes()


def _zipped(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


@pytest.mark.parametrize(
    ("name", "written", "moves"),
    [
        ("a_T1w.nii.gz", _zipped, True),  # the checksum at its end tells of a change in the middle
        ("participants.tsv", lambda content: content[:50_000], True),
        ("a_T1w.nii", bytes, False),  # its middle is not read: the time counts
    ],
)
def test_a_copied_folder_is_the_same_and_a_changed_byte_is_not(
    tmp_path: Path, name: str, written: Callable[[bytes], bytes], moves: bool
) -> None:
    folder = tmp_path / "data"
    (folder / "anat").mkdir(parents=True)
    file = folder / "anat" / name
    file.write_bytes(written(NOISE))
    before = digest_path(folder)
    assert digest_path(folder) == before

    copied = tmp_path / "copied"
    shutil.copytree(folder, copied)
    os.utime(copied / "anat" / name, (1, 1))  # as a download or a copy without -p leaves it
    assert (digest_path(copied) == before) is moves

    size = file.stat().st_size
    changed = bytearray(NOISE)
    changed[40_000] ^= 1  # in the middle of all three
    file.write_bytes(written(bytes(changed)))
    assert file.stat().st_size == size, "only the content tells"
    assert digest_path(folder) != before
    file.rename(folder / name)
    assert digest_path(folder) != before
