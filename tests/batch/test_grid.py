import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.batch import BatchConfig
from workbench.batch.grid import expand, read_table
from workbench.errors import ConfigError


def config(**values):
    return BatchConfig.build({"out": "o", "notebook": "n.ipynb", **values})


@given(
    st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(), min_size=1, max_size=3, unique=True), min_size=1)
)
def test_a_grid_is_every_combination_once_the_last_name_fastest(grid):
    rows = expand(config(grid=grid))
    product = 1
    for values in grid.values():
        product *= len(values)
    assert len(rows) == len({tuple(row.values()) for row in rows}) == product
    assert all(set(row) == set(grid) and all(row[n] in grid[n] for n in grid) for row in rows)
    *_, last = grid
    assert [row[last] for row in rows[: len(grid[last])]] == grid[last]


def test_rows_times_grid_over_what_is_the_same():
    rows = expand(config(parameters={"c": 0}, runs=[{"a": 1}, {"a": 2, "x": "y"}], grid={"b": [3, 4]}))
    assert rows == [
        {"c": 0, "a": 1, "b": 3},
        {"c": 0, "a": 1, "b": 4},
        {"c": 0, "a": 2, "x": "y", "b": 3},
        {"c": 0, "a": 2, "x": "y", "b": 4},
    ]
    assert expand(config()) == [{}]


def test_a_table_is_read_as_the_command_line_is(tmp_path):
    file = tmp_path / "t.csv"
    file.write_text('﻿site,lr,items,code\nA,1e-3,"[1, 2]",007\n\nB,,none,no\n', encoding="utf-8")
    assert read_table(file) == [
        {"site": "A", "lr": 1e-3, "items": [1, 2], "code": "007"},
        {"site": "B", "items": None, "code": "no"},
    ]
    tabs = tmp_path / "t.tsv"
    tabs.write_text("a\tb\n1\tx,y\n")
    rows = expand(config(table=tabs, grid={"c": [0, 1]}))
    assert rows == [{"a": 1, "b": "x,y", "c": 0}, {"a": 1, "b": "x,y", "c": 1}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "not a table"),
        ("", "not a table"),
        ("a,a\n1,2\n", "different"),
        ("a,b\n1\n", "line 2: has 1 cells"),
        ("a\n[1\n", "line 2"),
    ],
)
def test_a_table_that_is_none_is_refused_by_line(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"parameters": {"a": 1}, "grid": {"a": [2]}}, "a is given in parameters and in grid"),
        ({"runs": [{"a": 1}], "grid": {"a": [2]}}, "a is given in grid and in runs"),
        ({"grid": "{a: [2020-01-01]}"}, "a: .*date"),
        ({"grid": {"a": [float("nan")]}}, "no plain value"),
    ],
)
def test_what_cannot_be_meant_is_refused(values, said):
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        expand(config(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"grid": {"a": []}},
        {"grid": {"a": 1}},
        {"grid": "[1"},
        {"runs": [{}], "table": "t.csv"},
        {"processes": 0},
        {"devices": ["0"], "executor": "slurm"},
        {"devices": ["0", "1", "2"], "processes": 2},
        {"slurm": {"gpu": 1}},
    ],
)
def test_settings_that_contradict_each_other_are_refused(values):
    with pytest.raises(ConfigError):
        config(**values)
