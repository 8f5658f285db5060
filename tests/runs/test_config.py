"""A configuration is one class: unknown keys are errors, and two that differ say where."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from pydantic import Field

from workbench.errors import ConfigError, ScanError, WorkbenchError
from workbench.runs import JobConfig, Settings, read_yaml
from workbench.runs.config import differing, from_text


class Inner(Settings):
    depth: int = Field(2, ge=1)
    """How deep."""


class Toy(JobConfig):
    job: ClassVar[str] = "toy"

    rate: float = Field(0.5, gt=0)
    """How fast."""
    inner: Inner = Inner()
    """How."""


def test_what_is_wrong_is_told_by_name_and_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as told:
        Toy.build({"out": tmp_path, "rate": -1, "colour": "red", "inner": {"depth": 0, "x": 1}})
    for name in ("rate", "colour", "inner.depth", "inner.x"):
        assert f"{name}:" in told.value.cause
    with pytest.raises(ConfigError, match="out"):
        Toy.build({})


def test_docstrings_are_the_help_text() -> None:
    assert Toy.model_fields["rate"].description == "How fast."


def test_yaml_and_back(tmp_path: Path) -> None:
    config = Toy.build({"out": tmp_path / "x", "rate": 0.25})
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    values = read_yaml(tmp_path / "config.yaml")
    assert values.pop("job") == "toy" and Toy.build(values) == config


def test_differences_are_named_however_deep(tmp_path: Path) -> None:
    one, two = Toy(out=tmp_path), Toy(out=tmp_path, rate=2, inner=Inner(depth=5))
    lines = differing(yaml.safe_load(one.to_yaml()), yaml.safe_load(two.to_yaml()))
    assert lines == ["inner.depth: 2 there, 5 now", "rate: 0.5 there, 2.0 now"]
    assert differing({"a": 1}, {"b": 1}) == ["a: 1 there, None now", "b: None there, 1 now"]


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "", "!!python/object/apply:os.system ['true']"])
def test_yaml_that_is_no_mapping_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        read_yaml(tmp_path / "c.yaml")


def test_errors_come_back_whole_from_another_process() -> None:
    import pickle

    for kind in (WorkbenchError, ScanError, ConfigError):
        error = pickle.loads(pickle.dumps(kind("what", cause="why", remedy="do")))
        assert type(error) is kind and (error.what, error.cause, error.remedy) == ("what", "why", "do")
        assert str(error) == "what\n  cause:  why\n  remedy: do"


@pytest.mark.parametrize("text", ["{a: [", "{1: 2}", "&a [*a]", "!!python/object/apply:os.system [true]", "2001-99-99"])
def test_a_flag_that_is_no_safe_yaml_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="not YAML"):
        from_text(text)


def test_a_flag_is_yaml_text_and_other_values_are_left() -> None:
    assert from_text("{seed: [0, 1]}") == {"seed": [0, 1]} and from_text({"a": "[1"}) == {"a": "[1"}
