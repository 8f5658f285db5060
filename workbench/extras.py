"""What is installed only where it is wanted: the extras, and the sentence where one is missing."""

from __future__ import annotations

import importlib.util

from workbench.errors import ConfigError

PROJECT = "volta-workbench"
EXTRAS = {
    "app": "the explorer",
    "notebooks": "JupyterLab and the notebooks",
    "batch": "notebooks in batches",
    "slurm": "batches on Slurm",
    "brain": "deepbet, which finds the brain in a whole head,",
    "n4": "N4 bias correction in `prepare --n4`",
    "affine": "the affine registration of `group`",
    "combat": "ComBat in `shift`",
    "mixed": "the mixed models of `change`",
    "tensorboard": "TensorBoard's events of `pretrain`",
    "dev": "tests and lint",
    "docs": "the documentation's site",
}


def is_there(module: str) -> bool:
    """Whether a module is installed; nothing is imported. A folder of that name beside what is run is none."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def require(*modules: str, extra: str, instead: str = "") -> None:
    """Refuse before anything starts what needs an extra that is not installed.

    Args:
        modules: What has to be importable.
        extra: Which extra brings it, a key of ``EXTRAS``.
        instead: What one can do without it.

    Raises:
        ConfigError: a module is missing.
    """
    missing = [module for module in modules if not is_there(module)]
    if missing:
        raise ConfigError(
            f"{EXTRAS[extra]} is not installed",
            cause=f"there is no {' and no '.join(missing)} in this environment",
            remedy=f"pip install '{PROJECT}[{extra}]'" + (f", or {instead}" if instead else ""),
        )
