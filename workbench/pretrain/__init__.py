"""Self-supervised pretraining: views and group masking on the device, objectives, the loop, checkpoints."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.pretrain.config import PretrainConfig
    from workbench.pretrain.train import run_pretrain

__all__ = ["PretrainConfig", "run_pretrain"]
__getattr__ = lazy.names(__name__, {"PretrainConfig": "config", "run_pretrain": "train"})
