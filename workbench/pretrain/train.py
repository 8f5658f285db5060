"""The pretraining loop: one that can be read in one sitting."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import lightning_fabric
import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor

from workbench.cohort.splits import load_sides
from workbench.engine.checkpoint import (
    State,
    latest_checkpoint,
    load_checkpoint,
    restore_optimiser,
    save_checkpoint,
    snapshot,
    whole,
)
from workbench.engine.device import arithmetic, memory_gb, peak_flops
from workbench.engine.ranks import total
from workbench.errors import ConfigError, WorkbenchError
from workbench.model.export import EncoderCard, save_encoder
from workbench.model.vit import Block, Encoder
from workbench.prepare.store import Store, open_store
from workbench.pretrain.cluster import through_slurm
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.data import MicroBatches, RawBatch, loader, on_device
from workbench.pretrain.devices import launch, shared_run, threads_of
from workbench.pretrain.inputs import inputs_of
from workbench.pretrain.objectives.base import Objective, StepInfo
from workbench.pretrain.optimiser import adamw, rates
from workbench.pretrain.probe import Probe
from workbench.pretrain.start import begin_with, require_start, with_its_past
from workbench.pretrain.watch import Watch, say
from workbench.runs import Run, finished, start_run, stop_on_request


def run_pretrain(config: PretrainConfig, *, overwrite: bool = False) -> Run:
    """Pretrain, or continue, or say that it is done; the run folder then holds ``model/``.

    Raises:
        WorkbenchError: too few scans, a loss that is not finite (with step, scans and the last good checkpoint), a
            full disk.
        KeyboardInterrupt: after the state has been saved; the same command continues.
    """
    store = open_store(config.store)
    config = fitted(config, store)
    split = None if config.split is None else load_sides(config.split)
    require_start(config, store)
    inputs = inputs_of(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    if config.executor == "slurm":
        return through_slurm(config, overwrite=overwrite)
    scans, participants = training_scans(store, split)
    if len(scans) < config.batch_size:
        raise WorkbenchError(
            f"{config.store}: {len(scans)} scans are fewer than one batch",
            cause=f"batch_size is {config.batch_size}",
            remedy="lower --batch_size or add scans",
        )
    facts = {
        "seed": config.seed,
        "store": str(config.store),
        "preparation": store.fingerprint,
        "scans": len(scans),
        "participants": participants,
        "simulated": store.simulated,
    }
    fabric = launch(config)
    start = partial(start_run, config, overwrite=overwrite, inputs=inputs, **facts)
    with shared_run(fabric, config, start) as run:
        checkpoint = latest_checkpoint(run.path / "checkpoints")
        before = load_checkpoint(checkpoint) if checkpoint else None
        with threads_of(before[0].get("threads") if before else None, fabric.device):
            trainer = Trainer(config, run, fabric, store, scans)
            trainer.set_up(before)
            trainer.train()
            trainer.export(participants)
    return run


def fitted(config: PretrainConfig, store: Store) -> PretrainConfig:
    """The settings with an encoder of as many channels as the store's scans have.

    Raises:
        ConfigError: the settings say another number.
    """
    if config.encoder.channels == store.channels:
        return config
    if config.encoder.channels > 1:
        raise ConfigError(
            f"encoder.channels: {config.encoder.channels}, but {config.store} has {'+'.join(store.contrasts)}",
            remedy="leave the setting out: it follows the store",
        )
    return config.model_copy(update={"encoder": config.encoder.model_copy(update={"channels": store.channels})})


def training_scans(store: Store, split: pd.DataFrame | None) -> tuple[np.ndarray, list[str]]:
    """Positions in the store, and people, that pretraining may see."""
    table = store.columns("participant")
    if split is not None:
        train = set(split.loc[split["split"] == "train", "participant"])
        table = table[table["participant"].isin(train)]
    return table.index.to_numpy(np.int32), sorted(set(table["participant"]))


def step_flops(config: PretrainConfig, objective: Objective) -> float:
    """Floating-point operations of one optimiser step, over all processes."""
    local = config.views.local_xyz(config.encoder)
    tokens = math.prod(n // p for n, p in zip(local, config.encoder.patch_xyz, strict=True))
    return config.batch_size * objective.flops(
        config.encoder, masked=config.mask_ratio, local=(config.views.local_crops, tokens)
    )


class Trainer:
    """Holds what lives as long as the training. The only state that matters is in the checkpoint."""

    def __init__(
        self, config: PretrainConfig, run: Run, fabric: lightning_fabric.Fabric, store: Store, scans: np.ndarray
    ) -> None:
        self.config, self.run, self.fabric, self.store, self.scans = config, run, fabric, store, scans
        self.folder = run.path / "checkpoints"
        self.steps_per_epoch = len(scans) / config.batch_size
        self.steps = max(1, math.ceil(config.epochs * self.steps_per_epoch))
        self.step, self.sharded = 0, fabric.world_size > 1 and config.strategy == "fsdp"
        torch.manual_seed(config.seed)
        self.objective = config.objective.build(config.encoder)
        begin_with(self.objective, config)
        for module in self.objective.modules():
            if isinstance(module, Encoder):
                module.recompute = config.activation_checkpointing
            if isinstance(module, Block) and config.compile:
                module.compile()
        self.probe = Probe(config, store, scans) if config.probe else None
        self.probe_steps = {round(i * self.steps / config.probe_times) for i in range(config.probe_times + 1)}

    def set_up(self, before: tuple[dict[str, Any], State] | None) -> None:
        """Onto the devices, from the beginning or from a checkpoint. Weights go in before they are sharded, the
        optimiser's state after."""
        if before:
            self.objective.load_state_dict(before[1].objective)
        self.model = self.fabric.setup_module(self.objective)  # the bare module, or wrapped for several devices
        optimiser: Any = self.fabric.setup_optimizers(adamw(self.objective))  # its type allows a tuple, for several
        self.optimiser = optimiser
        if before:
            restore_optimiser(self.optimiser.optimizer, before[1].optimiser)
            self.step = before[0]["step"]
            self.tell(f"continuing after step {self.step} of {self.steps}")
            if before[0].get("ranks", 1) != self.fabric.world_size:
                self.tell(
                    f"{before[0]['ranks']} processes began this run, {self.fabric.world_size} go on: the same "
                    f"data in the same order, but sums are rounded otherwise"
                )

    def train(self) -> None:
        """From the step it stands at to the end."""
        c, ranks = self.config, self.fabric.world_size
        batches = MicroBatches(
            self.store,
            self.scans,
            c,
            size=c.batch_size // (c.accumulate * ranks),
            rank=self.fabric.global_rank,
            ranks=ranks,
        )
        if batches.sessions is not None:
            self.tell(batches.sessions.told)
            if self.fabric.is_global_zero:
                self.run.note(sessions=batches.sessions.told)
        source = loader(
            batches,
            self.step * c.accumulate,
            self.steps * c.accumulate,
            workers=c.workers,
            pin=self.fabric.device.type == "cuda",
        )
        self.watch = Watch(self.run, self.objective, self.step, self.steps) if self.fabric.is_global_zero else None
        peak, self.peak_from = peak_flops(self.fabric.device, c.precision)
        self.flops_share = step_flops(c, self.objective) / (peak * ranks)
        if self.watch:
            self.run.note(how=self.how())
        stream, saved = iter(source), time.monotonic()
        if self.step == 0:
            self.probe_into({}, 0)
        try:
            with stop_on_request() as stop:
                while self.step < self.steps:
                    now = self.moment
                    values = self.one_step(stream, now)
                    due = time.monotonic() - saved >= 60 * c.checkpoint_minutes
                    asked, due, values = self.agree(stop.asked, due, values)
                    self.step += 1
                    self.probe_into(values, self.step)
                    if self.watch:
                        self.watch.report(values, now)
                    if (asked or due) and self.step < self.steps:
                        self.save()
                        saved = time.monotonic()
                    if asked and self.step < self.steps:
                        self.tell(f"stopped after step {self.step} of {self.steps}; the same command continues")
                        raise KeyboardInterrupt
        finally:
            if self.watch:
                self.watch.close()
        self.save()

    def one_step(self, stream: Iterator[RawBatch], now: StepInfo) -> dict[str, float]:
        """Forward and backward of each accumulated part, then the optimiser, the teacher and the centres."""
        c, started, waited = self.config, time.monotonic(), 0.0
        parts, scans = [], []
        for part in range(c.accumulate):
            before = time.monotonic()
            raw = next(stream)
            waited += time.monotonic() - before
            scans += raw.scans
            parts.append(self.backward(raw, now, last=part == c.accumulate - 1))
        rate, decay = rates(c, now)
        for group in self.optimiser.param_groups:
            group["lr"], group["weight_decay"] = rate, decay if group["decays"] else 0.0
        self.objective.before_step(now)
        norm = self.fabric.clip_gradients(
            self.model, self.optimiser, max_norm=c.clip or math.inf, error_if_nonfinite=False
        )
        assert isinstance(norm, Tensor)
        self.optimiser.step()
        more = self.objective.after_step(now)
        self.optimiser.zero_grad(set_to_none=True)
        told = {name: torch.stack([p[name].float() for p in parts]).mean() for name in parts[0]}
        told["gradient_norm"] = whole(norm).to(self.fabric.device)
        # the only place where the device is waited for; a bad step is found before anything of it can be saved
        values = dict(zip(told, torch.stack(list(told.values())).tolist(), strict=True))
        self.check_finite(values, scans)
        seconds = time.monotonic() - started
        return (
            values
            | more
            | {
                "learning_rate": rate,
                "weight_decay": decay,
                "volumes_per_s": c.batch_size / seconds,
                "data_wait": waited / seconds,
                "mfu": self.flops_share / seconds,
                "memory_gb": memory_gb(self.fabric.device),
            }
        )

    def backward(self, raw: RawBatch, now: StepInfo, *, last: bool) -> dict[str, Tensor]:
        """Forward and backward of one micro-batch; gradients add up over the micro-batches of a step."""
        batch = on_device(raw, self.config, self.fabric.device)
        shares: dict[str, Tensor] = {}
        with self.fabric.no_backward_sync(self.model, enabled=not last):
            with arithmetic(self.fabric.device, self.config.precision):
                losses = self.model(batch, now)
            if now.monitored and not self.sharded:  # the hooks of shards expect one backward pass
                shares = losses.gradient_shares()
            self.fabric.backward(losses.total / self.config.accumulate)
        return {
            "loss": losses.total.detach(),
            **{f"loss_{k}": v.detach() for k, v in losses.terms.items()},
            **{f"gradient_share_{k}": v for k, v in shares.items()},
            **losses.monitors,
        }

    def check_finite(self, values: dict[str, float], scans: list[str]) -> None:
        """Raise if a loss or the gradient is not finite in any process, with the scans of those where it is not."""
        bad = [] if all(math.isfinite(v) for k, v in values.items() if k.startswith(("loss", "gradient_n"))) else scans
        if self.fabric.world_size > 1:
            count = torch.tensor(float(len(bad)), device=self.fabric.device)
            if float(total(count)) > 0:
                everybody: list[list[str]] = [[] for _ in range(self.fabric.world_size)]
                dist.all_gather_object(everybody, bad)
                bad = [scan for part in everybody for scan in part]
        if bad:
            kept = latest_checkpoint(self.folder)
            told = ", ".join(f"{k} {v:g}" for k, v in values.items() if k.startswith(("loss", "gradient_n")))
            raise WorkbenchError(
                f"step {self.step + 1}: the loss is not finite",
                cause=f"{told}; scans: {', '.join(bad)}",
                remedy=f"the last good checkpoint is {kept.name if kept else 'none'}; lower "
                f"--learning_rate or --clip, or use --precision 32-true",
            )

    def agree(self, asked: bool, due: bool, values: dict[str, float]) -> tuple[bool, bool, dict[str, float]]:
        """What every process does next, and the mean of what each of them saw."""
        if self.fabric.world_size == 1:
            return asked, due, values
        seen = torch.tensor(
            [float(asked), float(due and self.fabric.is_global_zero), *values.values()],
            dtype=torch.float64,
            device=self.fabric.device,
        )
        asked_by, due_at, *means = (total(seen) / self.fabric.world_size).tolist()
        return asked_by > 0, due_at > 0, dict(zip(values, means, strict=True))

    def probe_into(self, values: dict[str, float], step: int) -> None:
        """Add the probe's scores to the values of a step, when it is time."""
        if not self.probe or step not in self.probe_steps:
            return
        encoder = self.objective.exported
        if self.sharded:  # shards meet only within a whole forward pass: put them together aside
            weights = {name: whole(value) for name, value in encoder.state_dict().items()}
            encoder = Encoder(self.config.encoder).to(self.fabric.device)
            encoder.load_state_dict(weights)
        scores = self.probe.take(encoder, self.fabric.device)
        self.tell(self.probe.sentence(step, scores))
        if step:
            values |= scores
        elif self.watch:
            self.watch.write(0, **scores)

    @property
    def moment(self) -> StepInfo:
        look = self.step % self.config.monitor_every == 0 or self.step == self.steps - 1
        return StepInfo(self.step, self.steps, self.steps_per_epoch, look)

    def how(self) -> dict[str, Any]:
        """What is not part of the configuration's identity, and where the reported numbers come from."""
        c = self.config
        return {
            "device": str(self.fabric.device),
            "processes": self.fabric.world_size,
            "strategy": c.strategy,
            "threads": torch.get_num_threads(),
            "compile": c.compile,
            "workers": c.workers,
            "activation_checkpointing": c.activation_checkpointing,
            "flops_a_step": step_flops(c, self.objective),
            "peak": self.peak_from,
            "probe": self.probe.describe() if self.probe else {},
        }

    def save(self) -> None:
        state = snapshot(self.objective, self.optimiser.optimizer)
        if self.fabric.is_global_zero:
            save_checkpoint(
                self.folder,
                self.step,
                state,
                {"steps": self.steps, "threads": torch.get_num_threads(), "ranks": self.fabric.world_size},
            )
        self.fabric.barrier()

    def export(self, participants: list[str]) -> None:
        weights = {name: whole(value) for name, value in self.objective.exported.state_dict().items()}
        if self.fabric.is_global_zero:
            c = self.config
            images = sorted(self.store.columns("fingerprint")["fingerprint"].iloc[self.scans])
            card = EncoderCard(
                c.encoder,
                self.store.fingerprint,
                self.store.spacing,
                tuple(participants),
                tuple(images),
                c.objective.describe(),
                self.step,
                c.seed,
                self.store.simulated,
                prepare=self.store.settings,
            )
            save_encoder(self.run.path / "model", weights, with_its_past(card, c))
        self.fabric.barrier()

    def tell(self, text: str) -> None:
        if self.fabric.is_global_zero:
            say(text)
