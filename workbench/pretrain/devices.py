"""One process or many: Fabric as the configuration asks, and the run folder that only the first process owns."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import lightning_fabric
import torch
from lightning_fabric.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import nn

from workbench.engine.device import pick_device
from workbench.errors import ConfigError
from workbench.model.vit import Block, Encoder
from workbench.pretrain.config import PretrainConfig
from workbench.runs import Run


def launch(config: PretrainConfig) -> lightning_fabric.Fabric:
    """Start the other processes, or find that torchrun or Slurm has.

    Raises:
        ConfigError: the batch cannot be shared out, or several devices are asked for from a notebook.
    """
    ranks = config.devices * config.nodes
    if config.batch_size % (ranks * config.accumulate):
        raise ConfigError(
            f"batch_size {config.batch_size} cannot be shared out",
            cause=f"{ranks} devices x {config.accumulate} accumulated parts",
            remedy="make it a multiple of devices x nodes x accumulate",
        )
    if ranks > 1 and not hasattr(sys.modules["__main__"], "__file__"):
        raise ConfigError(
            "several devices need processes of their own",
            cause="this is a notebook or a prompt",
            remedy="run `workbench pretrain --devices N` in a terminal, or use devices=1",
        )
    strategy: Strategy | str = "auto"
    if ranks > 1 and config.strategy == "ddp":
        # the teacher and the centres are moved alike everywhere, so no buffer has to be sent around
        strategy = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)
    elif ranks > 1:
        strategy = ModelParallelStrategy(parallelize_fn=shard, data_parallel_size=ranks, tensor_parallel_size=1)
    # one process beside a Slurm that did not start it is what was asked for
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
    # no precision: Fabric's own refuses frozen inputs and the backward passes of gradient shares; `arithmetic` is ours
    fabric = lightning_fabric.Fabric(
        accelerator=pick_device(config.accelerator), devices=config.devices, num_nodes=config.nodes, strategy=strategy
    )
    fabric.launch()
    return fabric


def shard(model: nn.Module, mesh: Any) -> nn.Module:
    """FSDP2: each block, each encoder and the rest are sharded over the devices and put together when they are used."""
    from torch.distributed.fsdp import fully_shard

    along = mesh["data_parallel"]
    for kind in (Block, Encoder):
        for module in model.modules():
            if isinstance(module, kind):
                fully_shard(module, mesh=along)
    fully_shard(model, mesh=along)
    return model


@contextmanager
def shared_run(
    fabric: lightning_fabric.Fabric, config: PretrainConfig, start: Callable[[], AbstractContextManager[Run]]
) -> Iterator[Run]:
    """The run folder, started by the first process; the others wait for it, and end quietly if it was refused."""
    with ExitStack() as stack:
        if not fabric.is_global_zero:
            if fabric.broadcast(None) is not None:
                raise SystemExit(2)  # the first process says why
            run = Run(config.out)
        else:
            try:
                run = stack.enter_context(start())
            except BaseException as error:
                fabric.broadcast(str(error))
                raise
            fabric.broadcast(None)
        yield run


@contextmanager
def threads_of(count: int | None, device: torch.device) -> Iterator[None]:
    """On a CPU, sums depend on how many threads share them: a resumed run takes as many as it began with."""
    before = torch.get_num_threads()
    if count and device.type == "cpu":
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
