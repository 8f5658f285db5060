import importlib
import subprocess
import sys
from typing import Literal

import pytest
import yaml
from pydantic import Field

from workbench import cli
from workbench.errors import ConfigError
from workbench.runs import JobConfig, Run, Settings


def modules_after(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in out.stdout.split()}


def test_help_waits_for_nothing_heavy():
    loaded = modules_after("from workbench import cli; cli.main([])")
    assert not loaded & {"torch", "numpy", "pandas", "monai", "nibabel", "pydantic", "panel", "sklearn"}


@pytest.mark.parametrize("job", list(cli.JOBS))
def test_the_settings_of_every_job_are_flags_without_torch(job):
    loaded = modules_after(
        f"from workbench import cli\njob = cli.JOBS[{job!r}]\ncli.job_parser({job!r}, job.config_class()).format_help()"
    )
    # an objective's settings stand beside its losses, in one file: to list them is to import it
    allowed = {"torch"} if job == "pretrain" else set()
    assert not loaded & ({"torch", "monai", "panel", "sklearn", "umap"} - allowed)


@pytest.mark.parametrize("job", list(cli.JOBS))
def test_every_setting_is_explained(job):
    for leaf in cli.leaves(cli.JOBS[job].config_class()):
        assert leaf.field.description, f"{job}: {leaf.path} has no docstring"


def test_help_tells_the_bounds(capsys):
    with pytest.raises(SystemExit):
        cli.main(["prepare", "--help"])
    assert "at least 0.3, at most 8" in " ".join(capsys.readouterr().out.split())


def test_one_name_in_two_objectives_is_explained_of_each():
    class Narrow(Settings):
        name: Literal["narrow"] = "narrow"
        width: int = Field(8, ge=2, description="Of the head.")
        rate: float = Field(1.0, description="Of both.")

    class Wide(Narrow):
        name: Literal["wide"] = "wide"
        width: int = Field(64, ge=4, description="Of the neck.")

    found = [leaf for leaf in cli.variant_leaves({"narrow": Narrow, "wide": Wide}, "objective.")]
    assert [(leaf.path, leaf.variants, leaf.field.default) for leaf in found[1:]] == [
        ("objective.width", "narrow", 8),
        ("objective.rate", "narrow, wide", 1.0),
        ("objective.width", "wide", 64),
    ]

    class Group(Settings):
        @classmethod
        def variants(cls):
            return {"narrow": Narrow, "wide": Wide}

    class Config(JobConfig):
        objective: Group

    told = " ".join(cli.job_parser("pretrain", Config).format_help().split())
    assert "[narrow] Of the head. (at least 2) [8] [wide] Of the neck. (at least 4) [64]" in told
    assert told.count("Of both.") == 1


def test_every_function_of_the_table_is_there():
    for job in cli.JOBS.values():
        assert callable(job.function()) and (job.plan is None or callable(job.planner()))
        for name in job.imports:
            importlib.import_module(name)


def built(job: str, *argv: str):
    return cli.config_from(job, list(argv))[0]


def test_nested_settings_dashes_lists_and_files(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("encoder: {preset: micro, image_size: 32, patch: 8}\nepochs: 5\n")
    config = built(
        "pretrain",
        "--config",
        str(file),
        "--out",
        "o",
        "--store",
        "s",
        "--batch-size",
        "4",
        "--encoder.patch",
        "16",
        "8",
        "8",
        "--objective.weight-cls",
        "0",
        "--weight_decay",
        "0.1",
        "0.2",
    )
    assert config.encoder.patch == (16, 8, 8) and config.encoder.image_size == 32  # the flag wins, the rest stays
    assert config.batch_size == 4 and config.epochs == 5 and config.weight_decay == (0.1, 0.2)
    assert config.objective.weight_cls == 0
    assert built("pretrain", "--out", "o", "--store", "s", "--encoder.patch", "8").encoder.patch == 8
    sites = built(
        "segment", "--out", "o", "--store", "s", "--split", "p", "--encoder", "e", "--freeze", "--train_sites", "A", "B"
    ).train_sites
    assert sites == ("A", "B")


def test_a_configuration_written_by_a_run_is_read_back_alike(study, tmp_path):
    config = study.pretrain(tmp_path / "run")
    file = tmp_path / "config.yaml"
    file.write_text(config.to_yaml())
    assert built("pretrain", "--config", str(file)).to_yaml() == config.to_yaml()
    assert yaml.safe_load(config.to_yaml()) == Run(study.encoder_run).config | {"out": str(tmp_path / "run")}


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

    files = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
    assert files
    for file in files:
        kind = file.stem.split("-")[0]
        job, own = ("compare", []) if kind in ("study", "referee") else (kind, ["--store", "s"])
        built(job, "--config", str(file), "--out", "o", *own)


def test_words_without_a_flag_are_the_settings_of_the_job():
    assert str(cli.config_from("import", ["w.pt", "--format", "monai_vit", "--out", "x"]).config.weights) == "w.pt"
    asked = cli.config_from("predict", ["model", "a.nii", "b.nii", "--out", "x"]).config
    assert str(asked.model) == "model" and [str(s) for s in asked.scans] == ["a.nii", "b.nii"]
    with pytest.raises(ConfigError, match=r"know what to do with other\.pt"):
        cli.config_from("import", ["w.pt", "other.pt", "--format", "monai_vit", "--out", "x"])
