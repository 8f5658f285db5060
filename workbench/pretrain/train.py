"""The pretraining loop: one that can be read in one sitting."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import lightning_fabric
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from tqdm.auto import tqdm

from workbench.cohort.splits import load_sides, split_fingerprint
from workbench.engine.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from workbench.engine.schedules import cosine, warmup_cosine
from workbench.engine.streams import step_seed
from workbench.engine.views import change_intensities, crop_boxes
from workbench.errors import WorkbenchError
from workbench.model.export import EncoderCard, save_encoder
from workbench.prepare.store import Store, open_store
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.data import MicroBatches, RawBatch, loader
from workbench.pretrain.masking import corrupt, to_voxels
from workbench.pretrain.objective import Batch, Moment
from workbench.pretrain.objectives import build_objective
from workbench.runs import Run, finished, start_run, stop_on_request

AVERAGED = 0.9  # running mean of the monitors for the collapse alarm: about ten steps


def run_pretrain(config: PretrainConfig, *, overwrite: bool = False) -> Run:
    """Pretrain, or continue, or say that it is done; the run folder then holds ``model/``.

    Raises:
        WorkbenchError: too few scans, a loss that is not finite (with step, scans and the last good checkpoint), a
            full disk.
        KeyboardInterrupt: after the state has been saved; the same command continues.
    """
    store = open_store(config.store)
    split = None if config.split is None else load_sides(config.split)
    inputs = {"store": store.content, "split": "none" if split is None else split_fingerprint(split)}
    if not overwrite and (done := finished(config, inputs)):
        return done
    scans, participants = training_scans(store, split)
    if len(scans) < config.batch_size:
        raise WorkbenchError(f"{config.store}: {len(scans)} scans are fewer than one batch",
                             cause=f"batch_size is {config.batch_size}", remedy="lower --batch_size or add scans")
    facts = {"seed": config.seed, "store": str(config.store), "preparation": store.fingerprint, "scans": len(scans),
             "participants": participants, "simulated": store.simulated}
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        fabric = lightning_fabric.Fabric(accelerator=config.accelerator, devices=1,
                                         precision=config.precision)
        fabric.launch()
        Trainer(config, run, fabric, store, scans).train(participants)
    return run


def training_scans(store: Store, split: pd.DataFrame | None) -> tuple[np.ndarray, list[str]]:
    """Positions in the store, and people, that pretraining may see."""
    table = store.index
    if split is not None:
        train = set(split.loc[split["split"] == "train", "participant"])
        table = table[table["participant"].isin(train)]
    return table.index.to_numpy(np.int32), sorted(set(table["participant"]))


class Trainer:
    """Holds what lives as long as the training. The only state that matters is in the checkpoint."""

    def __init__(self, config: PretrainConfig, run: Run, fabric: lightning_fabric.Fabric, store: Store,
                 scans: np.ndarray) -> None:
        self.config, self.run, self.fabric, self.store, self.scans = config, run, fabric, store, scans
        self.crop, self.patch = config.encoder.size_xyz, config.encoder.patch_xyz
        self.steps_per_epoch = len(scans) / config.batch_size
        self.steps = max(1, math.ceil(config.epochs * self.steps_per_epoch))
        torch.manual_seed(config.seed)
        objective = build_objective(config.encoder, config.objective)
        optimiser = torch.optim.AdamW(parameter_groups(objective), lr=0.0, betas=(0.9, 0.999))
        self.folder = run.path / "checkpoints"
        self.step = 0
        if (checkpoint := latest_checkpoint(self.folder)) is not None:
            self.step = load_checkpoint(checkpoint, objective, optimiser)["step"]
            say(fabric, f"continuing after step {self.step} of {self.steps} ({checkpoint})")
        self.objective = objective  # the bare module; `self.model` may be wrapped for several devices
        self.model, self.optimiser = fabric.setup(objective, optimiser)
        self.averages: dict[str, float] = {}
        self.warned = False

    def train(self, participants: list[str]) -> None:
        """From the step it stands at to the end, then export."""
        c, per_step = self.config, self.config.accumulate
        ranks = self.fabric.world_size
        batches = MicroBatches(self.store, self.scans, self.crop, self.patch, c.views, c.mask,
                               size=c.batch_size // (per_step * ranks), seed=c.seed, rank=self.fabric.global_rank,
                               ranks=ranks)
        source = loader(batches, self.step * per_step, self.steps * per_step, workers=c.workers,
                        pin=self.fabric.device.type == "cuda")
        writer = SummaryWriter(str(self.run.path / "tensorboard")) if self.fabric.is_global_zero else None
        bar = tqdm(total=self.steps, initial=self.step, desc="pretrain", unit="step", file=sys.stderr,
                   disable=not self.fabric.is_global_zero)
        stream, saved = iter(source), time.monotonic()
        try:
            with stop_on_request() as stop:
                while self.step < self.steps:
                    started, waited, micro = time.monotonic(), 0.0, []
                    # drop path draws from the global generator: tie it to the step, so that a resumed run draws alike
                    torch.manual_seed(step_seed(c.seed, self.step, self.fabric.global_rank, ranks))
                    for part in range(per_step):
                        before = time.monotonic()
                        raw = next(stream)
                        waited += time.monotonic() - before
                        micro.append(self.backward(raw, last=part == per_step - 1))
                    values = {k: sum(m[k] for m in micro) / per_step for k in micro[0]} | self.update()
                    self.step += 1
                    seconds = time.monotonic() - started
                    values |= {"volumes_per_s": c.batch_size / seconds, "data_wait": waited / seconds}
                    self.report(values, writer, bar)
                    due = time.monotonic() - saved >= 60 * c.checkpoint_minutes
                    if (stop.asked or due) and self.step < self.steps:
                        self.save()
                        saved = time.monotonic()
                    if stop.asked and self.step < self.steps:
                        say(self.fabric, f"stopped after step {self.step} of {self.steps}; the same command continues")
                        raise KeyboardInterrupt
        finally:
            bar.close()
            if writer:
                writer.close()
        self.save()
        self.export(participants)

    def backward(self, raw: RawBatch, *, last: bool) -> dict[str, float]:
        """Forward and backward of one micro-batch; gradients add up over the micro-batches of a step."""
        batch = self.to_device(raw)
        with self.fabric.no_backward_sync(self.model, enabled=not last):
            losses = self.model(batch, self.moment)
            if not torch.isfinite(losses.total):
                raise self.not_finite(raw, {k: v.item() for k, v in losses.terms.items()})
            self.fabric.backward(losses.total / self.config.accumulate)
        return {"loss": losses.total.item(), **{f"loss_{k}": v.item() for k, v in losses.terms.items()},
                **{k: v.item() for k, v in losses.monitors.items()}}

    def to_device(self, raw: RawBatch) -> Batch:
        """Boxes → two clean and two corrupted views, on the device."""
        device = self.fabric.device
        clean = crop_boxes(raw.boxes.to(device, non_blocking=True), raw.matrices, self.crop)
        clean = change_intensities(clean, raw.params)
        masks = to_voxels(raw.masks.to(device), self.crop)  # (2·B, 1, X, Y, Z)
        corrupted = corrupt(clean, masks, self.config.mask.fill, raw.fill_seed)
        clean, corrupted, masks = (t.unflatten(0, (2, -1)) for t in (clean, corrupted, masks))
        return Batch(clean, corrupted, masks)

    def update(self) -> dict[str, float]:
        """Clip, step, teacher and centres; the schedules are functions of the step over the whole training."""
        c, now = self.config, self.moment
        warmup = min(round(c.warmup_epochs * self.steps_per_epoch), self.steps // 2)
        rate = warmup_cosine(self.step, self.steps, warmup, c.learning_rate * c.batch_size / 256, c.final_learning_rate)
        decay = cosine(self.step, self.steps, *c.weight_decay)
        for group in self.optimiser.param_groups:
            group["lr"], group["weight_decay"] = rate, decay if group["decays"] else 0.0
        self.objective.before_step(now)
        norm = self.fabric.clip_gradients(self.model, self.optimiser, max_norm=c.clip or math.inf,
                                          error_if_nonfinite=False)
        assert isinstance(norm, Tensor)
        if not torch.isfinite(norm):
            raise self.not_finite(None, {"gradient norm": float(norm)})
        self.optimiser.step()
        more = self.objective.after_step(now)
        self.optimiser.zero_grad(set_to_none=True)
        return {"gradient_norm": float(norm), "learning_rate": rate, "weight_decay": decay, **more}

    @property
    def moment(self) -> Moment:
        return Moment(self.step, self.steps, self.steps_per_epoch)

    def report(self, values: dict[str, float], writer: SummaryWriter | None, bar: tqdm) -> None:
        """metrics.jsonl, TensorBoard, the bar, and the alarm."""
        if not self.fabric.is_global_zero or writer is None:
            return
        values = {k: float(f"{v:.6g}") for k, v in values.items()}
        self.run.log(step=self.step, epoch=round(self.step / self.steps_per_epoch, 3), **values)
        for name, value in values.items():
            writer.add_scalar(name, value, self.step)
            self.averages[name] = AVERAGED * self.averages.get(name, value) + (1 - AVERAGED) * value
        bar.update()
        bar.set_postfix({k.removeprefix("loss_"): f"{v:.3f}" for k, v in values.items() if k.startswith("loss_")})
        warming = self.step < max(20, self.steps_per_epoch)
        if not self.warned and not warming and (why := self.objective.collapsed(self.averages, self.moment)):
            self.warned = True
            self.run.log(step=self.step, alarm=why)
            self.run.note(alarm={"step": self.step, "why": why})
            say(self.fabric, f"warning: step {self.step}: {why}")

    def save(self) -> None:
        if self.fabric.is_global_zero:
            save_checkpoint(self.folder, self.step, self.objective, self.optimiser.optimizer, {"steps": self.steps})
        self.fabric.barrier()

    def export(self, participants: list[str]) -> None:
        if self.fabric.is_global_zero:
            c = self.config
            images = sorted(self.store.index["fingerprint"].iloc[self.scans])
            card = EncoderCard(c.encoder, self.store.fingerprint, self.store.spacing, tuple(participants),
                               tuple(images), describe(c), self.step, c.seed, self.store.simulated)
            save_encoder(self.run.path / "model", self.objective.exported, card)
        self.fabric.barrier()

    def not_finite(self, raw: RawBatch | None, values: dict[str, Any]) -> WorkbenchError:
        kept = latest_checkpoint(self.folder)
        told = ", ".join(f"{k} {v:g}" for k, v in values.items())
        scans = f"; scans: {', '.join(raw.scans)}" if raw else ""
        return WorkbenchError(f"step {self.step + 1}: the loss is not finite", cause=told + scans,
                              remedy=f"the last good checkpoint is {kept.name if kept else 'none'}; lower "
                                     f"--learning_rate or --clip, or use --precision 32-true")


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Weight decay on matrices and kernels; none on biases, norms, tokens, positions and frozen parameters."""
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    tokens = ("cls", "registers", "cls_position", "positions")

    def decays(name: str, parameter: Tensor) -> bool:
        return parameter.ndim > 1 and name.rsplit(".", 1)[-1] not in tokens

    return [{"params": [p for n, p in trained if decays(n, p)], "decays": True},
            {"params": [p for n, p in trained if not decays(n, p)], "decays": False}]


def describe(config: PretrainConfig) -> str:
    o = config.objective
    return (f"{o.name} (CLS {o.weight_cls:g}, patch {o.weight_patch:g} on {o.patch_tokens} tokens, reconstruction "
            f"{o.weight_reconstruction:g} {o.reconstruction})")


def say(fabric: lightning_fabric.Fabric, text: str) -> None:
    if fabric.is_global_zero:
        tqdm.write(text, file=sys.stderr)
