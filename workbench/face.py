"""Every job as a function: ``wb.pretrain(out=…, store=…)`` does what ``workbench pretrain --out … --store …`` does."""

from __future__ import annotations

import importlib.util
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from workbench.errors import ConfigError
from workbench.jobs import JOBS

if TYPE_CHECKING:
    from workbench.runs import JobConfig, Run

Configured = Union["JobConfig", Mapping[str, Any], str, "os.PathLike[str]", None]
"""Settings to start from: a configuration, a mapping, a YAML file, or the name of a preset."""


class JobFunction:
    """A job as a function; see ``run``."""

    def __init__(self, job: str) -> None:
        self.job = job
        self.__name__ = self.__qualname__ = job
        self.__module__ = "workbench"

    def __call__(self, config: Configured = None, /, *, overwrite: bool = False, **settings: Any) -> Run:
        """Run the job; see ``run``."""
        return run(self.job, config, overwrite=overwrite, **settings)

    def __repr__(self) -> str:
        return f"<job {self.job}: {JOBS[self.job].help}>"

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return described(self.job)

    @property
    def __signature__(self) -> inspect.Signature:
        return signature_of(self.job)


def job(name: str) -> Any:
    """The function of a job: the room of its name, if there is one, which can be called."""
    if importlib.util.find_spec(f"workbench.{name}") is not None:
        return importlib.import_module(f"workbench.{name}")
    return JobFunction(name)


def run(job: str, config: Configured = None, /, *, overwrite: bool = False, **settings: Any) -> Run:
    """Do a job, or find it done: an unfinished run with the same settings goes on, a finished one is given back.

    Args:
        job: Its name, as on the command line.
        config: Settings to start from: a configuration, a mapping, a YAML file (a run's ``config.yaml``), or the name
            of a preset (``"cpu"``).
        overwrite: Replace a run with other settings at ``out``.
        settings: By name, and they win; a group (``encoder={"preset": "micro"}``) as a mapping. A ``Run`` stands for
            its folder.

    Returns:
        The finished run: its tables, volumes, provenance.

    Raises:
        ConfigError: a setting is unknown or wrong, or contradicts a run that is there; all are told at once.
        WorkbenchError: the job was refused, or failed, with cause and remedy.
    """
    made = configured(job, config, settings)
    return JOBS[job].do(made, overwrite=overwrite)


def plan(job: str, config: Configured = None, /, **settings: Any) -> str:
    """What a job would do, without doing it: its settings, and where the job can tell, counts and time.

    Args:
        job: Its name, as on the command line.
        config: Settings to start from; see ``run``.
        settings: By name, and they win.

    Returns:
        Text to print.

    Raises:
        ConfigError: a setting is unknown or wrong.
    """
    made, planner = configured(job, config, settings), JOBS[job].planner()
    return planner(made) if planner is not None else made.to_yaml()


def configured(job: str, config: Configured, settings: Mapping[str, Any]) -> JobConfig:
    """The validated configuration of a job.

    Args:
        job: Its name.
        config: Settings to start from.
        settings: Over them.

    Raises:
        ConfigError: no such job, file or preset, or the settings are not valid.
    """
    if job not in JOBS:
        raise ConfigError(f"'{job}': no such job", remedy=f"choose one of: {', '.join(JOBS)}")
    kind = JOBS[job].config_class()
    if isinstance(config, kind):
        if not settings:
            return config
        values = {name: getattr(config, name) for name in config.model_fields_set}
    elif config is None:
        values = {}
    elif isinstance(config, Mapping):
        values = dict(config)
    elif isinstance(config, str | os.PathLike):
        values = settings_from(job, config)
    else:
        raise ConfigError(
            f"settings of '{job}' are not a {type(config).__name__}",
            remedy=f"give a {kind.__name__}, a mapping, a YAML file, the name of a preset, or settings by name",
        )
    return kind.build(merged(values, {name: _plain(value) for name, value in settings.items()}))


def settings_from(job: str, where: str | os.PathLike[str]) -> dict[str, Any]:
    """Settings of a job in a YAML file, or of a preset by its name. A file wins over a preset of that name.

    Raises:
        ConfigError: there is neither, it cannot be read, or it belongs to another job.
    """
    from workbench.runs import read_yaml
    from workbench.shipped import preset, shipped_config

    path = Path(where)
    if path.suffix in (".yaml", ".yml"):
        values = read_yaml(path if path.exists() else shipped_config(path) or path)
    else:
        values = read_yaml(path if path.is_file() else preset(job, str(where)))
    if values.pop("job", job) != job:
        raise ConfigError(f"{where}: is the configuration of another job", remedy="use the job it names")
    return values


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Settings over others; a group is merged setting by setting."""
    out = dict(under)
    for name, value in over.items():
        before = out.get(name)
        if isinstance(value, Mapping) and hasattr(before, "model_dump"):
            before = before.model_dump()  # type: ignore[union-attr]
        out[name] = merged(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return out


def described(job: str) -> str:
    """Docstring of a job's function: what it does, and each setting with its default."""
    kind = JOBS[job].config_class()
    lines = [(kind.__doc__ or JOBS[job].help).strip(), "", "Settings:"]
    for name, field in kind.model_fields.items():
        default = "" if field.is_required() else f" [{field.get_default(call_default_factory=True)!r}]"
        lines.append(f"    {name}: {' '.join((field.description or '').split())}{default}")
    return "\n".join([*lines, "", "See ``workbench.face.run`` for ``config`` and ``overwrite``; returns the ``Run``."])


def signature_of(job: str) -> inspect.Signature:
    """With each setting by name: what JupyterLab completes."""
    kind = JOBS[job].config_class()
    named = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("config", inspect.Parameter.POSITIONAL_ONLY, default=None),
        inspect.Parameter("overwrite", named, default=False, annotation=bool),
        *(
            inspect.Parameter(
                name,
                named,
                default=inspect.Parameter.empty if f.is_required() else f.get_default(call_default_factory=True),
                annotation=f.annotation,
            )
            for name, f in kind.model_fields.items()
        ),
    ]
    return inspect.Signature(parameters)


def _plain(value: Any) -> Any:
    """A run stands for its folder."""
    if isinstance(value, Mapping):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.path if hasattr(value, "path") and hasattr(value, "read_table") else value
