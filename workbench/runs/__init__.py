"""The run folder: configuration, provenance, status, logs and results, written and read back."""

from workbench.runs.config import JobConfig, Settings, read_yaml
from workbench.runs.digest import digest_file, digest_text
from workbench.runs.digest_path import digest_path
from workbench.runs.folder import Run, find_runs, finished, replacing, start_run
from workbench.runs.interrupt import StopRequest, stop_on_request

__all__ = [
    "JobConfig",
    "Run",
    "Settings",
    "StopRequest",
    "digest_file",
    "digest_path",
    "digest_text",
    "find_runs",
    "finished",
    "read_yaml",
    "replacing",
    "start_run",
    "stop_on_request",
]
