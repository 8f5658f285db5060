"""The notebooks that come with the package: copied where somebody may change them, and opened in JupyterLab."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.shipped import copy_notebooks


def notebooks(argv: list[str]) -> int:
    """``workbench notebooks --copy DIR``: the notebooks, to be changed; without it, their names."""
    parser = argparse.ArgumentParser(prog="workbench notebooks", description="List or copy the notebooks.")
    parser.add_argument("--copy", type=Path, metavar="DIR", help="copy them into this folder")
    parser.add_argument("--overwrite", action="store_true", help="replace those that are there, with all changes")
    args = parser.parse_args(argv)
    if args.copy is None:
        from workbench.shipped import folder

        print("\n".join(sorted(path.name for path in folder("notebooks").glob("*.ipynb"))))
        return 0
    _copy(args.copy, args.overwrite)
    return 0


def lab(argv: list[str]) -> int:
    """``workbench lab [DIR]``: JupyterLab on the notebooks, copied first where they are not there yet."""
    parser = argparse.ArgumentParser(
        prog="workbench lab",
        description="Open JupyterLab on the notebooks. Further words go to JupyterLab (--port, --no-browser, …).",
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("notebooks"), help="where they are, or shall be")
    args, rest = parser.parse_known_args(argv)
    if importlib.util.find_spec("jupyterlab") is None:
        raise WorkbenchError("JupyterLab is not installed", remedy="pip install 'volta-workbench[notebooks]'")
    _copy(args.folder, False)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", "--notebook-dir", str(args.folder), *rest])


def _copy(target: Path, overwrite: bool) -> None:
    written, left = copy_notebooks(target, overwrite=overwrite)
    print(f"{target}: {len(written)} notebooks written" + (f", {len(left)} were there and stay" if left else ""))
