"""VolTA workbench: self-supervised learning on brain MRI, from a BIDS folder to evidence.

``import workbench as wb`` is enough for a notebook: every job is a function (``wb.pretrain(out=…, store=…)``), and
``wb.load_encoder``, ``wb.load_segmenter`` and ``wb.load_classifier`` give what can be asked about a scan.

Importing this package is cheap on purpose: each room (``workbench.cohort``, ``workbench.pretrain``, …) is imported when
it is used, so that ``workbench --help`` answers at once. The names are in the stub beside this file.
"""

from importlib import import_module as _import
from typing import Any

import lazy_loader

__version__ = "0.2.0"

_named, _names, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    # by name, since the rooms stand below the face
    jobs = {job.function_name: job.name for job in _import("workbench.jobs").JOBS.values()}
    return _import("workbench.face").job(jobs[name]) if name in jobs else _named(name)


def __dir__() -> list[str]:
    jobs = _import("workbench.jobs").JOBS.values()
    return sorted({*_names(), *(job.function_name for job in jobs), "__version__"})
