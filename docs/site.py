"""Pages that are made from the code, as a hook of mkdocs: settings of every job, measures, presets, tutorials."""

from __future__ import annotations

import re
import shutil
import typing
from pathlib import Path
from typing import Any

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from workbench import shipped
from workbench.cli.flags import bounds, leaves, shown
from workbench.dock.table import FORMATS
from workbench.jobs import JOBS
from workbench.measures import MEASURES

REPO = Path(__file__).resolve().parents[1]
SOURCE = REPO / "build" / "source" / "workbench"
EXECUTED = REPO / "build" / "tutorials"  # `make tutorials` leaves them there


SOURCE.mkdir(parents=True, exist_ok=True)  # mkdocstrings forgets a path that is not there when it is set up


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The generated pages join the navigation, and the modules are laid out for the reference without their stubs: in
    these a room that is a job is a function, behind which its modules would not be found."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(REPO / "workbench", SOURCE, ignore=shutil.ignore_patterns("*.pyi", "*.js", "box", "__pycache__"))
    config.nav.insert(2, {"Tutorials": [{title: f"tutorials/{name}.md"} for name, title in tutorials().items()]})
    reference = next(part["Reference"] for part in config.nav if "Reference" in part)
    reference.append({"Settings of each job": [{job: f"reference/jobs/{job}.md"} for job in JOBS]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    pages = {f"reference/jobs/{job}.md": job_page(job) for job in JOBS}
    pages |= {"reference/measures.md": measures_page(), "reference/presets.md": presets_page()}
    pages |= {f"tutorials/{name}.md": tutorial_page(name) for name in tutorials()}
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    for name in tutorials():
        if (EXECUTED / f"{name}.html").is_file():
            files.append(
                File.generated(config, f"tutorials/{name}-run.html", abs_src_path=str(EXECUTED / f"{name}.html"))
            )
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The table of formats is put in its place. A link to a file of the repository beside ``docs`` has nowhere to lead
    to here: its text stays."""
    markdown = markdown.replace("{{formats}}", formats_table())
    return re.sub(r"\[([^\]]+)\]\(\.\./(?:\.\./)?(?:configs|README)[^)]*\)", r"\1", markdown)


def job_page(job: str) -> str:
    """A table of a job's settings, from its configuration class."""
    kind = JOBS[job].config_class()
    lines = [f"# {job}", "", f"{JOBS[job].help[0].upper()}{JOBS[job].help[1:]}.", "", (kind.__doc__ or "").strip(), ""]
    lines += [f"`workbench {job} --out RUN …` or `wb.{JOBS[job].function_name}(out=RUN, …)`.", ""]
    if known := shipped.presets(job):
        lines += [f"Presets: {', '.join(f'`--preset {name}`' for name in known)}, see [presets](../presets.md).", ""]
    lines += ["| setting | values | default | what it is |", "|---|---|---|---|"]
    for leaf in leaves(kind):
        field = leaf.field
        default = "**needed**" if field.is_required() else f"`{shown(field.get_default(call_default_factory=True))}`"
        of = f"*{leaf.variants}.* " if leaf.variants else ""
        text = " ".join((field.description or "").split())
        values = f"{_values(leaf.annotation)}{bounds(field)}"
        lines.append("| " + " | ".join(_cell(c) for c in (f"`{leaf.path}`", values, default, of + text)) + " |")
    return "\n".join([*lines, ""])


def _values(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(annotation))
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) in (tuple, list):
        return f"several: {_values(parts[0])}" if parts else "several"
    if parts and typing.get_origin(annotation) is not typing.Annotated and not isinstance(annotation, type):
        return " or ".join(_values(part) for part in parts)
    if typing.get_origin(annotation) is typing.Annotated:
        return _values(parts[0])
    names = {int: "whole number", float: "number", bool: "true, false", str: "text", Path: "path", type(None): "none"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def measures_page() -> str:
    lines = ["# Measures", "", "Every number that is told of a prediction; made from `workbench/measures`.", ""]
    lines += ["| name | of | title | unit | better |", "|---|---|---|---|---|"]
    lines += [
        f"| `{m.name}` | {m.task} | {m.title} | {m.unit or '–'} | {m.better or 'neither'} |" for m in MEASURES.values()
    ]
    return "\n".join([*lines, ""])


def formats_table() -> str:
    lines = []
    for form in FORMATS.values():
        trained = "mixed voxels" if form.spacing is None else f"voxels of {form.spacing:g} mm"
        lines += [
            f"## `{form.name}`: {form.title}",
            "",
            f"{form.source}.",
            "",
            f"- Licence of the weights: {form.licence}.",
            f"- Trained on {trained}, intensities `{form.intensities}`.",
            f"- It gives {form.gives}.",
            f"- Shown to give the same features: {form.proof}.",
            "",
            "```bash",
            f"workbench import WEIGHTS --format {form.name} --store work/store --out work/{form.name} --licence '…'",
            "```",
            "",
        ]
    return "\n".join(lines)


def presets_page() -> str:
    lines = [
        "# Presets",
        "",
        "`--preset NAME` takes these settings; a `--config` file wins over them, flags over both.",
    ]
    for job in JOBS:
        for name, path in shipped.presets(job).items():
            lines += ["", f"## {job}: {name}", "", "```yaml", path.read_text().rstrip(), "```"]
    return "\n".join([*lines, ""])


def tutorials() -> dict[str, str]:
    """Notebook → its title, the quickstart first."""
    names = sorted(p.stem for p in shipped.folder("notebooks").glob("*.py"))
    return {name: _title(name) for name in sorted(names, key=lambda n: n != "quickstart")}


def _title(name: str) -> str:
    cells = jupytext.read(shipped.folder("notebooks") / f"{name}.py").cells
    heading = next(c.source for c in cells if c.cell_type == "markdown" and c.source.startswith("# "))
    return heading.splitlines()[0].removeprefix("# ")


def tutorial_page(name: str) -> str:
    """A notebook as a page, without outputs, and a link to the one with them if it has been run."""
    book = jupytext.read(shipped.folder("notebooks") / f"{name}.py")
    cells = [c.source if c.cell_type == "markdown" else f"```python\n{c.source}\n```" for c in book.cells if c.source]
    told = (
        f"[With its outputs]({name}-run.html), on simulated data."
        if (EXECUTED / f"{name}.html").is_file()
        else "`make tutorials` runs it on simulated data."
    )
    first, *rest = cells
    heading, _, intro = first.partition("\n")
    how = f'!!! note "Notebook"\n    `notebooks/{name}.ipynb`: open it with `workbench lab`. {told}'
    return "\n\n".join([heading, how, intro, *rest, ""])
