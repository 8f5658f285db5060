"""What a command line asks, as its job would get it."""

from typing import Any

from workbench import cli


def built(job: str, *argv: str) -> Any:
    return cli.config_from(job, list(argv))[0]
