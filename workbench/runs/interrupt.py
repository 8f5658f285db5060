"""Ctrl-C and SIGTERM as a request that is honoured between two steps, never in the middle of one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# One stop can arrive twice: Slurm signals every process of a job, and whoever started the notebook passes it on.
ECHO = 2.0


@dataclass
class StopRequest:
    """``asked`` turns true with the first signal; another one, two seconds later or more, raises KeyboardInterrupt."""

    asked: bool = False
    since: float = 0.0


@contextmanager
def stop_on_request() -> Iterator[StopRequest]:
    """Within the block the first SIGINT or SIGTERM only sets ``asked``. Outside the main thread signals are not ours
    to take, and ``asked`` stays false."""
    request = StopRequest()

    def note(signum: int, frame: Any) -> None:
        if request.asked and time.monotonic() - request.since > ECHO:
            raise KeyboardInterrupt
        if not request.asked:
            request.asked, request.since = True, time.monotonic()

    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    except ValueError:
        pass
    try:
        yield request
    finally:
        for taken, handler in before.items():
            signal.signal(taken, handler)
