"""Parameterised notebooks as jobs: each run in processes of its own, its record and its report in a run folder."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.batch.batch import run_batch
    from workbench.batch.batch_config import BatchConfig
    from workbench.batch.collect import batch_status, collect_batch
    from workbench.batch.config import NotebookConfig
    from workbench.batch.notebook import run_notebook
    from workbench.batch.report import write_html
    from workbench.batch.results import record

__all__ = [
    "BatchConfig",
    "NotebookConfig",
    "batch_status",
    "collect_batch",
    "record",
    "run_batch",
    "run_notebook",
    "write_html",
]
__getattr__ = lazy.names(
    __name__,
    {
        "NotebookConfig": "config",
        "run_notebook": "notebook",
        "write_html": "report",
        "record": "results",
        "BatchConfig": "batch_config",
        "run_batch": "batch",
        "batch_status": "collect",
        "collect_batch": "collect",
    },
)
