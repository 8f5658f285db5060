"""What a run says of itself while it trains: metrics.jsonl, TensorBoard, the bar, and the alarm."""

from __future__ import annotations

import sys
from typing import Any

from tqdm.auto import tqdm

from workbench.extras import PROJECT, is_there
from workbench.pretrain.objectives.base import Objective, StepInfo
from workbench.runs import Run

AVERAGED = 0.7  # running mean of the monitors for the alarm: about three looks
ALARM_AFTER = 3  # looks: before that nothing is settled


class Watch:
    """Open for the length of a training, in the first process."""

    def __init__(self, run: Run, objective: Objective, first: int, steps: int) -> None:
        self.run, self.objective = run, objective
        # what a killed process had told beyond its last checkpoint is told again: once is enough
        run.rewind(first)
        self.writer = _tensorboard(run, first)
        self.bar = tqdm(total=steps, initial=first, desc="pretrain", unit="step", file=sys.stderr)
        self.averages: dict[str, float] = {}
        self.looks = 0
        self.warned = "alarm" in run.provenance

    def report(self, values: dict[str, float], now: StepInfo) -> None:
        """One finished step."""
        step = now.step + 1
        values = {k: float(f"{v:.6g}") for k, v in values.items()}
        self.write(step, epoch=round(step / now.steps_per_epoch, 3), **values)
        self.bar.update()
        self.bar.set_postfix(
            {k.removeprefix("loss_"): f"{v:.3f}" for k, v in values.items() if k.startswith("loss_")}, refresh=False
        )
        if now.monitored:
            self._look(values, now)

    def write(self, step: int, **values: float) -> None:
        """Values of a step (0: before the first) to metrics.jsonl and TensorBoard."""
        self.run.log(step=step, **values)
        for name, value in values.items() if self.writer is not None else ():
            self.writer.add_scalar(name, value, step)

    def _look(self, values: dict[str, float], now: StepInfo) -> None:
        self.looks += 1
        for name, value in values.items():
            self.averages[name] = AVERAGED * self.averages.get(name, value) + (1 - AVERAGED) * value
        if self.warned or self.looks <= ALARM_AFTER or now.step < now.steps_per_epoch:
            return
        if why := self.objective.collapsed(self.averages, now):
            self.warned = True
            self.run.log(step=now.step + 1, alarm=why)
            self.run.note(alarm={"step": now.step + 1, "why": why})
            say(f"warning: step {now.step + 1}: {why}")

    def close(self) -> None:
        self.bar.close()
        if self.writer is not None:
            self.writer.close()


def _tensorboard(run: Run, first: int) -> Any:
    """A writer of TensorBoard's events; None, and a sentence, where it is not installed: metrics.jsonl has them all."""
    if not is_there("tensorboard"):
        say(f"no TensorBoard events: pip install '{PROJECT}[tensorboard]' (metrics.jsonl has the same values)")
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(run.path / "tensorboard"), purge_step=first + 1 if first else None)


def say(text: str) -> None:
    """A line on stderr that leaves the bar whole."""
    tqdm.write(text, file=sys.stderr)
