"""The explorer under Panel's own server.

    panel serve apps/explorer.py --args RUNS_FOLDER      (or WORKBENCH_RUNS=RUNS_FOLDER panel serve apps/explorer.py)

`workbench explore RUNS_FOLDER` does the same and listens on this machine only.
"""

import os
import sys

from workbench.explorer.app.page import build

build(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("WORKBENCH_RUNS")).servable()
