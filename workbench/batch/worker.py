"""The process that runs one notebook: ``python -m workbench.batch.worker``, a line of JSON in, a line of JSON out.

It is Papermill's process; the cells run in a kernel, which is a process again. What is under way shows as Papermill's
bar on stderr; stdout carries only the answer.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any


def main() -> int:
    work = json.loads(sys.stdin.readline())
    # the other end of stdin closes when whoever asked is gone, however it ended; the kernel follows by itself
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
    answer, sys.stdout = sys.stdout, sys.stderr  # a library that prints must not garble the answer
    try:
        told = execute(Path(work["notebook"]), Path(work["output"]), work["values"])
    except KeyboardInterrupt:
        return 130
    print(json.dumps(told), file=answer, flush=True)
    return 0


def execute(notebook: Path, output: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Run and export; ``{"failed": why, "cell": number}`` where a cell failed, ``{"stopped": True}`` where the kernel
    alone was interrupted."""
    import papermill

    from workbench.batch.report import write_html

    told: dict[str, Any] = {}
    try:
        papermill.execute_notebook(str(notebook), str(output), parameters=values, config=private_sockets())
    except papermill.PapermillExecutionError as error:
        told = {"failed": f"{error.ename}: {error.evalue}".removesuffix(": "), "cell": error.exec_count}
        if error.ename == "KeyboardInterrupt":
            told = {"stopped": True}
    except Exception as error:  # a kernel that does not start or that was killed; the output holds what came before
        told = {"failed": f"{type(error).__name__}: {error}"}
    if output.is_file():
        write_html(output)
    return told


def private_sockets() -> Any:
    """Settings that let the kernel be reached through files of its owner in place of TCP ports, which any user of a
    shared node can open and which kernels that start side by side now and then claim twice."""
    from traitlets.config import Config

    config = Config()
    if os.name == "posix" and len(tempfile.gettempdir()) < 70:  # a socket's whole path may have 107 characters
        config.KernelManager.transport = "ipc"
    return config


if __name__ == "__main__":
    sys.exit(main())
