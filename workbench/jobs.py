"""The jobs: one table of what each is called, is for, is set by and does.

The command line, the worker of a study, the Python face and the reference pages are made from it. Everything is named
by text, so that reading the table imports nothing.
"""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.runs import JobConfig, Run


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job; what lives elsewhere is named ``module:name``."""

    name: str
    help: str
    """What it does, in one line."""
    config: str
    """Its configuration class."""
    run: str
    """Its function: ``run(config, *, overwrite=False) -> Run``."""
    inputs: str | None = None
    """Fingerprints of what it reads, by name: ``inputs(config)``. Told without loading a model, so that a finished run
    is found before ``run`` is imported, which takes seconds."""
    plan: str | None = None
    """Says what would be done, for --dry-run."""
    found: str | None = None
    """Says what a run found, see ``workbench.found``."""
    words: tuple[str, ...] = ()
    """Settings that may be given without their flag, in this order; the last takes several."""
    imports: tuple[str, ...] = ()
    """What it imports for seconds: a process that forks for each run loads it first."""

    @property
    def function_name(self) -> str:
        """In Python: its name, with a line after it where that is a word of the language (``wb.import_``)."""
        return self.name + "_" * keyword.iskeyword(self.name)

    def config_class(self) -> type[JobConfig]:
        return load(self.config)

    def function(self) -> Callable[..., Run]:
        return load(self.run)

    def do(self, config: JobConfig, *, overwrite: bool = False) -> Run:
        """Run it, or find it done."""
        from workbench.errors import WorkbenchError
        from workbench.runs import finished

        if self.inputs is not None and not overwrite and (config.out / "status.json").is_file():
            # what is missing or wrong, the job itself says
            with suppress(WorkbenchError, OSError, LookupError, ValueError):
                if done := finished(config, load(self.inputs)(config)):
                    return done
        return self.function()(config, overwrite=overwrite)

    def planner(self) -> Callable[[Any], str] | None:
        return None if self.plan is None else load(self.plan)


def load(where: str) -> Any:
    """What ``module:name`` stands for."""
    module, name = where.split(":")
    return getattr(importlib.import_module(module), name)


_IN_ORDER = (
    Job(
        name="simulate",
        help="write a simulated multi-site BIDS cohort",
        config="workbench.simulate.config:SimulateConfig",
        run="workbench.simulate.simulate:run_simulate",
        found="workbench.found.counts:simulate",
        imports=("workbench.simulate.simulate", "scipy.ndimage"),
    ),
    Job(
        name="labelmaps",
        help="make people of label maps that have no scan, with simulated T1-like intensities",
        config="workbench.simulate.labelmaps:LabelmapsConfig",
        run="workbench.simulate.labelmaps:run_labelmaps",
        found="workbench.found.counts:labelmaps",
    ),
    Job(
        name="cohort",
        help="gather scans from folders and tables, as they are, into one checked table",
        config="workbench.cohort.config:CohortConfig",
        run="workbench.cohort.build:run_cohort",
        found="workbench.found.counts:cohort",
        imports=("workbench.cohort.build", "scipy.ndimage"),
    ),
    Job(
        name="split",
        help="divide the people of a cohort into train, validation and test",
        config="workbench.cohort.config:SplitConfig",
        run="workbench.cohort.split_job:run_split",
        found="workbench.found.counts:split",
    ),
    Job(
        name="prepare",
        help="conform, normalise and crop every scan into a random-access store",
        config="workbench.prepare.config:PrepareConfig",
        run="workbench.prepare.prepare:run_prepare",
        plan="workbench.prepare.prepare:plan_prepare",
        found="workbench.found.counts:prepare",
        imports=("workbench.prepare.prepare", "scipy.ndimage"),
    ),
    Job(
        name="pretrain",
        help="pretrain an encoder without labels",
        config="workbench.pretrain.config:PretrainConfig",
        run="workbench.pretrain.train:run_pretrain",
        inputs="workbench.pretrain.inputs:inputs_of",
        plan="workbench.pretrain.dry_run:plan_pretrain",
        found="workbench.found.counts:pretrain",
        imports=("workbench.pretrain.train", "workbench.pretrain.objectives.table", "workbench.engine.views_cpu"),
    ),
    Job(
        name="import",
        help="take a published encoder in, so that every job takes it",
        config="workbench.dock.config:ImportConfig",
        run="workbench.dock.importing:run_import",
        inputs="workbench.dock.inputs:inputs_of_import",
        found="workbench.found.counts:imported",
        words=("weights",),
    ),
    Job(
        name="export",
        help="write an encoder in a form that other software takes",
        config="workbench.dock.export_config:ExportConfig",
        run="workbench.dock.exporting:run_export",
        inputs="workbench.dock.inputs:inputs_of_export",
        found="workbench.found.counts:exported",
        words=("encoder",),
    ),
    Job(
        name="segment",
        help="fine-tune a segmentation and segment unseen people",
        config="workbench.finetune.config:SegmentConfig",
        run="workbench.finetune.segment:run_segment",
        inputs="workbench.finetune.inputs:inputs_of",
        found="workbench.found.scores:segment",
        imports=(
            "workbench.finetune.segment",
            "workbench.engine.views_cpu",
            "scipy.stats",
            "monai.losses",
            "monai.networks.nets",
            "monai.inferers",
            "monai.metrics",
        ),
    ),
    Job(
        name="classify",
        help="predict a label of the person",
        config="workbench.finetune.config:ClassifyConfig",
        run="workbench.finetune.classify:run_classify",
        inputs="workbench.finetune.inputs:inputs_of",
        found="workbench.found.scores:classify",
        imports=("workbench.finetune.classify", "sklearn.linear_model", "scipy.stats"),
    ),
    Job(
        name="predict",
        help="apply a model to scans that no store holds",
        config="workbench.predict.config:PredictConfig",
        run="workbench.predict.job:run_predict",
        found="workbench.found.counts:predict",
        words=("model", "scans"),
    ),
    Job(
        name="embed",
        help="embed every scan; PCA, UMAP, t-SNE, neighbours",
        config="workbench.analysis.config:EmbedConfig",
        run="workbench.analysis.embed.job:run_embed",
        inputs="workbench.analysis.inputs:embed",
        found="workbench.found.counts:embed",
        imports=("workbench.analysis.embed.job",),
    ),
    Job(
        name="attend",
        help="write attention maps in each scan's own space",
        config="workbench.analysis.config:AttendConfig",
        run="workbench.analysis.attention.job:run_attend",
        inputs="workbench.analysis.inputs:looked_at",
        found="workbench.found.looks:attend",
        imports=("workbench.analysis.attention.job", "scipy.ndimage"),
    ),
    Job(
        name="group",
        help="mean attention of groups of people in a common frame, and where two groups differ",
        config="workbench.analysis.config:GroupConfig",
        run="workbench.analysis.group.job:run_group",
        inputs="workbench.analysis.inputs:group",
        plan="workbench.analysis.group.job:plan_group",
        found="workbench.found.groups:group",
    ),
    Job(
        name="tokens",
        help="compare patch tokens between scans; correspondence, colours",
        config="workbench.analysis.config:TokensConfig",
        run="workbench.analysis.tokens.job:run_tokens",
        inputs="workbench.analysis.inputs:looked_at",
        found="workbench.found.looks:tokens",
        imports=("workbench.analysis.tokens.job", "scipy.ndimage"),
    ),
    Job(
        name="probe",
        help="what tokens know of a structure: a linear model from few labelled people, tested at every site",
        config="workbench.analysis.config:ProbeConfig",
        run="workbench.analysis.probe.job:run_probe",
        inputs="workbench.analysis.inputs:probe",
        found="workbench.found.looks:probe",
        imports=("workbench.analysis.probe.job", "sklearn.linear_model"),
    ),
    Job(
        name="shift",
        help="how far sites are apart in an embedding, and what of it is left",
        config="workbench.analysis.config:ShiftConfig",
        run="workbench.analysis.shift.job:run_shift",
        inputs="workbench.analysis.inputs:shift",
        found="workbench.found.looks:shift",
    ),
    Job(
        name="reliability",
        help="how far repeated scans of the same people agree: ICC, variance, recognition",
        config="workbench.analysis.config:ReliabilityConfig",
        run="workbench.analysis.reliability.job:run_reliability",
        inputs="workbench.analysis.inputs:reliability",
        found="workbench.found.looks:reliability",
        words=("runs",),
        imports=("workbench.analysis.reliability.job", "workbench.finetune.assignment", "scipy.stats"),
    ),
    Job(
        name="change",
        help="how much people change per year: embeddings, volumes, scores; and whether groups change differently",
        config="workbench.analysis.config:ChangeConfig",
        run="workbench.analysis.change.job:run_change",
        inputs="workbench.analysis.inputs:change",
        found="workbench.found.years:change",
        words=("runs",),
    ),
    Job(
        name="whatif",
        help="change the acquisition of a scan step by step, and see what moves",
        config="workbench.analysis.config:WhatifConfig",
        run="workbench.analysis.whatif.job:run_whatif",
        inputs="workbench.analysis.inputs:whatif",
        found="workbench.found.looks:whatif",
    ),
    Job(
        name="compare",
        help="run a whole study: arms on the same people under the same settings, and its report",
        config="workbench.study.settings.config:StudyConfig",
        run="workbench.study.job:run_study",
        plan="workbench.study.job:plan_study",
        found="workbench.found.counts:compare",
    ),
    Job(
        name="notebook",
        help="run a parameterised notebook in a batch",
        config="workbench.batch.config:NotebookConfig",
        run="workbench.batch.notebook:run_notebook",
        found="workbench.found.counts:notebook",
    ),
    Job(
        name="batch",
        help="run a notebook over a grid, a list or a table of parameters",
        config="workbench.batch.batch_config:BatchConfig",
        run="workbench.batch.batch:run_batch",
        plan="workbench.batch.plan:plan_batch",
        found="workbench.found.counts:batch",
    ),
)
JOBS: dict[str, Job] = {job.name: job for job in _IN_ORDER}
"""By name, in the order of the data."""
