"""Encoders in the box: pretrained, shipped with the package, named where a folder could be.

``python -m workbench.model.box RUN NAME`` puts a finished pretraining there, in half precision; its card
(``box/NAME/README.md``) is written by hand, since it tells data, licences and what was measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

BOX = Path(__file__).parent / "box"


def boxed() -> dict[str, Path]:
    """Name → folder of every encoder that the package carries."""
    return {folder.name: folder for folder in sorted(BOX.iterdir()) if folder.is_dir()} if BOX.is_dir() else {}


def facts(folder: Path) -> dict[str, Any]:
    """What an encoder's ``config.json`` says: objective, steps, people seen, spacing and preparation it wants."""
    told: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return told


def encoder_folder(reference: str | Path) -> Path:
    """The folder of an encoder: by its name in the box, a pretraining run, or the ``model`` folder in it. A folder that
    is there goes before a name.

    Raises:
        WorkbenchError: neither a folder nor a name in the box.
    """
    folder = Path(reference)
    if folder.is_dir():
        return folder / "model" if (folder / "model").is_dir() else folder
    known = boxed()
    if str(reference) in known:
        return known[str(reference)]
    raise WorkbenchError(
        f"{reference}: no encoder of this name",
        cause=f"no such folder; in the box {'is ' + ', '.join(known) if known else 'is none'}",
        remedy="give a finished pretraining run, or a name that `workbench encoders` lists",
    )


def pack(run: Path, name: str) -> Path:
    """Put the encoder of a finished pretraining into the box, float16. Returns its folder."""
    import torch
    from safetensors.torch import load_file, save_file

    source, folder = encoder_folder(run), BOX / name
    folder.mkdir(parents=True, exist_ok=True)
    weights = load_file(source / "encoder.safetensors")
    save_file({key: value.to(torch.float16) for key, value in weights.items()}, folder / "encoder.safetensors")
    (folder / "config.json").write_text((source / "config.json").read_text())
    return folder


if __name__ == "__main__":
    import sys

    print(pack(Path(sys.argv[1]), sys.argv[2]))
