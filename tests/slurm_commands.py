"""Commands that look like Slurm's and do the jobs on this machine; a real Slurm is in ``tests/slurm``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SBATCH = """#!/bin/bash
# each job of the array in a process of its own, one after the other; the job of the number in `die` is killed
script="$1"; name="$RANDOM$RANDOM"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
echo "$last" >> "$FAKE/arrays"
touch "$FAKE/queue/${name}_0"
(
  for i in $(seq 0 "$last"); do
    touch "$FAKE/queue/${name}_$i"
    [ "$i" = "$(cat "$FAKE/die")" ] || SLURM_ARRAY_JOB_ID=$name SLURM_ARRAY_TASK_ID=$i bash "$script"
    [ "$i" = 0 ] || rm -f "$FAKE/queue/${name}_$((i - 1))"
  done
  rm -f "$FAKE/queue/${name}_$last"
) > "$FAKE/log" 2>&1 &
echo "Submitted batch job $name"
"""
SRUN = """#!/bin/bash
while [ "$1" ]; do case "$1" in --output | --error) shift 2 ;; --*) shift ;; *) break ;; esac; done
exec "$@"
"""
SQUEUE = """#!/bin/sh
for job in "$FAKE"/queue/*; do [ -e "$job" ] && echo "${job##*/}|RUNNING"; done; true
"""


def put_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put them first on the path. The folder returned holds ``arrays`` (the last number of each that was submitted),
    ``queue`` (a file a job) and takes ``die``."""
    (folder / "queue").mkdir(parents=True)
    (folder / "die").write_text("none")
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "squeue": SQUEUE}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setattr("workbench.runs.spread.LOOK_EVERY", 0.3)
    monkeypatch.setattr("workbench.study.cells.on_slurm.LOOK_EVERY", 0.3)
    return folder
