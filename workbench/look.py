"""``workbench look FOLDER``: from a BIDS folder to the explorer in one command.

The page is there as soon as the scans are known; cohort, store, embedding, attention, tokens and shift are computed one
after the other by the ordinary commands, each a run folder, and appear on the page as they end. The same command again
continues where it was stopped. Nothing is written into ``FOLDER``.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import ConfigError, WorkbenchError
from workbench.runs import Run

ENCODER = "volta-tiny"


@dataclass(frozen=True)
class Step:
    """One job: the name of its run below the folder of runs, and its command."""

    name: str
    argv: tuple[str, ...]
    words: str


@dataclass
class Progress:
    """What is being done, for the page and the terminal; written by one thread, read by others."""

    words: str = "beginning …"
    ended: bool = False
    failed: list[str] = field(default_factory=list)


def plan(folder: Path, out: Path, encoder: str) -> list[Step]:
    """The steps in their order.

    Args:
        folder: BIDS (or any other folder that `workbench cohort` reads).
        out: Where the runs go.
        encoder: Folder of an exported encoder, or the name of one in the box; scans are prepared as it wants them.

    Raises:
        ConfigError: ``out`` lies in ``folder``, or there is no such folder.
        WorkbenchError: there is no such encoder.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder", remedy="give the folder of the scans")
    if out.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"{out}: lies in {folder}",
            cause="runs are never written into the folder of the scans",
            remedy="give another --out",
        )
    from workbench.model.box import encoder_folder, facts

    spacing = f"{float(facts(encoder_folder(encoder))['spacing']):g}"
    cohort, store, embed = (str(out / name) for name in ("cohort", "store", "embed"))
    of = ("--store", store, "--encoder", encoder)
    return [
        Step("cohort", ("cohort", "--out", cohort, "--sources", str(folder)), "looking for scans"),
        Step("store", ("prepare", "--out", store, "--cohort", cohort, "--spacing", spacing), "preparing them"),
        Step("embed", ("embed", "--out", embed, *of), "embedding"),
        Step("attend", ("attend", "--out", str(out / "attend"), *of), "attention maps"),
        Step("tokens", ("tokens", "--out", str(out / "tokens"), *of), "comparing tokens"),
        Step("shift", ("shift", "--out", str(out / "shift"), "--embed", embed), "comparing sites"),
    ]


def compute(steps: list[Step], out: Path, progress: Progress) -> None:
    """Run the steps that are not done yet, one after another; ``progress`` says which.

    A step that fails ends what needs it, and only that: without a store nothing goes on, without sites the rest does.
    """
    for number, step in enumerate(steps, start=1):
        if _done(out / step.name):
            continue
        progress.words = f"step {number} of {len(steps)}: {step.words} …"
        print(progress.words, file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "workbench.cli", *step.argv]
        status = subprocess.run(command, check=False).returncode
        if status not in (0, 1):  # 1: done, with scans set aside
            progress.failed.append(step.words)
            if step.name in ("cohort", "store", "embed"):
                break
    progress.ended = True
    progress.words = f"not done: {', '.join(progress.failed)}; the terminal says why" if progress.failed else ""


def look(folder: Path, out: Path, encoder: str, serve: Callable[[Path, Callable[[], str]], None]) -> None:
    """Compute in a thread, and serve meanwhile: ``serve(runs, told)`` blocks, ``told()`` says what is being done."""
    steps, progress = plan(folder, out, encoder), Progress()
    out.mkdir(parents=True, exist_ok=True)
    threading.Thread(target=compute, args=(steps, out, progress), daemon=True).start()
    serve(out, lambda: progress.words)


def _done(folder: Path) -> bool:
    try:
        return str(Run(folder).status["state"]) == "ok"
    except (WorkbenchError, KeyError, OSError):
        return False
