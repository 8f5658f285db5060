"""What an encoder, a segmentation and a score say of one scan whose acquisition is changed by degrees."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from workbench.analysis.config import WhatifConfig
from workbench.analysis.whatif.changes import change_channels
from workbench.analysis.whatif.measures import MEASURES
from workbench.analysis.whatif.models import Scorer
from workbench.engine.streams import Purpose, stream
from workbench.measures.structures import dice
from workbench.model.attention import look, one_token, token_count
from workbench.model.contract import AnyEncoder
from workbench.model.encode import padded_box
from workbench.predict.segmenter import ScanSegmenter
from workbench.prepare.store import Store


class Asked:
    """All that is asked of one scan after the other."""

    def __init__(
        self,
        encoder: AnyEncoder,
        store: Store,
        config: WhatifConfig,
        scale: np.ndarray,
        spread: float,
        clip: float,
        segmenter: ScanSegmenter | None,
        scorer: Scorer | None,
    ) -> None:
        self.encoder, self.store, self.config, self.scale, self.spread = encoder, store, config, scale, spread
        self.clip, self.segmenter, self.scorer = clip, segmenter, scorer

    def rows(self, scan: str) -> list[dict[str, Any]]:
        image = self.store.read_channels(scan).astype(np.float32)
        labels = self.store.read_seg(scan) if self.segmenter is not None and self.store.has_seg(scan) else None
        seed = int(stream(self.config.seed, Purpose.LOOKS, 8, self.store.position(scan)).integers(2**31))
        base: dict[str, Any] | None = None
        rows = []
        for change in self.config.changes:
            for strength in (0.0, *sorted(s for s in set(self.config.strengths) if s > 0)):
                if strength == 0 and base is not None:
                    now = base  # nothing is changed: the same for all
                else:
                    changed = change_channels(image, labels, change, strength, seed=seed, clip_percentile=self.clip)
                    now = self.ask(scan, changed.scan, changed.labels)
                base = base or now
                rows.append(
                    {
                        "scan_id": scan,
                        "change": change,
                        "strength": strength,
                        **self.compare(base, now, moved_head=change == "rotation" and strength > 0),
                    }
                )
        return rows

    @torch.no_grad()
    def ask(self, scan: str, values: np.ndarray, labels: np.ndarray | None) -> dict[str, Any]:
        """Vectors, attention, segmentation and score of one array ``(C, X, Y, Z)`` on the scan's prepared grid."""
        encoder, shape = self.encoder, self.store.shape(scan)
        low, high = padded_box(shape, encoder.config.patch_xyz)
        room = [(-a, b - n) for a, b, n in zip(low, high, shape, strict=True)]
        volume = torch.from_numpy(np.pad(values.astype(np.float32), [(0, 0), *room]))[None]
        on_device = volume.to(next(encoder.parameters()).device)
        attention: np.ndarray | None = None
        if encoder.config.heads:
            seen = look(encoder, on_device, one_token(0, token_count(encoder, volume))[None])
            tokens = encoder.finish(seen.stream_BND)[0].float().cpu().numpy()
            attention = seen.rows_BHQN[0, :, 0, encoder.first_patch :].mean(0).cpu().numpy()
        else:
            tokens = encoder(on_device).all_BND[0].float().cpu().numpy()
        cls, patch_mean = tokens[0], tokens[encoder.first_patch :].mean(axis=0)
        out: dict[str, Any] = {"vector": cls if self.config.token == "cls" else patch_mean, "attention": attention}
        if self.scorer is not None:
            out["score"] = self.scorer.score(volume, cls, patch_mean)
        if self.segmenter is not None:
            out["classes"] = self.segmenter.classes(values)
            out["truth"] = (
                None
                if labels is None
                else [np.isin(labels, self.store.codes(scan, s)) for s in self.segmenter.structures]
            )
        return out

    def compare(self, base: dict[str, Any], now: dict[str, Any], *, moved_head: bool) -> dict[str, float]:
        a, b = base["vector"], now["vector"]
        out = dict.fromkeys(MEASURES, np.nan)
        out["moved"] = float(np.linalg.norm((b - a) / self.scale)) / self.spread
        out["cosine"] = float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
        if not moved_head and base["attention"] is not None:
            p, q = base["attention"] / base["attention"].sum(), now["attention"] / now["attention"].sum()
            out["attention_change"] = float(np.abs(p - q).sum() / 2)
            varies = p.std() > 1e-12 and q.std() > 1e-12
            out["attention_correlation"] = float(np.corrcoef(p, q)[0, 1]) if varies else np.nan
        if "score" in now:
            out["score"], out["flipped"] = now["score"], float((now["score"] > 0.5) != (base["score"] > 0.5))
        if "classes" in now:
            each = range(1, len(self.segmenter.structures) + 1) if self.segmenter else ()
            if not moved_head:
                out["dice_to_unchanged"] = _mean([dice(now["classes"] == c, base["classes"] == c) for c in each])
            if now["truth"] is not None:
                out["dice"] = _mean([dice(now["classes"] == c, now["truth"][c - 1]) for c in each])
        return out


def _mean(values: list[float]) -> float:
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else np.nan
