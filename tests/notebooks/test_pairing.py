"""What holds for every notebook: the two forms agree, no outputs in git, parameters are settings of the library."""

import ast
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from workbench.jobs import JOBS
from workbench.model.config import EncoderConfig

FOLDER = Path(__file__).parents[2] / "notebooks"
# settings of a notebook are of these classes: a job's, or the encoder's that several share
CONFIGS = {job.config.split(":")[1]: job.config_class for job in JOBS.values()} | {
    "EncoderConfig": lambda: EncoderConfig
}
# parameters of a notebook itself, which are no setting of a job
OWN = {
    "quickstart": {"out", "bids"},
    "01_cohort": {"out", "sources", "damage"},
    "06_embeddings": {"out", "color"},
    "07_domain_shift": {"out", "embed"},
    "08_compare": {"out", "finished"},
}
LINE = re.compile(r"(?P<each>each a )?(?P<config>\w+Config)\.(?P<field>\w+) \((?P<default>[^)]*)\): \S")


@pytest.fixture(params=sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def source(request):
    return request.param


def parameters(source):
    """``(name, default, comment)`` of each line of the parameters cell."""
    (cell,) = [c for c in jupytext.read(source).cells if "parameters" in c.metadata.get("tags", [])]
    lines = cell.source.splitlines()
    for statement in ast.parse(cell.source).body:
        (target,) = statement.targets
        yield target.id, ast.literal_eval(statement.value), lines[statement.end_lineno - 1].partition("  # ")[2]


def test_both_forms_say_the_same(source):
    def cells(notebook):
        return [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in notebook.cells]

    paired = nbformat.read(source.with_suffix(".ipynb"), 4)
    assert cells(paired) == cells(jupytext.read(source)), f"run: jupytext --to ipynb --update {source}"
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
    given, own = {}, OWN.get(source.stem, {"out"})
    for name, value, comment in parameters(source):
        found = LINE.match(comment)
        assert bool(found) != (name in own), f"{name}: '{comment}' is not `Config.field (default): what it is`"
        if not found:
            assert comment, f"{name}: says nothing of what it is"
            continue
        config = CONFIGS[found["config"]]()
        field = config.model_fields.get(found["field"])
        assert field is not None, f"{name}: {found['config']} has no setting {found['field']}"
        assert found["default"] in told(field, value), f"{name}: the default is {told(field, value)}"
        given.setdefault(config, {})[found["field"]] = value[0] if found["each"] else value
    for config, values in given.items():
        required = {
            name: "some/path"
            for name, field in config.model_fields.items()
            if field.is_required() or (name == "encoder" and field.default is None)
        }  # the notebook has one
        built = config(**{**required, **values})
        made = {name: as_plain(getattr(built, name)) for name in values}
        for name, value in values.items():
            same = part(made[name], value)
            assert (same, typed(same)) == (value, typed(value)), f"{config.__name__}.{name} is of another type"


def told(field, value):
    """The ways in which a comment may tell the default of a field."""
    if field.is_required():
        return ["needed"]
    default = field.get_default(call_default_factory=True)
    if isinstance(value, dict):
        return [default.name if hasattr(default, "name") else "nothing" if default == {} else str(default)]
    if isinstance(default, tuple):
        return [", ".join(map(str, default)), *(["the same"] if list(default) == value else [])]
    return [str(default)]


def part(made, value):
    """Of settings that were made: what ``value`` names, at any depth."""
    if isinstance(value, dict) and isinstance(made, dict):
        return {key: part(made[key], below) for key, below in value.items()}
    if isinstance(value, list) and isinstance(made, list) and len(value) == len(made):
        return [part(one, below) for one, below in zip(made, value, strict=True)]
    return made


def as_plain(value):
    """As it would stand in YAML: settings as a mapping, a tuple as a list, a path as text."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: as_plain(below) for key, below in value.items()}
    if isinstance(value, tuple):
        return [as_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def typed(value):
    return [typed(one) for one in value] if isinstance(value, list) else type(value)


def test_every_parameter_is_read_by_a_later_cell(source):
    cells = jupytext.read(source).cells
    code = [
        ast.parse(c.source) for c in cells if c.cell_type == "code" and "parameters" not in c.metadata.get("tags", [])
    ]
    read = {node.id for tree in code for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert {name for name, _, _ in parameters(source)} <= read


def test_each_ends_by_noting_its_numbers_and_says_what_it_is_not_for(source):
    cells = jupytext.read(source).cells
    assert any("record(out, " in c.source for c in cells[-3:] if c.cell_type == "code")
    assert any("Not for diagnosis" in c.source for c in cells if c.cell_type == "markdown")
