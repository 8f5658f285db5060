"""What comes with the package beside its code: presets and notebooks. In a wheel they lie in the package, in a checkout
beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from workbench.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent
PREFIX = {"compare": "study"}  # a preset of this job is named study-NAME.yaml


def folder(name: str) -> Path:
    """``configs``, ``notebooks`` or ``apps`` of this installation.

    Raises:
        ConfigError: the installation has none.
    """
    for path in (PACKAGE / "data" / name, PACKAGE.parent / name):
        if path.is_dir():
            return path
    raise ConfigError(f"{name}: not in this installation", remedy="install the wheel, or use a checkout")


def presets(job: str) -> dict[str, Path]:
    """Name → file of each preset of a job."""
    prefix = f"{PREFIX.get(job, job)}-"
    return {p.stem.removeprefix(prefix): p for p in sorted(folder("configs").glob(f"{prefix}*.yaml"))}


def preset(job: str, name: str) -> Path:
    """The file of a preset.

    Raises:
        ConfigError: the job has none of this name.
    """
    known = presets(job)
    if name not in known:
        raise ConfigError(
            f"preset '{name}': '{job}' has none of this name",
            cause=f"it has: {', '.join(known) or 'none'}",
            remedy="choose one of these, or give a YAML file with --config",
        )
    return known[name]


def shipped_config(path: Path) -> Path | None:
    """``configs/NAME.yaml`` of a checkout, wherever one is: a file of this name that came with the package."""
    if path.parent != Path("configs"):
        return None
    found = folder("configs") / path.name
    return found if found.is_file() else None


def copy_notebooks(target: Path, *, overwrite: bool = False) -> tuple[list[Path], list[Path]]:
    """Copy the notebooks, and the grid for a batch of one, into a folder.

    Args:
        target: Made if need be.
        overwrite: Replace what is there; otherwise a file that is there stays as it is.

    Returns:
        Files written, and files left alone.
    """
    target.mkdir(parents=True, exist_ok=True)
    written, left = [], []
    for source in sorted([*folder("notebooks").glob("*.ipynb"), *folder("notebooks").glob("*.yaml")]):
        there = target / source.name
        if there.exists() and not overwrite:
            left.append(there)
            continue
        shutil.copyfile(source, there)
        written.append(there)
    return written, left
