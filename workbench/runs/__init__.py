"""The run folder: configuration, provenance, status, logs and results, written and read back."""

from workbench.runs.config import LATER, JobConfig, Settings
from workbench.runs.digest import digest_file, digest_text
from workbench.runs.digest_path import digest_path
from workbench.runs.folder import Run, find_runs, replacing
from workbench.runs.interrupt import StopRequest, stop_on_request
from workbench.runs.start import finished, start_run
from workbench.runs.texts import parse_yaml, read_json, read_text, read_yaml

__all__ = [
    "LATER",
    "JobConfig",
    "Run",
    "Settings",
    "StopRequest",
    "digest_file",
    "digest_path",
    "digest_text",
    "find_runs",
    "finished",
    "parse_yaml",
    "read_json",
    "read_text",
    "read_yaml",
    "replacing",
    "start_run",
    "stop_on_request",
]
