import importlib.metadata
import os
import subprocess

import pytest

from workbench import cli, doctor


def found(name):
    return next(finding for finding in doctor.examine() if finding.name == name)


@pytest.fixture
def asked(monkeypatch):
    """Choose what the project asks for."""
    return lambda *lines: monkeypatch.setattr(importlib.metadata, "requires", lambda name: list(lines))


def test_it_looks_at_everything_and_says_what_to_do_about_what_is_not_well(capsys):
    status = cli.main(["doctor"])
    out = capsys.readouterr().out
    findings = doctor.examine()
    assert {f.name for f in findings} >= {
        "python",
        "core",
        "devices",
        "threads",
        "memory",
        "disk",
        "temp",
        "kernel",
        "chromium",
        "slurm",
    }
    assert all(f.remedy for f in findings if f.kind == "missing")
    assert out.splitlines()[0].startswith("ok       python")
    assert status == (1 if "MISSING" in out else 0)


def test_versions_are_compared_with_what_the_project_asks_for(asked, capsys):
    version = importlib.metadata.version("numpy")
    asked(f"numpy>={version}", "umap-learn>=0.1", 'papermill>=2; extra == "batch"')
    assert found("core").kind == "ok" and f"numpy {version}" in found("core").text
    assert found("batch").kind == "ok"
    asked("numpy>=99", 'no-such-thing; extra == "batch"')
    assert found("core").kind == "missing" and f"numpy>=99 ({version} is installed)" in found("core").text
    assert found("batch").kind == "note", "an extra is a choice"
    assert "no-such-thing (not installed)" in found("batch").text
    assert found("batch").remedy == "pip install 'volta-workbench[batch]'"
    assert cli.main(["doctor"]) == 1
    assert "MISSING  core" in capsys.readouterr().out


def test_a_source_tree_that_is_not_installed_is_told(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", absent)
    assert found("packages").kind == "missing"


def test_a_full_disk_and_a_browser_that_does_not_start(monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "nowhere"))
    assert found("chromium").kind == "note" and "does not start" in found("chromium").text
    usage = doctor.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=10**8))
    assert found("disk").kind == "missing" and found("memory").kind == "note"


def test_a_gpu_that_torch_cannot_see_is_told(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    which = doctor.shutil.which
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/bin/nvidia-smi" if name == "nvidia-smi" else which(name))
    assert found("devices").kind == "note" and "constraints" in found("devices").remedy


def test_a_slurm_that_does_not_answer_is_told(monkeypatch, tmp_path):
    (tmp_path / "squeue").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert subprocess.run(["squeue"], check=False).returncode == 1
    finding = doctor._slurm()  # not after the rest of the examination, which may change where programs are looked for
    assert finding.kind == "note" and "does not answer" in finding.text


def test_worker_processes_that_lost_their_parent_are_listed():
    mine = doctor.Process(10, 1, 5, "python -c from multiprocessing.forkserver import main; main(3)")
    others = [
        doctor.Process(11, 9, 5, mine.words),  # its parent lives
        doctor.Process(12, 1, 6, mine.words),  # somebody else's
        doctor.Process(13, 1, 5, "sshd"),
    ]
    assert doctor.orphans([mine, *others], 5) == [mine]
    assert os.getpid() in {process.pid for process in doctor.processes()}


def test_old_semaphores_and_folders_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "pymp-new").mkdir()
    (tmp_path / "pymp-old").mkdir()
    os.utime(tmp_path / "pymp-old", (1, 1))
    said = " ".join(finding.text for finding in doctor._leftovers())
    assert "pymp-old" in said and "pymp-new" not in said and (tmp_path / "pymp-old").is_dir()
    assert "--clean" in str(list(doctor._leftovers())[-1])


def test_what_nobody_uses_is_removed_when_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "places", lambda: [(tmp_path, ("pymp-*",))])
    for name in ("pymp-old", "pymp-used", "other-old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
        os.utime(tmp_path / name, (1, 1))
    with open(tmp_path / "pymp-used" / "file"):
        assert doctor.clean() == [tmp_path / "pymp-old"]
    assert {path.name for path in tmp_path.iterdir()} == {"pymp-used", "other-old"}
