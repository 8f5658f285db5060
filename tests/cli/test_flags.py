import subprocess
import sys
from typing import Literal

import pytest
import yaml
from pydantic import Field

from tests.cli.asked import built
from workbench import cli
from workbench.cli.flags import job_parser, leaves, variant_leaves
from workbench.errors import ConfigError
from workbench.runs import JobConfig, Run, Settings


def test_the_settings_of_every_job_are_flags_without_torch():
    """In one process, and what each job has loaded told after it."""
    # an objective's settings stand beside its losses, in one file: to list them is to import it
    jobs = [job for job in cli.JOBS if job != "pretrain"] + ["pretrain"]
    code = f"""
import sys
from workbench.cli.flags import job_parser
from workbench.jobs import JOBS
for job in {jobs!r}:
    job_parser(job, JOBS[job].config_class()).format_help()
    print(job, *{{"torch", "monai", "panel", "sklearn", "umap"}} & set(sys.modules))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert told == [*jobs[:-1], "pretrain torch"]


@pytest.mark.parametrize("job", list(cli.JOBS))
def test_every_setting_is_explained(job):
    for leaf in leaves(cli.JOBS[job].config_class()):
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

    found = [leaf for leaf in variant_leaves({"narrow": Narrow, "wide": Wide}, "objective.")]
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

    told = " ".join(job_parser("pretrain", Config).format_help().split())
    assert "[narrow] Of the head. (at least 2) [8] [wide] Of the neck. (at least 4) [64]" in told
    assert told.count("Of both.") == 1


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


def test_words_without_a_flag_are_the_settings_of_the_job():
    assert str(cli.config_from("import", ["w.pt", "--format", "monai_vit", "--out", "x"]).config.weights) == "w.pt"
    asked = cli.config_from("predict", ["model", "a.nii", "b.nii", "--out", "x"]).config
    assert str(asked.model) == "model" and [str(s) for s in asked.scans] == ["a.nii", "b.nii"]
    with pytest.raises(ConfigError, match=r"know what to do with other\.pt"):
        cli.config_from("import", ["w.pt", "other.pt", "--format", "monai_vit", "--out", "x"])
