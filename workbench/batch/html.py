"""An executed notebook as one HTML file that opens anywhere and asks nothing of any network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.runs import replacing

WIDGET = "application/vnd.jupyter.widget-view+json"

# JupyterLab's look without what it fetches: require.js, MathJax, Mermaid, the widget manager
TEMPLATE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js %}{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block extra_css %}<style>
main { max-width: 1100px; margin: 0 auto; }
.jp-InputPrompt, .jp-OutputPrompt { display: none !important; }
.jp-RenderedText[data-mime-type="application/vnd.jupyter.stderr"] { background: none !important; opacity: 0.65; }
</style>{% endblock %}
"""


def preload() -> None:
    """Import and compile everything that an export needs, for processes that are forked from this one."""
    import nbformat

    _exporter().from_notebook_node(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("x")]))


def write_html(notebook: Path) -> Path:
    """Write ``<notebook>.html`` beside an executed notebook.

    Left out: live widgets, of which only the first state is stored (a progress bar would stand at 0 % for ever).
    Figures keep what they need to be interactive if the notebook was run with inline resources.
    """
    import nbformat

    content = nbformat.read(notebook, as_version=4)
    content.metadata.pop("widgets", None)
    for cell in content.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if _lasts(output)]
    title = content.metadata.get("title") or notebook.stem
    body, _ = _exporter().from_notebook_node(content, resources={"metadata": {"name": title}})
    target = notebook.with_suffix(".html")
    with replacing(target) as partial:
        partial.write_text(body)
    return target


def _exporter() -> Any:
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    progress = Config({"CoalesceStreamsPreprocessor": {"enabled": True}})  # of a bar only its last state
    return HTMLExporter(raw_template=TEMPLATE, embed_images=True, config=progress)


def _lasts(output: Any) -> bool:
    """Not a widget, and not the empty message with which HoloViews announces a figure."""
    return "data" not in output or (bool(output.data) and WIDGET not in output.data)
