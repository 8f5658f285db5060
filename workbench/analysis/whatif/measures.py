"""What may move when a scan comes from another scanner: the columns of a whatif run and what people call them."""

from __future__ import annotations

from typing import NamedTuple


class Moves(NamedTuple):
    """A measure of a what-if: the column of its tables, its name in a list of choices, and on the axis of its curve."""

    column: str
    title: str
    axis: str


MOVES = (
    Moves("moved", "Embedding, in spreads within a site", "distance / people's spread within a site"),
    Moves("cosine", "Embedding (cosine to the unchanged)", "cosine to the unchanged scan"),
    Moves("attention_correlation", "Attention (correlation)", "correlation of attention"),
    Moves("attention_change", "Attention (total variation)", "total variation of attention"),
    Moves("dice", "Dice against the labels", "Dice against the labels"),
    Moves("dice_to_unchanged", "Dice to the unchanged", "Dice to the unchanged scan's"),
    Moves("score", "Score", "score"),
    Moves("flipped", "Share of decisions flipped", "share of decisions flipped"),
)
MEASURES = tuple(one.column for one in MOVES)
