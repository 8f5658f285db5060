"""The process that runs cells one after the other: ``python -m workbench.study.cells.worker``, see ``runs.forks``.

Importing torch and MONAI takes seconds and a study has hundreds of cells: they are imported once, and each cell is a
fork of its own.
"""

from __future__ import annotations

import importlib
import signal
import sys
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.runs import JobConfig, read_yaml
from workbench.runs.forks import serve

JOBS = {
    "simulate": ("workbench.simulate.config:SimulateConfig", "workbench.simulate.simulate:run_simulate"),
    "cohort": ("workbench.cohort.config:CohortConfig", "workbench.cohort.build:run_cohort"),
    "prepare": ("workbench.prepare.config:PrepareConfig", "workbench.prepare.prepare:run_prepare"),
    "pretrain": ("workbench.pretrain.config:PretrainConfig", "workbench.pretrain.train:run_pretrain"),
    "segment": ("workbench.finetune.config:SegmentConfig", "workbench.finetune.segment:run_segment"),
    "classify": ("workbench.finetune.config:ClassifyConfig", "workbench.finetune.classify:run_classify"),
}
PRELOAD = {
    "data": ("workbench.simulate.simulate", "workbench.cohort.build", "workbench.prepare.prepare"),
    "pretrain": ("workbench.pretrain.train", "workbench.pretrain.objectives.table"),
    "segment": ("workbench.finetune.segment", "monai.networks.nets", "monai.inferers", "monai.metrics"),
    "classify": ("workbench.finetune.classify", "sklearn.linear_model"),
}


def main() -> int:
    """Arguments: what the cells will be of, keys of `PRELOAD`."""
    return serve(lambda: _preload(sys.argv[1:]), _begin, run_cell)


def run_cell(work: dict[str, Any]) -> dict[str, Any]:
    """Run the job of ``work``: ``config`` (a YAML file with ``job``) and ``how`` (settings it leaves out)."""
    values = read_yaml(Path(work["config"]))
    config_name, function = JOBS[values.pop("job")]
    kind: type[JobConfig] = _load(config_name)
    try:
        _load(function)(kind.build({**values, **work.get("how", {})}))
    except WorkbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return {"failed": error.what + (f" ({error.cause})" if error.cause else "")}
    return {"ok": True}


def _preload(kinds: list[str]) -> None:
    for kind in kinds:
        for name in PRELOAD[kind]:
            importlib.import_module(name)


def _begin(work: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _load(where: str) -> Any:
    module, name = where.split(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    sys.exit(main())
