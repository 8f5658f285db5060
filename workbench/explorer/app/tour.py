"""Three steps that say what is where, for who opens the page for the first time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

from workbench.explorer.session.state import ExplorerState

# the page that is opened for it (None: as it is), what is framed (a card by its title, or #id), title, words
STEPS: tuple[tuple[str | None, str, str, str], ...] = (
    (
        "cohort",
        "Cohort",
        "Are the sites told apart?",
        "Each point is a scan; near means that the encoder finds two scans alike. Where points of one colour (a site) "
        "keep to themselves, the encoder sees the scanner. Draw around points to choose them: table and pictures "
        "below follow. After `workbench shift` a sentence under the plot says it in numbers, with an interval.",
    ),
    (
        "cohort",
        "Scan",
        "What did the encoder look at?",
        "The scan of the point that was clicked. The buttons above it lay over it the encoder's attention, what it "
        "takes for the same place as the crosshair (Where else?), or a segmentation and its errors. The letters L and "
        "R are the patient's left and right; coordinates are millimetres.",
    ),
    (
        None,
        "#header",
        "Three kinds of work",
        "Sites: how far apart sites are and what is left of it when age and sex are taken out. Comparison: which "
        "encoder segments better, with intervals. Check: one scan after another by keys. The address of the page "
        "holds all that is chosen: send it to somebody, or press Save page for a file.",
    ),
)


class Tour(JSComponent):
    """A button; its window goes through ``STEPS``, with Escape it is gone."""

    steps = param.List(default=[list(step[1:]) for step in STEPS], doc="What is framed, title and words of each.")

    _esm = Path(__file__).parent / "tour.js"

    def __init__(self, state: ExplorerState, **params: Any) -> None:
        super().__init__(margin=(-8, 0, 0, 0), **params)
        self._state = state

    def _handle_msg(self, at: Any) -> None:
        if isinstance(at, int) and 0 <= at < len(STEPS) and (view := STEPS[at][0]) is not None:
            self._state.view = view
