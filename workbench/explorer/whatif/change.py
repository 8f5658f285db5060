"""A scan changed as another scanner might, asked of the encoder while somebody waits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.explorer.parts.live import open_encoder
from workbench.explorer.stored.catalog import Catalog
from workbench.explorer.stored.files import NiftiFile, nifti_bytes
from workbench.volumes import Volume

OUTSIDE = -4.0  # standard deviations; says "not brain" on the screen


@dataclass(frozen=True)
class Changed:
    """Both scans on the prepared grid, and what moved between them (see ``analysis.whatif.measures``)."""

    before: NiftiFile
    after: NiftiFile
    measures: dict[str, float]
    score_before: float | None


def change(
    catalog: Catalog,
    embed_run: str,
    whatif_run: str | None,
    scan: str,
    strengths: dict[str, float],
    step: Callable[[float, str], None],
) -> Changed:
    """Apply several changes one after the other and ask what moves.

    Args:
        catalog: Of the runs.
        embed_run: Whose encoder is asked, and whose spread within sites is the unit of distance.
        whatif_run: Its classify and segment runs are asked too, where it is of the same encoder.
        scan: scan_id.
        strengths: Change → share of its full strength; those at 0 are left out.
        step: Called between the steps; see ``Live.start``.
    """
    step(0.1, "Loading the encoder …")
    same = whatif_run if whatif_run and catalog.encoder(whatif_run) == catalog.encoder(embed_run) else None
    opened, encoder, _ = open_encoder(catalog, embed_run)
    asked = _asked(catalog.run(embed_run).path, catalog.run(same).path if same else None, opened, encoder)
    from workbench.analysis.whatif.changes import change_channels
    from workbench.engine.streams import Purpose, stream

    step(0.25, "Encoding the unchanged scan …")
    store = asked.store
    image = store.read_channels(scan).astype(np.float32)
    segmented = asked.segmenter is not None and store.has_seg(scan)
    labels = store.read_seg(scan) if segmented else None
    base = _base(asked, scan)
    # the seed of the job: with one change alone the result is the stored one
    seed = int(stream(asked.config.seed, Purpose.LOOKS, 8, store.position(scan)).integers(2**31))
    now, order = image, sorted((k for k, v in strengths.items() if v > 0), key=lambda k: k == "rotation")
    for i, name in enumerate(order):
        step(0.5 + 0.2 * i / len(order), f"Changing it: {name.replace('_', ' ')} …")
        done = change_channels(now, labels, name, strengths[name], seed=seed, clip_percentile=asked.clip)  # type: ignore[arg-type]
        now, labels = done.scan.astype(np.float32), done.labels
    step(0.7, "Encoding the changed scan …" if asked.segmenter is None else "Encoding and segmenting it …")
    after = asked.ask(scan, now, labels)
    measures = asked.compare(base, after, moved_head="rotation" in order)
    return Changed(
        _shown(image[0], store.grid(scan).affine), _shown(now[0], store.grid(scan).affine), measures, base.get("score")
    )


def _shown(scan: np.ndarray, affine: np.ndarray) -> NiftiFile:
    """For the eye: z-scores, with what is not brain darker than any brain and not at the brain's mean."""
    return nifti_bytes(Volume(np.where(scan == 0, OUTSIDE, scan).astype(np.float32), affine))


@functools.lru_cache(maxsize=1)
def _asked(embed: Path, whatif: Path | None, store: Any, encoder: Any) -> Any:
    from workbench.analysis.config import WhatifConfig
    from workbench.analysis.embed.vectors import open_embed
    from workbench.analysis.whatif.asked import Asked
    from workbench.analysis.whatif.models import Scorer, open_segmenter
    from workbench.analysis.whatif.tables import spread_within_sites
    from workbench.runs import Run

    followed = Run(whatif).config if whatif else {}
    settings = {k: v for k, v in followed.items() if k in ("segment", "classify", "token")}
    of = Run(embed).config
    config = WhatifConfig.build(
        {
            "out": embed,
            "embed": embed,
            **settings,
            **{k: of[k] for k in ("store", "encoder", "init", "seed") if k in of},
        }
    )
    run, rows, vectors = open_embed(embed, config.token)
    scale, unit = spread_within_sites(rows, vectors)
    segmenter = open_segmenter(config.segment, store, "cpu") if config.segment is not None else None
    embeddings = run.read_table("embeddings")
    scorer = Scorer(config.classify, store, embeddings, "cpu") if config.classify is not None else None
    clip = float(Run(store.path).config["clip_percentile"])
    return Asked(encoder, store, config, scale, unit["spread"], clip, segmenter, scorer)


@functools.lru_cache(maxsize=2)
def _base(asked: Any, scan: str) -> dict[str, Any]:
    """What the encoder says of the unchanged scan, normalised again as every changed one is."""
    from workbench.analysis.whatif.changes import change_channels

    labels = asked.store.read_seg(scan) if asked.segmenter is not None and asked.store.has_seg(scan) else None
    image = asked.store.read_channels(scan).astype(np.float32)
    same = change_channels(image, labels, "gamma", 0.0, seed=0, clip_percentile=asked.clip)
    found: dict[str, Any] = asked.ask(scan, same.scan, same.labels)
    return found
