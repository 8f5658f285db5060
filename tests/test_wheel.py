"""Whoever installs the wheel has all that the README speaks of: it is built, installed elsewhere, and used."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=REPO,
        check=True,
        capture_output=True,
    )
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory) -> Path:
    """A fresh environment outside the checkout, with this wheel and the libraries of this one."""
    folder = tmp_path_factory.mktemp("elsewhere") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)],
        check=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    # the libraries, found after the wheel; paths of a checkout that is installed for editing are not followed there
    (Path(site) / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def run(env: Path, *words: str, cwd: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([env / "bin" / words[0], *words[1:]], cwd=cwd, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_holds_presets_notebooks_app_stubs_and_the_viewer(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for needed in [
        "workbench/py.typed",
        "workbench/__init__.pyi",
        "workbench/data/configs/pretrain-cpu.yaml",
        "workbench/data/notebooks/quickstart.ipynb",
        "workbench/data/apps/explorer.py",
        "workbench/explorer/viewer/nifti_view/nifti_view.bundle.js",
    ]:
        assert needed in names, needed
    for path in (REPO / "workbench").rglob("*"):
        if path.suffix in (".py", ".pyi", ".js", ".safetensors") and "node_modules" not in path.parts:
            assert str(path.relative_to(REPO)) in names, path
    assert not [n for n in names if n.startswith(("tests", "benchmarks", "docs"))]


def test_the_lines_of_the_readme_work_where_no_checkout_is(elsewhere, tmp_path):
    """The lines for one's own data, on a tiny simulated one, ending with a model applied to a scan."""
    assert str(REPO) not in run(elsewhere, "python", "-c", "import workbench; print(workbench.__file__)", cwd=tmp_path)
    small = ["--encoder.image_size", "16", "--encoder.patch", "8", "--objective.head_hidden", "32"]
    small += ["--objective.head_bottleneck", "16", "--objective.prototypes_cls", "32", "--epochs", "1"]
    for line in [
        "simulate --out data --participants 12 --spacing 5 --workers 1",
        "cohort --out work/cohort --sources data --workers 1",
        "split --out work/split --cohort work/cohort --fractions 0.5 0 0.5",
        "prepare --out work/store --cohort work/cohort --spacing 5 --workers 1",
    ]:
        run(elsewhere, "workbench", *line.split(), cwd=tmp_path)
    scan = next((tmp_path / "data").glob("sub-*/anat/*_T1w.nii.gz")).relative_to(tmp_path)
    lines = [
        "pretrain --out work/pretrain --store work/store --split work/split --preset cpu --workers 0 "
        "--batch_size 2 --objective.contrast_hidden 32 --warmup_epochs 0.5 " + " ".join(small),
        "segment --out work/hippocampus --store work/store --split work/split --encoder work/pretrain "
        "--steps 1 --features 4",
        f"predict work/hippocampus {scan} --out work/new",
    ]
    # in one process: torch and MONAI take seconds to be imported
    code = f"from workbench.cli import main; assert [main(line.split()) for line in {lines!r}] == [0, 0, 0]"
    run(elsewhere, "python", "-c", code, cwd=tmp_path)
    assert list((tmp_path / "work" / "new" / "volumes").glob("*_dseg.nii.gz"))
    assert "demo" in run(elsewhere, "workbench", "compare", "--help", cwd=tmp_path)
    run(elsewhere, "workbench", "notebooks", "--copy", "mine", cwd=tmp_path)
    assert (tmp_path / "mine" / "quickstart.ipynb").is_file()
    app = run(elsewhere, "workbench", "explore", "--app", cwd=tmp_path).strip()
    assert Path(app).is_file() and str(REPO) not in app
    assert "hippocampus" in run(elsewhere, "workbench", "runs", "work", cwd=tmp_path)
