"""What holds for every notebook: the two forms agree, no outputs in git, parameters are settings of the library."""

import ast
import importlib
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
ROOMS = {"SimulateConfig": "cohort", "CohortConfig": "cohort", "SplitConfig": "cohort", "PrepareConfig": "prepare",
         "EncoderConfig": "model", "PretrainConfig": "pretrain", "SegmentConfig": "finetune",
         "ClassifyConfig": "finetune", "EmbedConfig": "analysis", "AttendConfig": "analysis"}
OWN = {"out", "bids"}  # parameters of the notebook itself
LINE = re.compile(r"(?P<each>each a )?(?P<config>\w+Config)\.(?P<field>\w+) \((?P<default>[^)]*)\): \S")


@pytest.fixture(params=sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def source(request):
    return request.param


def parameters(source):
    """``(name, default, comment)`` of each line of the parameters cell."""
    (cell,) = [c for c in jupytext.read(source).cells if "parameters" in c.metadata.get("tags", [])]
    for line in cell.source.splitlines():
        code, _, comment = line.partition("  # ")
        name, _, default = code.partition(" = ")
        yield name, ast.literal_eval(default), comment


def test_both_forms_say_the_same(source):
    def cells(notebook):
        return [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in notebook.cells]

    paired = nbformat.read(source.with_suffix(".ipynb"), 4)
    assert cells(paired) == cells(jupytext.read(source)), \
        f"run: jupytext --to ipynb --update-metadata '{{}}' {source} (or `jupytext --sync`)"
    assert paired.metadata["jupytext"]["formats"] == "ipynb,py:percent"


def test_no_outputs_in_git(source):
    for cell in nbformat.read(source.with_suffix(".ipynb"), 4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


def test_every_notebook_has_both_forms():
    assert {p.stem for p in FOLDER.glob("*.ipynb")} == {p.stem for p in FOLDER.glob("*.py")} != set()


def test_parameters_are_settings_of_the_library_with_their_true_defaults(source):
    """The comment of a parameter names a field of a configuration class and its default, and the class accepts the
    values given here together."""
    given = {}
    for name, value, comment in parameters(source):
        found = LINE.match(comment)
        assert bool(found) != (name in OWN), f"{name}: '{comment}' is not `Config.field (default): what it is`"
        if not found:
            continue
        config = getattr(importlib.import_module(f"workbench.{ROOMS[found['config']]}"), found["config"])
        field = config.model_fields.get(found["field"])
        assert field is not None, f"{name}: {found['config']} has no setting {found['field']}"
        default = field.get_default(call_default_factory=True)
        if found["default"] == "the same":
            assert list(default) == value, f"{name}: the default is {default}"
        else:
            assert found["default"] == str(default).strip("()"), f"{name}: the default is {default}"
        given.setdefault(config, {})[found["field"]] = value[0] if found["each"] else value
    for config, values in given.items():
        required = {name: "some/path" for name, field in config.model_fields.items()
                    if field.is_required() or (name == "encoder" and field.default is None)}  # the notebook has one
        config(**required, **values)
