"""What a run found, in a few words: for the end of a job, the list of runs, notebooks and machines.

Read from the run's own tables, so that it is known of old runs, too. Each job's row in `workbench.jobs` names its
function here.
"""

from __future__ import annotations

from workbench.found.by_site import by_site
from workbench.found.found import Found, found_by
from workbench.found.told import as_json, as_line, as_text

__all__ = ["Found", "as_json", "as_line", "as_text", "by_site", "found_by"]
