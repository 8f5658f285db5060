"""Ctrl-C and SIGTERM as a request that is honoured between two steps, never in the middle of one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class StopRequest:
    """``asked`` turns true with the first signal; a second one raises KeyboardInterrupt at once."""

    asked: bool = False


@contextmanager
def stop_on_request() -> Iterator[StopRequest]:
    """Within the block the first SIGINT or SIGTERM only sets ``asked``. Outside the main thread signals are not ours
    to take, and ``asked`` stays false."""
    request = StopRequest()

    def note(signum: int, frame: Any) -> None:
        if request.asked:
            raise KeyboardInterrupt
        request.asked = True

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
