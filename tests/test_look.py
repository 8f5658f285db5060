import subprocess
from types import SimpleNamespace

import pytest

from workbench import look
from workbench.errors import ConfigError


@pytest.fixture
def encoder(tmp_path):
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text('{"spacing": 2.0}')
    return str(folder)


def test_scans_are_prepared_as_the_encoder_wants_them(tmp_path, encoder):
    (tmp_path / "bids").mkdir()
    steps = look.plan(tmp_path / "bids", tmp_path / "out", encoder)
    assert [s.name for s in steps] == ["cohort", "store", "embed", "attend", "tokens", "shift"]
    store = next(s.argv for s in steps if s.name == "store")
    assert store[store.index("--spacing") + 1] == "2"


def test_nothing_is_written_into_the_folder_of_the_scans(tmp_path, encoder):
    with pytest.raises(ConfigError, match="lies in"):
        look.plan(tmp_path, tmp_path / "out", encoder)
    with pytest.raises(ConfigError, match="no such folder"):
        look.plan(tmp_path / "none", tmp_path / "out", encoder)


@pytest.mark.parametrize(("broken", "ran"), [("prepare", 2), ("attend", 6), (None, 6)])
def test_a_failed_step_ends_what_needs_it_and_only_that(tmp_path, encoder, monkeypatch, broken, ran):
    (tmp_path / "bids").mkdir()
    steps, progress, called = look.plan(tmp_path / "bids", tmp_path / "out", encoder), look.Progress(), []

    def run(command, check):
        called.append(command[3])
        return SimpleNamespace(returncode=2 if command[3] == broken else 0)

    monkeypatch.setattr(subprocess, "run", run)
    look.compute(steps, tmp_path / "out", progress)
    assert len(called) == ran and progress.ended
    assert bool(progress.words) == (broken is not None)
