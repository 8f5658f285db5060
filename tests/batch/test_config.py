import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.batch import NotebookConfig
from workbench.batch.config import parse_value
from workbench.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("2.", 2.0),
        ("true", True),
        ("False", False),
        ("None", None),
        ("", None),
        ("[1, 2.5]", [1, 2.5]),
        ("[sex, diagnosis]", ["sex", "diagnosis"]),
        ('{"a": 1}', {"a": 1}),
        ("{a: 1}", {"a": 1}),
        ('"3"', "3"),
        ("/data/ixi", "/data/ixi"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("007", "007"),
        ("a=b", "a=b"),
    ],
)
def test_values_are_what_they_look_like(text, value):
    parsed = parse_value(text)
    assert parsed == value and type(parsed) is type(value)


@given(st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False))
def test_what_python_writes_is_read_back(value):
    assert parse_value(repr(value)) == value


def test_parameters_by_name():
    config = NotebookConfig(out="o", notebook="n.ipynb", parameters=("epochs=2", "bids=", "expression=a=b"))
    assert config.values == {"epochs": 2, "bids": None, "expression": "a=b"}


@pytest.mark.parametrize("parameters", [["epochs"], ["2x=1"], ["=1"], ["a=1", "a=2"], ["a=[1"]])
def test_what_is_not_a_parameter_is_refused(parameters):
    with pytest.raises(ConfigError, match="parameters"):
        NotebookConfig.build({"out": "o", "notebook": "n.ipynb", "parameters": parameters})
