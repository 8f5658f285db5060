"""Self-supervised pretraining: views and group masking on the device, objectives, the loop, checkpoints."""

import lazy_loader

from workbench import lazy

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
lazy.callable_room(__name__)
