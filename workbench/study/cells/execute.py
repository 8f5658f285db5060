"""Run the cells of a plan, several at a time, each in its own process; a failed one is noted and the rest goes on."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm.auto import tqdm

from workbench.errors import WorkbenchError
from workbench.runs.fork_server import ForkServer, share_of_cores
from workbench.study.cells.cell import Cell
from workbench.study.cells.plan import Node

WORKER = "workbench.study.cells.worker"
PATIENCE = 30.0  # seconds in which a stopped cell may save its state


@dataclass
class Outcome:
    """How the nodes ended: cells by node, and why others have none."""

    cells: dict[str, Cell] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def execute(nodes: Sequence[Node], root: Path, workers: int, desc: str = "compare") -> Outcome:
    """Every node after those it waits for, ``workers`` at a time. Cells that are done are not run.

    Raises:
        KeyboardInterrupt: after the running cells have saved their state and ended.
    """
    outcome, waiting = Outcome(), {node.id: node for node in nodes}
    servers: list[ForkServer] = []  # one is started when there is a cell for it: it imports for seconds
    kinds = sorted({str(node.about.get("kind") or node.about["stage"]) for node in nodes})
    running: dict[ForkServer, tuple[Node, Cell]] = {}
    made: dict[str, Cell] = {}  # hundreds of nodes wait, and are looked at five times a second
    by_key: dict[str, dict[str, Cell]] = {}  # nodes of a running cell: several may stand for the same one
    (root / "logs").mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(waiting), desc=desc, unit="cell", file=sys.stderr, smoothing=0) as bar:

        def end(node: str, why: str = "", cell: Cell | None = None) -> None:
            if why:
                outcome.failed[node] = why
                bar.write(f"failed: {node}: {why}", file=sys.stderr)
            elif cell is not None:
                outcome.cells[node] = cell
            bar.update()

        try:
            while waiting or running:
                for node in list(waiting.values()):
                    needed = (*node.after, *node.one_of)
                    if any(one not in outcome.cells and one not in outcome.failed for one in needed):
                        continue
                    lost = [one for one in node.after if one in outcome.failed]
                    if node.one_of and all(one in outcome.failed for one in node.one_of):
                        lost += node.one_of
                    if lost:
                        del waiting[node.id]
                        end(node.id, f"not run: it needs {lost[0]}, which failed")
                        continue
                    seen = node.id in made
                    try:
                        cell = made[node.id] if seen else node.make()
                    except WorkbenchError as error:
                        del waiting[node.id]
                        end(node.id, str(error.what))
                        continue
                    made[node.id] = cell
                    if cell.key in by_key:
                        del waiting[node.id]
                        by_key[cell.key][node.id] = cell
                    elif seen and len(running) == workers:
                        continue
                    elif cell.done:
                        del waiting[node.id]
                        end(node.id, cell=cell)
                    elif len(running) < workers:
                        if (free := next((s for s in servers if s not in running), None)) is None:
                            servers.append(free := ForkServer(WORKER, share_of_cores(workers), kinds))
                        del waiting[node.id]
                        by_key[cell.key] = {node.id: cell}
                        _start(free, cell, root)
                        running[free] = (node, cell)
                        bar.set_postfix_str(", ".join(c.name[:40] for _, c in running.values()), refresh=False)
                for server in list(running):
                    told = server.poll(0.2 / len(running))
                    if told is None:
                        continue
                    _, cell = running.pop(server)
                    why = "" if cell.done else str(told.get("failed") or "it was stopped")
                    for one, its in by_key.pop(cell.key).items():
                        end(one, why, its)
        except KeyboardInterrupt:
            _stop(running)
            raise
        finally:
            for server in servers:
                server.__exit__()
    return outcome


def _start(server: ForkServer, cell: Cell, root: Path) -> None:
    cell.clear_if_moved()
    asked = root / "logs" / f"{cell.name}.yaml"
    asked.write_text(cell.config.to_yaml())
    how = {name: getattr(cell.config, name) for name, f in type(cell.config).model_fields.items() if f.exclude}
    server.start({"config": str(asked), "log": str(root / "logs" / f"{cell.name}.txt"), "how": how})


def _stop(running: dict[ForkServer, tuple[Node, Cell]]) -> None:
    """Ask every cell to save its state, and wait for it; a second Ctrl-C ends them at once."""
    until = time.monotonic() + PATIENCE
    try:
        asked: set[ForkServer] = set()
        while running and time.monotonic() < until:
            for server in list(running):
                if server not in asked and server.fork is not None:
                    server.send(signal.SIGINT)
                    asked.add(server)
                if server.poll(0.1) is not None:
                    del running[server]
    except KeyboardInterrupt:
        pass
