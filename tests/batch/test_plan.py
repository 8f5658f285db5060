"""Names of runs: the same for the same run, another for everything that may change its results."""

import os
import shutil

import nbformat
import pytest

from tests.batch.templates import write_notebook
from workbench.batch import BatchConfig, fingerprints
from workbench.batch.plan import plan_batch, plan_runs
from workbench.errors import ConfigError


@pytest.fixture
def plan(tmp_path):
    """``plan(**settings)``: the planned runs of a batch over a toy notebook."""
    write_notebook(tmp_path / "n.ipynb", "print(a)")
    return lambda **settings: plan_runs(
        BatchConfig.build({"out": tmp_path / "b", "notebook": tmp_path / "n.ipynb", **settings})
    )


def keys(runs):
    return [run.name.rsplit("-", 1)[1] for run in runs]


def test_names_are_words_and_a_hash_and_each_run_has_its_own_folder(plan, tmp_path):
    runs = plan(grid={"a": [1, 2], "word": ["x/../y z", "§"]})
    assert [run.name.rsplit("-", 1)[0] for run in runs] == [
        "a-1_word-x-..-y-z",
        "a-1_word",
        "a-2_word-x-..-y-z",
        "a-2_word",
    ]
    assert len(set(keys(runs))) == 4
    assert all(run.values["out"] == str(tmp_path / "b" / "runs" / run.name / "runs") for run in runs)
    assert runs[0].config.values == runs[0].values


def test_what_is_the_same_run_has_the_same_hash(plan):
    (one,) = keys(plan(parameters={"a": 5}))
    assert keys(plan(grid={"a": [5]})) == keys(plan(runs=[{"a": 5, "word": "x"}])) == [one], "x is the default"
    assert keys(plan(parameters={"a": 5}, processes=2, minutes=3, executor="slurm")) == [one], "how, not what"


def test_a_grid_that_grows_finds_its_runs_again(plan, tmp_path):
    (old,) = plan(grid={"a": [5]})
    (tmp_path / "b" / "runs" / old.name).mkdir(parents=True)
    grown = plan(grid={"a": [5, 6], "word": ["x", "z"]})
    assert grown[0].name == old.name and len({run.name for run in grown}) == 4


def test_another_template_code_or_input_is_another_run(plan, tmp_path, monkeypatch):
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (data / "sub" / "f").write_text("1")
    (tmp_path / "list.txt").write_text("1")
    settings = {"parameters": {"word": str(data)}, "inputs": [tmp_path / "list.txt"]}
    seen = keys(plan(**settings))

    def changed():
        key = keys(plan(**settings))[0]
        new = key not in seen
        seen.append(key)
        return new

    assert not changed()
    (data / "sub" / "f").write_text("22")
    assert changed(), "a file below a folder"
    os.utime(data / "sub" / "f", ns=(0, 0))
    assert not changed(), "its time, which a copy does not keep"
    (tmp_path / "list.txt").write_text("2")
    assert changed(), "a file that is named as an input"
    content = nbformat.read(tmp_path / "n.ipynb", 4)
    content.cells[1].outputs = [nbformat.v4.new_output("stream", text="1")]
    content.cells[1].execution_count = 3
    nbformat.write(content, tmp_path / "n.ipynb")
    assert not changed(), "outputs are no change"
    content.cells[1].source = "print(2 * a)"
    nbformat.write(content, tmp_path / "n.ipynb")
    assert changed()
    monkeypatch.setattr(fingerprints, "_sources", lambda: "other lines of code")
    assert changed()
    release = keys(plan(**settings, code="release"))
    monkeypatch.setattr(fingerprints, "_sources", lambda: "again other lines")
    assert keys(plan(**settings, code="release")) == release
    monkeypatch.setattr(fingerprints.workbench, "__version__", "99")
    assert keys(plan(**settings, code="release")) != release


def test_a_run_folder_as_an_input_is_known_by_what_it_holds(plan, study, tmp_path):
    here = keys(plan(parameters={"word": str(study.split)}))
    assert keys(plan(parameters={"word": str(study.split)})) == here
    other = tmp_path / "split"
    shutil.copytree(study.split, other)
    before = fingerprints.digest_path(other)
    assert before == fingerprints.digest_path(study.split), "where it is does not matter"
    table = next((other / "results").glob("*.parquet"))
    table.write_bytes(table.read_bytes() + b" ")
    assert fingerprints.digest_path(other) != before


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"grid": {"epoch": [1], "sead": [1]}}, r"no parameter epoch, sead(.|\n)*a, word, out, items"),
        ({"parameters": {"out": "x"}}, "parameter out is given"),
        ({"runs": [{"a": 1}, {"a": 2}, {"word": "x"}]}, "runs 1 and 3 are the same"),
        ({"inputs": ["/nowhere"]}, "/nowhere: no such input"),
    ],
)
def test_nothing_starts_where_the_plan_is_wrong(plan, tmp_path, settings, said):
    with pytest.raises(ConfigError, match=said):
        plan(**settings)
    assert not (tmp_path / "b").exists()


def test_a_dry_run_lists_every_run_with_what_it_is_given(plan, tmp_path):
    text = plan_batch(BatchConfig(out=tmp_path / "b", notebook=tmp_path / "n.ipynb", grid={"a": [1, 2]}))
    first, _, last = text.splitlines()
    assert first.startswith("a-1-") and first.endswith(" new         a=1") and last == "2 runs, 0 done, 2 to do"
    assert not (tmp_path / "b").exists()
