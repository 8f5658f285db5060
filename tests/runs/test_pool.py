"""Processes that die take nothing with them but the item that killed them, and nobody is left behind."""

from __future__ import annotations

import functools
import os
import signal
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.runs.pool import in_processes


def name(item: int) -> str:
    return f"scan-{item}"


def die(item: int) -> int:
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def out_of_memory(item: int) -> int:
    if item == 2:
        raise MemoryError
    return item


def die_beside_others(item: int, folder: Path) -> int:
    """Killed the first time, when others were in work too; well when it is alone."""
    if item == 2 and not (folder / "tried").exists():
        (folder / "tried").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def fail(item: int) -> int:
    raise WorkbenchError("the disk is full", remedy=str(item))


def lost(item: int) -> int:
    return -item


def test_without_a_word_for_the_lost_a_killed_worker_is_told_with_the_scans_in_work() -> None:
    with pytest.raises(WorkbenchError, match=r"in work: .*scan-2") as caught:
        list(in_processes(die, [0, 1, 2, 3], 2, name))
    assert "--workers 1" in caught.value.remedy


@pytest.mark.parametrize("work", [die, out_of_memory])
def test_one_worker_apart_may_die_of_the_first_item(work: object) -> None:
    found = list(in_processes(work, [2, 3, 4], 1, name, lost=lost, apart=True))  # type: ignore[arg-type]
    assert sorted(found) == [-2, 3, 4]


@pytest.mark.parametrize("work", [die, out_of_memory])
def test_what_kills_its_process_alone_too_is_lost_and_all_others_come_once(
    work: object, capsys: pytest.CaptureFixture[str]
) -> None:
    found = list(in_processes(work, range(7), 2, name, lost=lost))  # type: ignore[arg-type]
    assert sorted(found) == [-2, 0, 1, 3, 4, 5, 6]
    assert "scan-2" in capsys.readouterr().err


def test_in_this_very_process_want_of_memory_is_an_items_own(tmp_path: Path) -> None:
    assert list(in_processes(out_of_memory, range(4), 1, name, lost=lost)) == [0, 1, -2, 3]
    with pytest.raises(WorkbenchError, match="scan-2"):
        list(in_processes(out_of_memory, range(4), 1, name))


def test_what_died_beside_others_is_done_again_alone(tmp_path: Path) -> None:
    work = functools.partial(die_beside_others, folder=tmp_path)
    assert sorted(in_processes(work, range(6), 3, name, lost=lost)) == list(range(6))


def test_where_no_process_ever_comes_back_nothing_is_set_aside() -> None:
    with pytest.raises(WorkbenchError, match="worker process was killed") as caught:
        list(in_processes(die, [2], 2, name, lost=lost))
    assert "__main__" in caught.value.remedy


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_that_concerns_all_scans_ends_the_job(workers: int) -> None:
    with pytest.raises(WorkbenchError, match="disk is full"):
        list(in_processes(fail, [0, 1, 2], workers, str, lost=lost))
