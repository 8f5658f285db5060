"""What is missing is said before anything starts, with what to install and what to do without it."""

import importlib
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from workbench.errors import ConfigError
from workbench.extras import EXTRAS, is_there, require

CONSTRAINTS = Path(__file__).parents[1] / "constraints-cpu.txt"
PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def test_every_extra_is_described_and_all_has_every_one_that_users_need():
    extras = PROJECT["optional-dependencies"]
    assert set(EXTRAS) == set(extras) - {"all", "itk"}
    (everything,) = extras["all"]
    assert set(everything.split("[")[1].rstrip("]").split(",")) == set(EXTRAS) - {"dev", "docs", "brain"}


def test_there_is_one_source_of_the_version():
    import workbench

    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    cited = (Path(__file__).parents[1] / "CITATION.cff").read_text()
    assert f"version: {workbench.__version__.split('.dev')[0]}\n" in cited


def test_what_is_missing_is_a_sentence(monkeypatch):
    require("json", extra="n4")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    assert not is_there("SimpleITK")
    with pytest.raises(ConfigError) as refused:
        require("json", "SimpleITK", extra="n4", instead="leave --n4 out")
    assert "no SimpleITK" in str(refused.value) and "volta-workbench[n4]', or leave --n4 out" in str(refused.value)


def test_a_folder_of_its_name_is_no_package(monkeypatch, tmp_path):
    (tmp_path / "deepest_bet").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_there("deepest_bet")
    (tmp_path / "deepest_bet" / "__init__.py").touch()
    importlib.invalidate_caches()
    assert is_there("deepest_bet")


def test_prepare_and_shift_refuse_before_they_start(monkeypatch, tmp_path):
    from workbench.analysis import inputs
    from workbench.analysis.config import ShiftConfig
    from workbench.analysis.shift import job
    from workbench.prepare.config import PrepareConfig
    from workbench.prepare.prepare import run_prepare

    monkeypatch.setattr(job, "open_embed", lambda *_: (SimpleNamespace(path=tmp_path), None, None))
    monkeypatch.setattr(inputs, "shift", lambda _: {})
    for name in ("SimpleITK", "neuroHarmonize"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match="N4 bias correction"):
        run_prepare(PrepareConfig(out=tmp_path / "store", cohort=tmp_path / "none", n4=True))
    with pytest.raises(ConfigError, match=r"ComBat(.|\n)*--combat false"):
        job.run_shift(ShiftConfig(out=tmp_path / "shift", embed=tmp_path / "none"))
    assert not list(tmp_path.iterdir())


def test_the_pinned_versions_can_be_installed_on_every_python_that_we_take() -> None:
    """Debian's Python is 3.11.2: a pin that wants 3.11.5 ends the installation there."""
    pins = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line and line[0] != "#")
    installed = {canonicalize_name(one.metadata["Name"]): one for one in distributions()}
    wants = {
        name: one.metadata["Requires-Python"]
        for name, one in installed.items()
        if name in {canonicalize_name(pin) for pin in pins} and one.metadata["Requires-Python"]
    }
    assert len(wants) > 100
    oldest = "3.11.0"
    assert not {name: text for name, text in wants.items() if not SpecifierSet(text).contains(oldest)}
