import importlib
import subprocess
import sys

import pytest

from tests.cli.asked import built
from workbench import cli


def modules_after(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in out.stdout.split()}


def test_help_waits_for_nothing_heavy():
    loaded = modules_after("from workbench import cli; cli.main([])")
    assert not loaded & {"torch", "numpy", "pandas", "monai", "nibabel", "pydantic", "panel", "sklearn"}


def test_every_function_of_the_table_is_there():
    for job in cli.JOBS.values():
        assert callable(job.function()) and (job.plan is None or callable(job.planner()))
        for name in job.imports:
            importlib.import_module(name)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["pretrain", "--out", "o"], "store: Field required"),
        (["prepare", "--out", "o", "--cohort", "c", "--spacing", "-1"], "spacing: Input should be greater"),
        (["prepare", "--out", "o", "--cohort", "/nowhere"], "/nowhere: not a run folder"),
        (["pretrain", "--config", "/nowhere.yaml"], "no such file"),
        (["runs", "/nowhere"], "no runs here"),
    ],
)
def test_refusals_name_the_setting_and_a_remedy_and_exit_with_2(argv, said, capsys):
    assert cli.main(argv) == 2
    err = capsys.readouterr().err
    assert said in err and "remedy:" in err and "Traceback" not in err


def test_unknown_settings_are_errors(tmp_path, capsys):
    file = tmp_path / "p.yaml"
    file.write_text("epocs: 5\n")
    assert cli.main(["pretrain", "--config", str(file), "--out", "o", "--store", "s"]) == 2
    assert "epocs: Extra inputs are not permitted" in capsys.readouterr().err


def test_a_configuration_of_another_job_is_refused(tmp_path, capsys):
    file = tmp_path / "p.yaml"
    file.write_text("job: embed\n")
    assert cli.main(["attend", "--config", str(file)]) == 2
    assert "another job" in capsys.readouterr().err


def test_dry_run_says_what_would_be_done_and_does_nothing(study, tmp_path, capsys):
    config = study.pretrain(tmp_path / "run")
    file = tmp_path / "c.yaml"
    file.write_text(config.to_yaml())
    assert cli.main(["pretrain", "--config", str(file), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "6 scans of 6 people" in out and "(simulated)" in out and "6 steps of 2 scans" in out
    assert not (tmp_path / "run").exists()


def test_runs_are_listed_with_their_state(study, capsys):
    assert cli.main(["runs", str(study.store.parent)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(all(word in line for word in ("pre ", "pretrain", "ok", "simulated")) for line in lines)


def test_shipped_configurations_are_valid():
    from pathlib import Path

    files = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
    assert files
    for file in files:
        kind = file.stem.split("-")[0]
        job, own = ("compare", []) if kind in ("study", "referee") else (kind, ["--store", "s"])
        built(job, "--config", str(file), "--out", "o", *own)
