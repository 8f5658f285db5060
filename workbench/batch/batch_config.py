"""Settings of the job "batch"."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from workbench.runs import JobConfig
from workbench.runs.config import Values, from_text
from workbench.runs.slurm import SlurmSettings

Axes = Annotated[dict[str, list[Any]], BeforeValidator(from_text)]
Rows = Annotated[list[dict[str, Any]], BeforeValidator(from_text)]


class BatchConfig(JobConfig):
    """Run one notebook over many values of its parameters: every run of `runs` or `table`, times every point of `grid`.

    Leaves a folder a run below `runs/`, and the table `results/runs.parquet` (and .csv). The same command again does
    only what is missing, changed or failed. `workbench batch grid.yaml` reads all of these settings from a file;
    `workbench batch status FOLDER` and `workbench batch collect FOLDER` tell how it went.
    Exit status: 0 all runs are well, 1 some failed, 2 refused before anything started, 130 stopped (and resumable).
    """

    job: ClassVar[str] = "batch"
    extends: ClassVar[bool] = True

    notebook: Path
    """The notebook (.ipynb) with a cell tagged `parameters`. The batch sets its parameter `out`, a folder a run."""
    parameters: Values = Field(default_factory=dict)
    """Values that are the same in all runs, by name."""
    grid: Axes = Field(default_factory=dict)
    """Lists of values by name; all combinations are run, the last name varying fastest."""
    runs: Rows = Field(default_factory=list)
    """A list of runs, each a mapping of names to values."""
    table: Path | None = None
    """A CSV or TSV with a column a parameter and a row a run; an empty cell leaves the parameter as it is."""
    inputs: tuple[Path, ...] = ()
    """Further files or folders that the notebook reads: when their content changes, all is run again. Parameters that
    name an existing file or folder count without being listed."""
    code: Literal["source", "release"] = "source"
    """What makes the code another one, so that all is run again: any change of the library's sources, or only another
    version number."""
    executor: Literal["local", "slurm"] = "local"
    """On this machine, or through Slurm."""
    processes: int = Field(1, ge=1)
    """Runs at the same time on this machine."""
    devices: tuple[str, ...] = ()
    """GPUs of this machine to deal out evenly among the processes, as in CUDA_VISIBLE_DEVICES; none hides nothing."""
    threads: int = Field(0, ge=0)
    """Threads a run for numerical libraries; 0 shares the cores out evenly among the processes."""
    minutes: float | None = Field(None, gt=0)
    """Time limit of a run. It is interrupted first, so that the job in its cell can save its state, then ended."""
    memory_gb: float | None = Field(None, gt=0)
    """Memory limit of a run with everything it starts; one that goes over it is ended at once."""
    slurm: SlurmSettings = Field(default_factory=SlurmSettings)
    """What each run asks of Slurm."""

    @model_validator(mode="after")
    def _check(self) -> BatchConfig:
        if self.runs and self.table:
            raise ValueError("give runs or a table, not both")
        if self.devices and self.executor == "slurm":
            raise ValueError("devices are of this machine; with Slurm set slurm.gpus")
        if self.devices and len(self.devices) % self.processes:
            raise ValueError(f"{len(self.devices)} devices cannot be dealt out evenly among {self.processes} processes")
        if empty := [name for name, values in self.grid.items() if not values]:
            raise ValueError(f"grid: no values for {', '.join(empty)}")
        return self
