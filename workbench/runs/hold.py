"""Holding a run folder: one writer at a time, on one machine or on several.

The holder keeps a file in the folder open and locked (``flock``): the kernel ends that with the process, whatever
ends the process, and it holds across pid namespaces (containers). Not every network file system carries a lock from
one machine to another, so the holder also counts up a number in that file every few seconds. Who finds the file of
another machine or of another boot unlocked watches that number for a while, and takes the folder only if it stands
still. No clock is compared with another, so none that is wrong, or jumps, can matter.

A look at whether a folder is held never writes, and never blocks its holder.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

LOCK = ".workbench-lock"
BEAT = 10.0  # seconds between two beats
WATCH = 35.0  # so long a beat is waited for
SETTLE = 2.0  # where there are no locks: so long a claim must stand before it counts
QUIET = 120.0  # a mere look, which cannot wait, takes a holder elsewhere for gone after this
LINE = 512  # bytes of the file, always, so that no reader sees a half-written line of another length

_open: set[int] = set()  # descriptors by which this process holds folders


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold ``folder`` (which must exist) within the block.

    Raises:
        WorkbenchError: somebody else holds it: which process, on which machine, since when, and how to override.
        KeyboardInterrupt: in the main thread, within the block, if another process has taken the folder meanwhile.
    """
    file, token, owner = folder / LOCK, uuid.uuid4().hex, os.getpid()
    descriptor = _claim(file, token)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(file, descriptor, token, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        if os.getpid() == owner:  # a fork that leaves through here has nothing to release
            ended.set()
            beating.join()
            if (found := _read(file)) is not None and found.get("token") == token:
                file.unlink(missing_ok=True)
            _close(descriptor)


def held(folder: Path) -> bool | None:
    """Whether somebody holds ``folder`` now; None where nothing tells (a run of an earlier version, or no right)."""
    file = folder / LOCK
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return None
    try:
        locks = _try(descriptor, fcntl.LOCK_SH)
        found = _read(file)
        if locks is False:
            return True
        if found is None or earlier_life(found):
            return False
        if (known := _known_here(found, locks)) is not None:
            return known
        age = time.time() - os.fstat(descriptor).st_mtime
        return abs(age) < QUIET
    except OSError:
        return None
    finally:
        os.close(descriptor)


# taking ---------------------------------------------------------------------------------------------------------


def _claim(file: Path, token: str) -> int:
    """The descriptor of ``file``, locked where the file system has locks, with our line in it."""
    for _ in range(20):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        _open.add(descriptor)
        try:
            locks = _try(descriptor, fcntl.LOCK_EX)
            # removed by the holder before us, after we had opened it: nobody else would ever see our lock
            if locks is not False and _same(file, descriptor):
                before = _read(file)
                if before is not None and _lives(file, before, locks):
                    raise _refusal(file, before)
                _write(descriptor, {**_myself(token), "beat": 0})
                if locks is None:
                    _settle(file, token)
                return descriptor
        except BaseException:
            _close(descriptor)
            raise
        _close(descriptor)
        time.sleep(0.05)  # somebody who only looked is gone by then
    raise _refusal(file, _read(file) or {})


def _try(descriptor: int, kind: int) -> bool | None:
    """Whether the lock is ours now; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        return None
    return True


def _close(descriptor: int) -> None:
    _open.discard(descriptor)
    os.close(descriptor)


def _same(file: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    return False


def _lives(file: Path, before: dict[str, Any], locks: bool | None) -> bool:
    """Whether who wrote ``before`` still does; waits for a beat where nothing else tells."""
    if earlier_life(before):
        return False
    if (known := _known_here(before, locks)) is not None:
        return known
    print(
        f"{file.parent}: was left by {_who(before)}; waiting {WATCH:g} s for a sign of life",
        file=sys.stderr,
        flush=True,
    )
    end = time.monotonic() + WATCH
    while time.monotonic() < end:
        time.sleep(min(1.0, WATCH / 5))
        now = _read(file)
        if now is None:
            return False
        if now and (now.get("token"), now.get("beat")) != (before.get("token"), before.get("beat")):
            return True
    return False


def _known_here(found: dict[str, Any], locks: bool | None) -> bool | None:
    """Whether the holder lives, where that can be known at once: on the same machine since it was started."""
    if found.get("boot") != boot_id():
        return None
    if locks is not None:  # the lock is not taken, and one kernel answers for both of us
        return False
    if found.get("pids") != _pid_namespace():
        return None
    return process_lives(found.get("pid"), found.get("began"))


def earlier_life(found: dict[str, Any]) -> bool:
    """Whether it is this very Slurm job before it was queued again: that has ended, on whatever machine it was."""
    then, now = found.get("slurm"), slurm()
    return bool(then and now and then["job"] == now["job"] and then["life"] != now["life"])


def _settle(file: Path, token: str) -> None:
    """Without locks two may have claimed at once: the later line stands, and the other gives way."""
    time.sleep(SETTLE)
    if (found := _read(file)) is None or found.get("token") != token:
        raise _refusal(file, found or {})


# beating --------------------------------------------------------------------------------------------------------


def _beat(file: Path, descriptor: int, token: str, ended: threading.Event) -> None:
    line, beat = _myself(token), 0
    while not ended.wait(BEAT):
        found = _read(file)
        if found and found.get("token") != token and not ended.is_set():
            print(f"{file.parent}: {_who(found)} has taken this folder; stopping", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGINT)
            return
        beat += 1
        with suppress(OSError):  # a full disk or a server that is away: the run will tell, or recover
            _write(descriptor, {**line, "beat": beat})


# the file -------------------------------------------------------------------------------------------------------


def _myself(token: str) -> dict[str, Any]:
    return {
        "token": token,
        "pid": os.getpid(),
        "began": began(os.getpid()),
        "host": socket.gethostname()[:64],
        "boot": boot_id(),
        "pids": _pid_namespace(),
        "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "beat": 0,
        **({"slurm": found} if (found := slurm()) else {}),
    }


def _write(descriptor: int, line: dict[str, Any]) -> None:
    os.pwrite(descriptor, json.dumps(line).encode().ljust(LINE - 1) + b"\n", 0)


def _read(file: Path) -> dict[str, Any] | None:
    """The line; empty if it cannot be read, None where there is none. Opened anew: that is when NFS asks its server."""
    try:
        with open(file, "rb") as stream:
            content = stream.read(2 * LINE)
        found = json.loads(content) if content else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) or found is None else {}


def _refusal(file: Path, found: dict[str, Any]) -> WorkbenchError:
    mine = found.get("boot") == boot_id() and found.get("pids") == _pid_namespace() and found.get("pid") == os.getpid()
    return WorkbenchError(
        f"{file.parent}: is being written by {'this very' if mine else 'another'} process",
        cause=f"{_who(found)}, holds it",
        remedy=f"wait for it, or stop it, and try again. Only if you are sure that it is gone: remove {file}",
    )


def _who(found: dict[str, Any]) -> str:
    return f"process {found.get('pid', '?')} on {found.get('host', 'an unknown machine')}, since " + str(
        found.get("since", "an unknown time")
    )


# processes and machines -----------------------------------------------------------------------------------------


def process_lives(pid: Any, since: str | None) -> bool:
    """Whether the process ``pid`` of this machine is the one that began at ``since``."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError, OverflowError):
        return False
    except PermissionError:
        pass
    # a pid is used again after a while: the process must also have begun when it says
    return since in (None, began(int(pid)))


def began(pid: int) -> str | None:
    """When a process began, in the system's clock ticks; None where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.is_file() else "unknown"


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "unknown"


def slurm() -> dict[str, str] | None:
    """The Slurm job that this process belongs to, and how often it has been queued again."""
    job = os.environ.get("SLURM_JOB_ID")
    return {"job": job, "life": os.environ.get("SLURM_RESTART_COUNT", "0")} if job else None


def _forget_in_fork() -> None:
    """A fork shares its parent's locks, and would keep them when the parent is gone."""
    for descriptor in _open:
        with suppress(OSError):
            os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_forget_in_fork)
