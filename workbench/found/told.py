"""A run and what it found, as text and as JSON."""

from __future__ import annotations

import json

from workbench.found.found import found_by
from workbench.runs import Run

MARK = "simulated data"
UNKNOWN = "possibly transductive: nobody lists whom the encoder has seen"


def as_text(run: Run) -> str:
    """For the end of a job: how it ended and where, then what it found and where that stands."""
    marks = [*([MARK] if run.simulated else []), *([UNKNOWN] if run.provenance.get("people_unknown") else [])]
    mark = f" ({'; '.join(marks)})" if marks else ""
    found = found_by(run)
    lines = [] if found is None else [f"  {line}" for line in found.lines()]
    return "\n".join([f"{run.job}: {run.status['state']}, {run.path}{mark}", *lines])


def as_line(name: str, run: Run) -> str:
    """For a list of runs: name, job, state, seconds, and the result or why there is none."""
    told, found = run.told(), found_by(run)
    seconds = "" if told["seconds"] is None else told["seconds"]
    said = [MARK if told["simulated"] else "", found.words if found else "", told["why"]]
    result = " · ".join(str(part) for part in said if part)
    return f"{name:<28} {told['job']:<12}{told['state']:<12}{seconds:>8} s  {result}"


def as_json(run: Run) -> str:
    """One line for a machine; estimates with their interval and n are in ``numbers``."""
    told, found = run.told(), found_by(run)
    return json.dumps(
        {
            **told,
            "path": str(run.path),
            "found": found.words if found else None,
            "beside": list(found.beside) if found else [],
            "numbers": list(found.numbers) if found else [],
        },
        ensure_ascii=False,
        default=str,
    )
