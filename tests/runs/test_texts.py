"""Whatever a text file holds, the answer is its values, or an error with its name and the place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import ConfigError, WorkbenchError
from workbench.runs.texts import parse_yaml, read_json, read_text, read_yaml

YAMLS = {
    "2001-99-99": ("a: 1\nday: 2001-99-99\n", "line 2, column 6"),
    "int abc": ("n: !!int abc\n", "line 1, column 4"),
    "float": ("n: !!float [1]\n", "line 1"),
    "timestamp": ("n: !!timestamp today\n", "line 1"),
    "binary": ("n: !!binary é\n", "line 1"),
    "python": ("n: !!python/object/apply:os.system [ls]\n", "line 1"),
    "a number as key": ("a: 1\n2: 3\n", "'2' is no text"),
    "a list as key": ("[1, 2]: 3\n", "no text"),
    "nothing as key": ("? \n: 3\n", "no text"),
    "a key twice": ("a: 1\nb: 2\na: 3\n", "line 3"),
    "deep": ("[" * 5000, "nested too deeply"),
    "somewhat deep": ("a: " + "[" * 100 + "]" * 100, "nested too deeply"),
    "laughs": (
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "holds too much",
    ),
    "laughs that merge": (
        "l0: &l0 {k: 1}\n" + "".join(f"l{i}: &l{i} {{<<: [{', '.join([f'*l{i - 1}'] * 9)}]}}\n" for i in range(1, 12)),
        "takes over more than 10,000 settings",
    ),
    "a merge of itself": ("a: &a {<<: *a}\n", "nested too deeply"),
    "half a character": ('a: {b: ["\\uD800"]}\n', "half a character"),
    "itself": ("a: &a [*a]\n", "nested too deeply"),
    "an unknown alias": ("a: *b\n", "line 1"),
    "a tab": ("a:\n\tb: 1\n", "line 2"),
    "a control character": ("a: \x07\n", "special characters"),
    "a huge number": ("a: " + "9" * 5000, "line 1"),
    "a list": ("- 1\n", "holds a list"),
    "nothing": ("", "is empty"),
    "a word": ("word", "holds a str"),
    "two documents": ("a: 1\n---\nb: 2\n", "line 2"),
}


@pytest.mark.parametrize("kind", YAMLS)
def test_what_is_wrong_with_a_yaml_is_told_with_its_place(tmp_path: Path, kind: str) -> None:
    text, said = YAMLS[kind]
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as told:
        read_yaml(path)
    assert str(path) in told.value.what and said in str(told.value) and told.value.remedy


JSONS = {
    "deep": ('{"a":' + "[" * 100_000, "nested too deeply"),
    "somewhat deep": ('{"a":' + "[" * 100 + "]" * 100 + "}", "nested too deeply"),
    "half": ('{"a": ', "line 1"),
    "a list": ("[1]", "a list"),
    "a huge number": ('{"a": ' + "9" * 5000 + "}", "digits"),
    "beyond all bounds": ('{"a": {"b": 1e999}}', "a.b is inf"),
    "not a number": ('{"a": NaN}', "a is nan"),
    "half a character": ('{"a": [{"b": "\\ud83d"}]}', "half a character"),
    "half a character as a name": ('{"a": {"\\udce9": 1}}', "half a character"),
}


@pytest.mark.parametrize("kind", JSONS)
def test_what_is_wrong_with_a_json_is_told_with_its_place(tmp_path: Path, kind: str) -> None:
    text, said = JSONS[kind]
    path = tmp_path / "sidecar.json"
    path.write_text(text)
    with pytest.raises(WorkbenchError) as told:
        read_json(path, finite=True)
    assert str(path) in told.value.what and said in str(told.value) and told.value.remedy


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"0xe9 in line 2"):
        read_yaml(path)
    assert read_text(path, encodings=("utf-8-sig", "latin-1")).endswith("café\n")
    path.write_text("a: é\n", encoding="utf-8-sig")
    assert read_yaml(path) == {"a": "é"}
    path.write_text("a: é\n", encoding="utf-16")
    assert read_yaml(path) == {"a": "é"}


def test_a_file_that_is_too_large_a_folder_and_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": "' + "x" * 2000 + '"}')
    with pytest.raises(WorkbenchError, match="too large"):
        read_json(tmp_path / "a.json", limit=1000)
    for path in (tmp_path, tmp_path / "none.json", Path("/a" * 3000), Path("a\0b")):
        with pytest.raises(WorkbenchError, match=r"no such file|cannot be read"):
            read_json(path)


def test_merges_and_aliases_are_still_yaml() -> None:
    text = "base: &b {lr: 1, steps: 2}\narm:\n  <<: *b\n  lr: 3\nlist: [*b, *b]\n"
    assert parse_yaml(text, "x") == yaml.safe_load(text)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_what_was_written_is_read(tmp_path: Path, values: dict[str, object]) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml") == values
    (tmp_path / "a.json").write_text(json.dumps(values))
    assert read_json(tmp_path / "a.json") == json.loads(json.dumps(values))


def test_merges_and_whole_characters_of_escapes_are_read() -> None:
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n", "x")["b"] == {"x": 1, "y": 3}
    assert parse_yaml('a: "\\u00e9"', "x") == {"a": "é"}


def test_a_pair_of_escapes_is_one_character(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": "\\ud83e\\udde0"}')
    assert read_json(tmp_path / "a.json") == {"a": "\U0001f9e0"}
