"""`import workbench as wb`: cheap to import, complete, and the same as the command line."""

import ast
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import workbench as wb
from workbench import face, shipped
from workbench.errors import ConfigError
from workbench.jobs import JOBS
from workbench.runs import Run

STUB = Path(wb.__file__).with_name("__init__.pyi")
# what takes longer to import than the whole face may
HEAVY = ("torch", "numpy", "pandas", "pydantic", "yaml", "nibabel", "scipy", "sklearn", "monai", "holoviews", "panel")


def imported_by(code: str) -> set[str]:
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_it_imports_nothing_heavy_and_no_room():
    modules = imported_by("import workbench as wb; dir(wb); wb.segment; repr(wb.segment)")
    assert not modules & set(HEAVY)
    assert not [m for m in modules if m.startswith("workbench.") and m.count(".") > 1]


def test_every_name_of_the_stub_is_there():
    for name in wb.__all__:
        assert getattr(wb, name) is not None, name
    assert {*wb.__all__, *(job.function_name for job in JOBS.values())} <= set(dir(wb))
    with pytest.raises(AttributeError):
        _ = wb.nothing_of_this_name


def test_the_stub_has_a_function_for_every_job_and_no_other():
    functions = {node.name for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert functions == {job.function_name for job in JOBS.values()}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_a_function_that_knows_its_settings(job):
    function = getattr(wb, JOBS[job].function_name)
    assert callable(function)
    settings = set(JOBS[job].config_class().model_fields)
    assert set(inspect.signature(function).parameters) == {"config", "overwrite", *settings}
    assert all(name in face.described(job) for name in settings)


def test_a_room_stays_a_room_whose_names_can_be_imported():
    from workbench.cohort import CohortConfig, load_cohort

    assert wb.cohort.__name__ == "workbench.cohort" and wb.load_cohort is load_cohort
    assert wb.CohortConfig is CohortConfig and callable(wb.cohort)


def test_settings_are_taken_in_every_form_and_the_later_wins(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("job: split\ncohort: c\nseed: 3\nstratify: [site]\n")
    for config in (file, str(file), {"cohort": "c", "seed": 3, "stratify": ["site"]}):
        made = face.configured("split", config, {"out": tmp_path, "seed": 4})
        assert (made.cohort, made.seed, made.stratify) == (Path("c"), 4, ("site",))
    again = face.configured("split", made, {"seed": 5})
    assert again.seed == 5 and again.stratify == ("site",) and face.configured("split", made, {}) is made


def test_a_group_of_settings_is_merged_setting_by_setting():
    made = face.configured("pretrain", "cpu", {"out": "o", "store": "s", "encoder": {"registers": 2}})
    assert made.encoder.registers == 2 and made.encoder.preset == "micro" and made.encoder.patch_xyz == (8, 8, 8)
    again = face.configured("pretrain", made, {"encoder": {"image_size": 48}})
    assert again.encoder.registers == 2 and again.encoder.size_xyz == (48, 48, 48)


def test_what_is_wrong_is_said(tmp_path):
    for call, words in [
        (lambda: face.configured("bake", None, {}), "no such job"),
        (lambda: wb.split(out="o", cohort="c", sede=3), "sede"),
        (lambda: wb.pretrain("gpu9", out="o", store="s"), "it has: cpu, paper"),
        (lambda: wb.pretrain(42, out="o", store="s"), "not a int"),
        (lambda: wb.pretrain(tmp_path / "none.yaml"), "none.yaml"),
    ]:
        with pytest.raises(ConfigError, match=words):
            call()
    (tmp_path / "x.yaml").write_text("job: embed\nseed: 1\n")
    with pytest.raises(ConfigError, match="another job"):
        wb.split(tmp_path / "x.yaml")


def test_a_job_runs_and_its_run_stands_for_its_folder(study, tmp_path):
    cohort = Run(study.cohort)
    run = wb.split(out=tmp_path / "split", cohort=cohort, fractions=(0.5, 0.0, 0.5))
    assert isinstance(run, wb.Run) and run.ok and run.job == "split"
    assert "12" in wb.plan("prepare", out=tmp_path / "store", cohort=cohort, spacing=3.0)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("job", ["pretrain", "compare"])
def test_presets_are_those_of_the_folder_and_a_file_of_the_name_wins(job, tmp_path, monkeypatch):
    known = shipped.presets(job)
    assert known
    for name, path in known.items():
        assert face.settings_from(job, name) == face.settings_from(job, f"configs/{path.name}")
    monkeypatch.chdir(tmp_path)  # where no checkout is
    assert face.settings_from(job, f"configs/{path.name}") == face.settings_from(job, name)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / path.name).write_text("seed: 77\n")
    assert face.settings_from(job, f"configs/{path.name}") == {"seed": 77}


def test_notebooks_are_copied_and_what_is_there_stays(tmp_path):
    written, left = shipped.copy_notebooks(tmp_path / "mine")
    assert {p.name for p in written} >= {"quickstart.ipynb", "grid.yaml"} and not left
    written[0].write_text("changed")
    again, left = shipped.copy_notebooks(tmp_path / "mine")
    assert not again and written[0].read_text() == "changed" and set(left) == set(written)
    assert shipped.copy_notebooks(tmp_path / "mine", overwrite=True)[0] == written


def test_no_notebook_imports_a_room():
    for path in sorted(shipped.folder("notebooks").glob("*.py")):
        text = path.read_text()
        assert "import workbench as wb" in text, path
        assert not re.search(r"^\s*(from workbench|import workbench(?! as wb$))", text, re.MULTILINE), path
