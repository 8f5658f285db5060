"""Parameterised notebooks as jobs: each run in processes of its own, its record and its report in a run folder."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.batch.config import NotebookConfig
    from workbench.batch.notebook import run_notebook
    from workbench.batch.report import write_html

__all__ = ["NotebookConfig", "run_notebook", "write_html"]
__getattr__ = lazy.names(__name__, {"NotebookConfig": "config", "run_notebook": "notebook", "write_html": "report"})
