"""The online probe: can a person's label be told from the nearest CLS embeddings of other people?

Labels are looked at, never learnt from; people are never compared with their own other scans. It is a monitor of a
training, on the people it trains on, and no result: results come from people the encoder has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from workbench.engine.streams import Purpose, stream
from workbench.engine.views import by_channel, make_views
from workbench.errors import ConfigError
from workbench.model.vit import Encoder
from workbench.prepare.store import Store
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.data import read_boxes
from workbench.pretrain.draw_views import whole_view

NEIGHBOURS = 10
FEWEST = 4  # people with a value
CHUNK = 8  # scans encoded together


@dataclass
class Column:
    """One label column: its values where known, whether they are classes or numbers, and what guessing gives."""

    name: str
    values: np.ndarray
    known: np.ndarray  # bool
    classes: bool
    people: int

    @property
    def chance(self) -> float:
        """Balanced accuracy of guessing; a correlation of 0 for numbers."""
        return 1 / len(set(self.values[self.known])) if self.classes else 0.0


class Probe:
    """kNN on CLS over one scan of each of some training people."""

    def __init__(self, config: PretrainConfig, store: Store, scans: np.ndarray) -> None:
        self.store, self.size = store, config.encoder.size_xyz
        table = store.index.iloc[scans]
        first = table.drop_duplicates("participant")  # one scan a person
        order = stream(config.seed, Purpose.PROBE_SCANS).permutation(len(first))[: config.probe_scans]
        self.table = first.iloc[np.sort(order)]
        self.columns = [_column(self.table, name) for name in config.probe]

    def take(self, encoder: Encoder, device: torch.device) -> dict[str, float]:
        """``probe_<column>``: balanced accuracy for classes, Pearson's r for numbers."""
        embedded = self._embed(encoder, device)
        return {
            f"probe_{column.name}": knn_score(embedded[column.known], column.values[column.known], column.classes)
            for column in self.columns
        }

    @torch.no_grad()
    def _embed(self, encoder: Encoder, device: torch.device) -> np.ndarray:
        trained = encoder.training
        encoder.eval()
        rows, channels = [], encoder.config.channels
        positions = self.table.index.to_numpy()
        for start in range(0, len(positions), CHUNK):
            read = [
                read_boxes(self.store, int(i), whole_view(self.store.shape(int(i)), self.size), self.size, channels)
                for i in positions[start : start + CHUNK]
            ]
            views = make_views(
                [torch.from_numpy(boxes[channel]) for channel in range(channels) for boxes, _ in read],
                np.stack([matrix for _, matrix in read] * channels),
                None,
                self.size,
                device,
            )
            rows.append(encoder(by_channel(views, channels)).cls_BD.float().cpu().numpy())
        encoder.train(trained)
        return np.concatenate(rows)

    def sentence(self, step: int, scores: dict[str, float]) -> str:
        """The scores as a line on the console."""
        told = (
            f"{c.name} {scores[f'probe_{c.name}']:.3f} (chance {c.chance:.2f}, n = {c.people})" for c in self.columns
        )
        return f"probe after step {step}: {', '.join(told)}"

    def describe(self) -> dict[str, dict[str, object]]:
        """What stands behind each number, for the run's provenance."""
        return {
            c.name: {
                "people": c.people,
                "chance": c.chance,
                "neighbours": NEIGHBOURS,
                "score": "balanced accuracy" if c.classes else "Pearson's r",
            }
            for c in self.columns
        }


def knn_score(rows: np.ndarray, values: np.ndarray, classes: bool) -> float:
    """Leave one out, cosine similarity, the votes weighted by exp(similarity / 0.07) as in DINO (section 4.1).

    Rows are centred first: what all scans share says nothing about any of them.

    Args:
        rows: ``(n, D)``, one a person.
        values: ``(n,)`` labels.
        classes: Balanced accuracy of the vote; else Pearson's r of the weighted mean.
    """
    unit = rows - rows.mean(axis=0)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-12)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(rows) - 1)]
    weight = np.exp(np.take_along_axis(alike, nearest, axis=1) / 0.07)
    if not classes:
        said = (weight * values[nearest].astype(float)).sum(axis=1) / weight.sum(axis=1)
        return float(np.corrcoef(said, values.astype(float))[0, 1]) if said.std() > 0 else 0.0
    names, codes = np.unique(values, return_inverse=True)
    votes = np.stack([(weight * (codes[nearest] == k)).sum(axis=1) for k in range(len(names))], axis=1)
    said = votes.argmax(axis=1)
    return float(np.mean([(said[codes == k] == k).mean() for k in range(len(names))]))


def _column(table: pd.DataFrame, name: str) -> Column:
    if name not in table:
        raise ConfigError(
            f"probe: the cohort has no column '{name}'",
            cause=f"it has {', '.join(map(str, table.columns))}",
            remedy="name one of these, or none",
        )
    values = table[name]
    known = values.notna().to_numpy()
    numeric = pd.api.types.is_numeric_dtype(values) and values.nunique() > 5
    if known.sum() < FEWEST or values[known].nunique() < 2:
        raise ConfigError(
            f"probe: the column '{name}' says too little",
            cause=f"{int(known.sum())} people have a value, {values[known].nunique()} different ones",
            remedy="name another column, or none",
        )
    shown = values.to_numpy(float) if numeric else values.astype(str).to_numpy()
    return Column(name, shown, known, not numeric, int(known.sum()))
