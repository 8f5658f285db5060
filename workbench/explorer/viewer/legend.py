"""One legend below all viewers of a group."""

from __future__ import annotations

from pathlib import Path

import param
from panel.custom import JSComponent


class Legend(JSComponent):
    """What the viewers of ``group`` tell of their overlays, in the browser alone; what is alike stands once."""

    group = param.String(default="")

    _esm = Path(__file__).parent / "nifti_view" / "legend.js"
