import subprocess
import sys

from workbench.jobs import JOBS, Job


def test_a_finished_run_is_found_before_anything_heavy_is_imported(study, tmp_path):
    asked = {"out": tmp_path / "out", "encoder": study.encoder_run, "licence": "CC0-1.0"}
    run = JOBS["export"].do(JOBS["export"].config_class().build(asked))
    code = f"""
import sys
from workbench.cli import main
assert main(["export", "--config", {str(run.path / "config.yaml")!r}]) == 0
assert not {{"torch", "scipy.stats"}} & set(sys.modules)
assert main(["pretrain", "--config", {str(study.encoder_run / "config.yaml")!r}]) == 0
assert not {{"lightning_fabric", "workbench.pretrain.train"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "export: ok" in done.stdout and "pretrain: ok" in done.stdout


def test_no_job_needs_torch_to_tell_what_it_is_made_from():
    code = """
import sys
from workbench.jobs import JOBS, load
for job in JOBS.values():
    assert job.inputs is None or callable(load(job.inputs))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_the_same_run_of_the_same_inputs_is_found(study, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Job, "function", lambda job: lambda config, overwrite: asked.append(config))
    config, job = study.pretrain(study.encoder_run), JOBS["pretrain"]
    assert job.do(config).path == study.encoder_run and not asked
    others = [
        study.pretrain(study.encoder_run, seed=5),
        study.pretrain(tmp_path / "elsewhere"),
        study.pretrain(study.encoder_run, store=tmp_path),  # the job says what is wrong with it
        study.pretrain(study.encoder_run, split=None),
    ]
    for other in others:
        job.do(other)
    job.do(config, overwrite=True)
    assert asked == [*others, config]
    monkeypatch.setattr("workbench.pretrain.inputs.store_content", lambda path: "prepared anew")
    job.do(config)
    assert len(asked) == len(others) + 2
