"""Random numbers without state: every draw is a function of a seed, a purpose and a place.

A run that stops at any step goes on with the same draws: there is no generator whose state would have to be saved.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """Streams that must not share draws. The numbers are part of what makes a run repeatable: never renumber."""

    ORDER = 0
    VIEWS = 1
    MASKS = 2
    FILL = 3
    CROPS = 5
    PLACES = 6
    PROBE_ORDER = 7
    DROPS = 8
    LOCAL = 9
    PROBE_SCANS = 10
    CONTRAST = 11
    TISSUES = 12
    CHANNELS = 13
    SESSION = 14
    FOLDS = 20
    LABELS = 21
    LOOKS = 30  # analysis: places, references, people drawn to be looked at


def stream(seed: int, purpose: Purpose, *place: int) -> np.random.Generator:
    """An independent generator for this seed, purpose and place (epoch, sample, view …)."""
    # the length is part of the entropy: SeedSequence takes (3) and (3, 0) for the same
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, int(purpose), len(place), *place])))


def step_seed(seed: int, step: int) -> int:
    """Seed of torch's global generator for one step, for what draws from it."""
    return seed * 1_000_003 + step
