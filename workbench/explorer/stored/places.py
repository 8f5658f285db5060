"""Where things lie on the server: not for whoever only looks at the page."""

from __future__ import annotations

import re
from pathlib import Path

# a path from the root on, with two names or more; not the "/" of an address or of a fraction
ABSOLUTE = re.compile(r"(?<![\w./:<])/(?:[^\s/:;,'\"()<>|]+/)+([^\s/:;,'\"()<>|]*)")


def without_places(text: str, runs_folder: Path | None) -> str:
    """An error's text for a browser: what lies in the runs folder by its name there, any other path by its last name.
    The whole text is for the server's log."""
    if runs_folder is not None:
        for folder in {str(runs_folder.absolute()), str(runs_folder.resolve())} - {"/"}:
            text = text.replace(f"{folder}/", "")
    return ABSOLUTE.sub(r"…/\1", text)
