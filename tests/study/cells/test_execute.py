"""Which nodes may go, in what order, and what becomes of those that cannot: without starting a process."""

from dataclasses import dataclass

import pytest

from workbench.errors import WorkbenchError
from workbench.study.cells.estimate import Budget, Pace
from workbench.study.cells.execute import Queue, _step, jobs_of
from workbench.study.cells.plan import Node


@dataclass
class FakeCell:
    """As much of a cell as the queue looks at."""

    key: str
    done: bool = False


def node(name, *after, key=None, done=False, one_of=(), fails=None, **about):
    def make():
        if fails:
            raise WorkbenchError(fails)
        return FakeCell(key or name, done)

    return Node(name, after, make, about, tuple(one_of))


def run(nodes, workers=1, bad=()):
    """Run them as ``execute`` does; a cell ends the moment it is started. Returns the outcome and what was started."""
    ended, started, running = [], [], []
    queue = Queue(nodes, lambda name, why: ended.append(name))
    for _ in range(100):
        for one in queue.ready():
            if (cell := queue.take(one, full=len(running) == workers)) is not None:
                running.append(cell)
                started.append(cell.key)
        assert len(running) <= workers
        if running:
            cell = running.pop(0)
            cell.done = cell.key not in bad
            queue.end(cell, "" if cell.done else "it broke")
        if not queue.waiting and not running:
            break
    assert not queue.waiting and sorted(ended) == sorted(one.id for one in nodes)
    return queue.outcome, started


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_each_comes_after_what_it_needs_and_once(workers):
    nodes = [node("c", "a", "b"), node("b", "a"), node("a"), node("d")]
    outcome, started = run(nodes, workers)
    assert not outcome.failed and sorted(started) == list("abcd")
    assert started.index("a") < started.index("b") < started.index("c")


def test_what_is_done_is_not_run():
    outcome, started = run([node("a", done=True), node("b", "a")])
    assert started == ["b"] and set(outcome.cells) == {"a", "b"}


def test_nodes_with_one_key_are_one_cell():
    outcome, started = run([node("a", key="k"), node("b", key="k"), node("c", "b")], workers=3)
    assert started == ["k", "c"] and set(outcome.cells) == set("abc")
    outcome, started = run([node("a", key="k"), node("b", key="k")], workers=3, bad=["k"])
    assert started == ["k"] and outcome.failed == {"a": "it broke", "b": "it broke"}


def test_what_needs_a_failed_one_is_not_run_and_says_which():
    outcome, started = run([node("a"), node("b", "a"), node("c", "b"), node("d")], bad=["a"])
    assert started == ["a", "d"] and set(outcome.cells) == {"d"}
    assert outcome.failed["b"] == "not run: it needs a, which failed" and "needs b" in outcome.failed["c"]


def test_of_candidates_one_good_one_is_enough():
    nodes = [node("x"), node("y"), node("chosen", one_of=["x", "y"])]
    assert set(run(nodes, bad=["x"])[0].cells) == {"y", "chosen"}
    assert "needs x" in run(nodes, bad=["x", "y"])[0].failed["chosen"]


def test_a_cell_that_cannot_be_made_is_told_and_the_rest_goes_on():
    outcome, started = run([node("a", fails="no candidate"), node("b")])
    assert outcome.failed == {"a": "no candidate"} and started == ["b"]


def test_jobs_of_nodes():
    nodes = [node("d", stage="data"), node("p", stage="pretrain"), node("t", stage="test", kind="segment")]
    assert jobs_of(nodes) == ["cohort", "prepare", "pretrain", "segment", "simulate"]


class FakeWorkers:
    """Processes in which each cell is over when it has been looked at ``looks`` times."""

    def __init__(self, most, looks):
        self.most, self.looks, self.cells = most, looks, {}

    @property
    def full(self):
        return len(self.cells) == self.most

    def start(self, cell):
        self.cells[cell.key] = cell
        cell.left = self.looks

    def ended(self):
        for cell in list(self.cells.values()):
            cell.left -= 1
            if not cell.left:
                cell.done = True
                del self.cells[cell.key]
                yield cell, "no status to read here"


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("looks", [1, 2, 5])
def test_time_that_is_not_over_leaves_nothing(workers, looks):
    """Also where all that run end at the same look, so that for a moment nothing runs and nothing was begun."""
    queue, running = Queue([node(str(n)) for n in range(5)], lambda name, why: None), FakeWorkers(workers, looks)
    while queue.waiting or running.cells:
        _step(queue, running, Budget(60, Pace()))
    assert not queue.outcome.left and len(queue.outcome.failed) == 5


def test_time_that_is_over_leaves_the_rest():
    queue, running = Queue([node(str(n), stage="x") for n in range(5)], lambda name, why: None), FakeWorkers(2, 2)
    _step(queue, running, Budget(60, Pace()))
    slow = Budget(60, Pace([({"stage": "x"}, 4000.0)]))  # none of the others would end in an hour
    while queue.waiting or running.cells:
        _step(queue, running, slow)
    assert set(queue.outcome.left) == {"2", "3", "4"} and set(queue.outcome.failed) == {"0", "1"}
