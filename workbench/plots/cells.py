"""What the cells of a notebook need to know: who is looking, and whether what they look at is real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any


def interactive() -> bool:
    """Whether somebody sits before this notebook; in a batch (Papermill, nbconvert) and outside a kernel, nobody.

    Told by whether the kernel may ask for input: JupyterLab allows it with each cell, a batch never does.
    """
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))


def choose(draw: Callable[[str], Any], options: Sequence[str], value: str | None = None, *, what: str = "scan") -> None:
    """One picture of several: with a menu in JupyterLab, the first choice alone in a batch.

    Args:
        draw: From an option to something that a notebook shows.
        options: What may be chosen.
        value: What is shown first, and in a batch; the first option unless given.
        what: The menu's label.

    Raises:
        ValueError: nothing to choose from.
    """
    from IPython.display import display

    if not options:
        raise ValueError(f"no {what} to choose from")
    shown = options[0] if value is None else value
    if interactive():
        import ipywidgets

        menu = ipywidgets.Dropdown(options=list(options), value=shown, description=what)
        ipywidgets.interact(lambda option: display(draw(option)), option=menu)
    else:
        display(draw(shown))


def titles(simulated: bool) -> Callable[[str], str]:
    """A function that makes titles; simulated data are called simulated wherever they are shown."""
    return lambda text: f"Simulated data: {text}" if simulated else text


class Page:
    """A whole HTML page in a frame below a cell: it travels with the notebook, and its styles stay its own.

    Args:
        path: The file, which must load nothing, since the frame keeps only its text.
        height: Of the frame, in pixels; it scrolls.
    """

    def __init__(self, path: Path, height: int = 700) -> None:
        self.text, self.height = Path(path).read_text(), height

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.text)}" sandbox style="width: 100%; height: {self.height}px; '
            'border: 1px solid #ccc"></iframe>'
        )
