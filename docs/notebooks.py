"""Every notebook on a small simulated cohort, and its HTML: ``python docs/notebooks.py``.

The HTML files need no network. They are built, not kept: ``make tutorials`` writes them to ``build/tutorials``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from workbench.batch import NotebookConfig, run_notebook
from workbench.batch.conduct import Worker
from workbench.errors import WorkbenchError

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
# smaller than the notebooks' own settings, which are for somebody who looks on; by notebook, name=value
SMALL = {
    "01_cohort": ["participants=18", "source_spacing=4", "spacing=4", "damage=1"],
    "02_pretrain": ["image_size=24", "epochs=10", "batch_size=2", "workers=0"],
    "03_segmentation": ["steps=60"],
    "04_classification": [],
    "05_attention_and_tokens": ["placed=50"],
    "06_embeddings": ["neighbours=5"],
    "07_domain_shift": ["smallest_site=3", "permutations=199", "people=3", "strengths=[0.5, 1.0]"],
    "08_compare": [],
    "quickstart": [
        "participants=18",
        "source_spacing=4",
        "spacing=4",
        "image_size=24",
        "epochs=10",
        "batch_size=2",
        "steps=60",
    ],
}


def tour(root: Path, settings: dict[str, list[str]]) -> list[Path]:
    """Run notebooks in ``root``, where each finds the runs of those before it under ``runs/``.

    Args:
        root: Folder of their runs and reports; made if need be.
        settings: Notebook → its parameters, in the order in which they are run.

    Returns:
        The HTML files, ``<root>/<notebook>.html``.
    """
    root.mkdir(parents=True, exist_ok=True)
    before, pages = Path.cwd(), []
    os.chdir(root)  # the notebooks' paths are relative to where they are run
    try:
        with Worker() as worker:
            for name, parameters in settings.items():
                config = NotebookConfig(
                    out=Path("reports") / name, notebook=FOLDER / f"{name}.ipynb", parameters=tuple(parameters)
                )
                run = run_notebook(config, worker=worker)
                pages.append(Path(shutil.copy(run.path / "notebook.html", f"{name}.html")).resolve())
    finally:
        os.chdir(before)
    return pages


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("build/tutorials"), help="where runs and HTML files go")
    try:
        pages = tour(parser.parse_args().root, SMALL)
    except (WorkbenchError, KeyboardInterrupt) as error:  # each says what to do; what was finished is kept
        print(error, file=sys.stderr)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    for page in pages:
        print(f"{page}  ({page.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
