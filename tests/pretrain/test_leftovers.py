"""A training that is killed leaves no process behind: neither the loader's workers nor the server that forks them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

MARK = "WORKBENCH_TEST_MARK"
SCRIPT = """
import time
import torch
from torch.utils.data import Dataset
from workbench.pretrain.data import loader

class Numbers(Dataset):
    def __getitem__(self, i):
        time.sleep(0.05)
        return torch.full((1000,), float(i))

if __name__ == "__main__":
    for number, batch in enumerate(loader(Numbers(), 0, 100_000, workers=2, pin=False)):
        print(number, flush=True)
"""


def marked(mark: str) -> list[int]:
    """Processes that were started, by whatever way, from the one that was given the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
                found += [int(folder.name)] if state != "Z" else []
        except OSError:
            continue
    return found


def test_a_killed_training_leaves_no_process(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None and process.stdout.readline() == b"0\n"
    assert len(marked(mark)) >= 4  # itself, the fork server, two workers
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = marked(mark)
    for pid in left:
        os.kill(pid, 9)
    assert not left, f"{len(left)} processes were left"
