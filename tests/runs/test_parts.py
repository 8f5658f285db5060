"""Work over scans: killed for good it goes on and gives the same, and its memory does not know the cohort's size."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from workbench.analysis import (
    AttendConfig,
    EmbedConfig,
    TokensConfig,
    WhatifConfig,
    run_attend,
    run_embed,
    run_tokens,
    run_whatif,
)
from workbench.prepare import open_store
from workbench.runs.parts import Parts

# every scan is on the disk at once, as if it had taken long; the process is killed before the fourth is
KILLED = """
import os, signal, sys
from pathlib import Path
from workbench import analysis
from workbench.runs.parts import Parts
from workbench.runs import read_yaml
add = Parts.add
def add_or_die(self, scan, rows):
    if len(self.done) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, scan, rows)
    self.flush()
    self.done.add(scan)
Parts.add = add_or_die
for file in sys.argv[1:]:
    if os.fork() == 0:
        values = read_yaml(Path(file))
        job = values.pop("job")
        getattr(analysis, f"run_{job}")(getattr(analysis, f"{job.title()}Config").build(values))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
JOBS = {
    "embed": (EmbedConfig, run_embed, ["embeddings", "projections", "neighbours"]),
    "attend": (AttendConfig, run_attend, ["attention", "attention_random", "token_norms", "region_summary"]),
    "tokens": (TokensConfig, run_tokens, ["correspondence", "site_pairs", "weights_paired"]),
    "whatif": (WhatifConfig, run_whatif, ["whatif", "curves"]),
}


def test_what_was_killed_goes_on_does_no_scan_twice_and_ends_alike(study, tmp_path, monkeypatch):
    common = {"store": study.store, "encoder": study.encoder_run, "accelerator": "cpu"}
    few = open_store(study.store).scan_ids[:6]
    more = {
        "attend": {"scans": few, "heads": False, "placed": 10},
        "tokens": {"rgb": False, "sources_per_site": 3},
        "whatif": {"embed": tmp_path / "whole-embed", "scans": few, "changes": ("blur",), "strengths": (1.0,)},
    }
    scans = {"embed": 12, "attend": 6, "tokens": 12, "whatif": 6}
    configs = {
        job: {name: kind(out=tmp_path / f"{name}-{job}", **common, **more.get(job, {})) for name in ("whole", "killed")}
        for job, (kind, _, _) in JOBS.items()
    }
    for job, (_, run_job, _) in JOBS.items():
        assert run_job(configs[job]["whole"]).ok
        (tmp_path / f"{job}.yaml").write_text(configs[job]["killed"].to_yaml())
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *(str(tmp_path / f"{job}.yaml") for job in JOBS)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    assert ended.stdout.split() == ["-9"] * len(JOBS)
    added, add = [], Parts.add
    monkeypatch.setattr(Parts, "add", lambda self, scan, rows: (added.append(scan), add(self, scan, rows)))
    for job, (_, run_job, tables) in JOBS.items():
        added.clear()
        again, whole = run_job(configs[job]["killed"]), run_job(configs[job]["whole"])
        assert len(set(added)) == len(added) == scans[job] - 3, job  # three were on the disk
        for table in tables:
            pd.testing.assert_frame_equal(
                again.read_table(table), whole.read_table(table), check_exact=False, rtol=1e-4, atol=1e-5
            )
        written = again.status["updated"], (again.path / "results").stat().st_mtime_ns
        added.clear()
        assert run_job(configs[job]["killed"]).ok and not added  # a second look reads what is stored
        assert written == (again.status["updated"], (again.path / "results").stat().st_mtime_ns)


def test_memory_does_not_grow_with_the_number_of_scans(tmp_path):
    """Twelve times the scans, each with a vector of 40 kB, in the memory of the few; all of them arrive."""
    program = Path(__file__).with_name("memory_of_scans.py")

    def highest(scans: int) -> int:
        done = subprocess.run(
            [sys.executable, str(program), str(tmp_path), str(scans)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    few, many = highest(25), highest(300)
    assert few > 5 * 40_000 and many < 1.5 * few
    table = pd.read_parquet(tmp_path / "300" / "results" / "rows.parquet")
    assert list(table["scan_id"]) == [str(i) for i in range(300)]
    assert [vector[-1] for vector in table["vector"]] == list(range(300))
