"""Run the cells of a plan, several at a time, each in its own process; a failed one is noted and the rest goes on."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tqdm.auto import tqdm

from workbench.errors import WorkbenchError
from workbench.runs import Run
from workbench.runs.fork_server import ForkServer, share_of_cores
from workbench.runs.slurm import SlurmSettings
from workbench.study.cells.cell import Cell, ask
from workbench.study.cells.estimate import Budget
from workbench.study.cells.on_slurm import SlurmCells
from workbench.study.cells.plan import Node

WORKER = "workbench.study.cells.worker"
DATA_JOBS = ("simulate", "cohort", "prepare")  # of the stage "data"
PATIENCE = 30.0  # seconds in which a stopped cell may save its state


@dataclass
class Outcome:
    """How the nodes ended: cells by node, and why others have none."""

    cells: dict[str, Cell] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    """Not run, or stopped, since the time that was given was over."""


def execute(
    nodes: Sequence[Node],
    root: Path,
    workers: int,
    desc: str = "compare",
    budget: Budget | None = None,
    slurm: SlurmSettings | None = None,
) -> Outcome:
    """Every node after those it waits for, ``workers`` at a time. Cells that are done are not run.

    With ``slurm`` each cell is a job of Slurm, so many at a time as that says. With a ``budget`` no cell is begun that
    would not end in time, and one that is not over when it is stops and saves its state; the rest is ``left``.

    Raises:
        KeyboardInterrupt: after the running cells have saved their state and ended; jobs of Slurm stay.
    """
    cells: Workers | SlurmCells = Workers(workers, root, jobs_of(nodes)) if slurm is None else SlurmCells(slurm, root)
    with (
        tqdm(total=len(nodes), desc=desc, unit="cell", file=sys.stderr, smoothing=0) as bar,
        closing(cells) as running,
    ):

        def ended(node: str, why: str) -> None:
            if why:
                bar.write(f"failed: {node}: {why}", file=sys.stderr)
            bar.update()

        queue = Queue(nodes, ended)
        try:
            while queue.waiting or running.cells:
                _step(queue, running, budget)
                bar.set_postfix_str(", ".join(c.name[:40] for c in running.cells.values()), refresh=False)
        except KeyboardInterrupt:
            running.leave()
            raise
    return queue.outcome


def _step(queue: Queue, running: Workers | SlurmCells, budget: Budget | None) -> None:
    """Start what there is room for, and take what has ended; of a budget that is used up, end the rest."""
    idle, waited = not running.cells, len(queue.waiting)
    for node in queue.ready():
        room = not running.full and (budget is None or budget.fits(node.about))
        if (cell := queue.take(node, full=not room)) is not None:
            running.start(cell)
    # only where nothing ran before either: else what has just ended may have made the room that was lacking
    if budget is not None and idle and not running.cells and len(queue.waiting) == waited:
        queue.leave_rest("not run: the time given was over")
    if budget is not None and budget.over and running.cells:
        stopped = list(running.cells.values())
        running.stop()
        running.cells.clear()  # one that did not answer is ended with its process
        for cell in stopped:
            queue.end(cell, "") if cell.done else queue.leave(cell, "stopped: the time given was over")
    for cell, why in running.ended():
        if budget is not None and not why:
            budget.pace.add(cell.about, float(Run(cell.folder).status.get("seconds", 0.0)))
        queue.end(cell, why)


def jobs_of(nodes: Sequence[Node]) -> list[str]:
    """The jobs that the cells of these nodes are of."""
    kinds = {str(node.about.get("kind") or node.about["stage"]) for node in nodes}
    return sorted((kinds - {"data"}) | (set(DATA_JOBS) if "data" in kinds else set()))


class Queue:
    """Which nodes wait, which of them may go, and how the others ended. It starts nothing.

    ``ended`` is told each node at its end, with why it failed or "".
    """

    def __init__(self, nodes: Sequence[Node], ended: Callable[[str, str], None]) -> None:
        self.waiting = {node.id: node for node in nodes}
        self.outcome = Outcome()
        self._told = ended
        self._cells: dict[str, Cell] = {}  # by node, made once: hundreds wait, and are looked at five times a second
        self._running: dict[str, list[str]] = {}  # nodes by the key of a running cell: several may stand for one

    def ready(self) -> Iterator[Node]:
        """Waiting nodes whose needs have ended, well or not."""
        cells, failed = self.outcome.cells, self.outcome.failed
        for node in list(self.waiting.values()):
            if all(one in cells or one in failed for one in (*node.after, *node.one_of)):
                yield node

    def take(self, node: Node, *, full: bool) -> Cell | None:
        """The cell to be started for a node that is ready; None where there is none, or no room as it is ``full``."""
        if lost := self._lost(node):
            self._end(node.id, f"not run: it needs {lost}, which failed")
            return None
        seen = node.id in self._cells
        try:
            cell = self._cells[node.id] if seen else node.make()
        except WorkbenchError as error:
            self._end(node.id, str(error.what))
            return None
        self._cells[node.id] = cell
        if cell.key in self._running:
            del self.waiting[node.id]
            self._running[cell.key].append(node.id)
        elif seen and full:  # whether it is done was looked up before
            pass
        elif cell.done:
            self._end(node.id)
        elif not full:
            del self.waiting[node.id]
            self._running[cell.key] = [node.id]
            return cell
        return None

    def end(self, cell: Cell, why: str) -> None:
        """Of a cell that was started: it is over for every node that it stands for."""
        for node in self._running.pop(cell.key):
            self._end(node, why)

    def leave(self, cell: Cell, why: str) -> None:
        """Of a cell that was started and stopped: it goes on another time."""
        for node in self._running.pop(cell.key):
            self._leave(node, why)

    def leave_rest(self, why: str) -> None:
        for node in list(self.waiting):
            self._leave(node, why)

    def _leave(self, node: str, why: str) -> None:
        self.waiting.pop(node, None)
        self.outcome.left[node] = why
        self._told(node, "")

    def _lost(self, node: Node) -> str | None:
        """A node that this one needs and that failed."""
        failed = self.outcome.failed
        lost = [one for one in node.after if one in failed]
        if node.one_of and all(one in failed for one in node.one_of):
            lost += node.one_of
        return lost[0] if lost else None

    def _end(self, node: str, why: str = "") -> None:
        self.waiting.pop(node, None)
        if why:
            self.outcome.failed[node] = why
        else:
            self.outcome.cells[node] = self._cells[node]
        self._told(node, why)


class Workers:
    """Processes for cells, at most ``most`` at a time; one is started when there is a cell for it, since it imports
    for seconds what ``jobs`` need."""

    def __init__(self, most: int, root: Path, jobs: Sequence[str]) -> None:
        self.most, self.logs, self.jobs = most, root / "logs", jobs
        self.cells: dict[ForkServer, Cell] = {}
        """What is running, by the server that runs it."""
        self._servers: list[ForkServer] = []
        self.logs.mkdir(parents=True, exist_ok=True)

    @property
    def full(self) -> bool:
        return len(self.cells) == self.most

    def start(self, cell: Cell) -> None:
        free = next((server for server in self._servers if server not in self.cells), None)
        if free is None:
            free = ForkServer(WORKER, share_of_cores(self.most), self.jobs)
            self._servers.append(free)
        free.start(ask(cell, self.logs))
        self.cells[free] = cell

    def ended(self, seconds: float = 0.2) -> Iterator[tuple[Cell, str]]:
        """Cells that end within ``seconds``, each with why it failed or ""."""
        for server in list(self.cells):
            told = server.poll(seconds / max(1, len(self.cells)))
            if told is not None:
                cell = self.cells.pop(server)
                yield cell, "" if cell.done else str(told.get("failed") or "it was stopped")

    def stop(self) -> None:
        """Ask every cell to save its state, and wait for it; a second Ctrl-C ends them at once."""
        until = time.monotonic() + PATIENCE
        try:
            asked: set[ForkServer] = set()
            while self.cells and time.monotonic() < until:
                for server in list(self.cells):
                    if server not in asked and server.fork is not None:
                        server.send(signal.SIGINT)
                        asked.add(server)
                    if server.poll(0.1) is not None:
                        del self.cells[server]
        except KeyboardInterrupt:
            pass

    def leave(self) -> None:
        """Whoever asked for them goes."""
        self.stop()

    def close(self) -> None:
        for server in self._servers:
            server.__exit__()
