"""A folder that cannot be written is told with cause and remedy, and ends the command with 2."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from workbench.cli import main
from workbench.errors import WorkbenchError, of_the_disk
from workbench.runs import JobConfig, Run, start_run


class Toy(JobConfig):
    job: ClassVar[str] = "toy"


def simulate(out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["simulate", "--out", str(out), "--participants", "3", "--spacing", "4", "--workers", "1"]) == 2
    said = capsys.readouterr().err
    assert "cause:" in said and "remedy:" in said
    return said


def test_a_file_in_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("mine")
    assert "a file stands" in simulate(tmp_path / "out", capsys)
    assert "a file stands" in simulate(tmp_path / "out" / "below", capsys)
    assert (tmp_path / "out").read_text() == "mine"


def test_too_long_a_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "too long" in simulate(tmp_path / ("x" * 300), capsys)


def test_a_folder_that_is_no_place_for_folders(capsys: pytest.CaptureFixture[str]) -> None:
    said = simulate(Path("/sys/kernel/run"), capsys)  # a file system of the kernel's, which not even root may write
    assert "permitted" in said or "denied" in said or "read-only" in said


IN_A_MOUNT = """
import sys
from pathlib import Path
import numpy as np
from tests.runs.test_disk import Toy
from workbench.errors import WorkbenchError
from workbench.runs import Run, start_run
out = Path(sys.argv[1]) / "run"
try:
    with start_run(Toy(out=out)) as run:
        (run.path / "results").mkdir()
        np.save(run.path / "results" / "large.npy", np.ones(2**20))
except WorkbenchError as error:
    print(error)
    if (out / "status.json").is_file():
        print(Run(out).status["state"])
"""
SMALL = "mount -t tmpfs -o size=256k tmpfs {0} && cd {0} && "
READ_ONLY = "mount -t tmpfs tmpfs {0} && mount -o remount,ro {0} && "


def in_a_mount(folder: Path, mount: str) -> str:
    """What a run says on a file system of its own, in a name space of its own."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mount namespaces are not permitted here")
    command = mount.format(folder) + f"{sys.executable} -c '{IN_A_MOUNT}' {folder}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, env=environment
    ).stdout


def test_a_full_disk(tmp_path: Path) -> None:
    said = in_a_mount(tmp_path, SMALL)
    assert "no space is left" in said and "remedy: make room" in said and said.endswith(("failed\n", "killed\n"))


def test_a_read_only_disk(tmp_path: Path) -> None:
    assert "the file system is read-only" in in_a_mount(tmp_path, READ_ONLY)


def test_what_libraries_say_of_a_full_disk_is_known() -> None:
    with pytest.raises(OSError) as numpys, open("/dev/full", "wb", buffering=0) as file:
        np.ones(2**20).tofile(file)
    for error in (numpys.value, RuntimeError("I/O error: No space left on device (os error 28)")):
        told = of_the_disk(error, "x")
        assert told is not None and "no space" in told.cause
    assert of_the_disk(ValueError("no"), "x") is None and of_the_disk(FileNotFoundError(2, "no"), "x") is None


def test_a_fault_that_is_not_the_disks_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), start_run(Toy(out=tmp_path / "run")):
        raise ZeroDivisionError
    with pytest.raises(WorkbenchError, match="own"), start_run(Toy(out=tmp_path / "run")):
        raise WorkbenchError("own")
    assert "own" in Run(tmp_path / "run").status["why"]
