"""What if it were another scanner: the same people, the acquisition changed by degrees, and what moves.

A comparison of sites mixes the scanner with the people; here the people stay the same.
"""

from __future__ import annotations

import pandas as pd

from workbench.analysis import inputs as made_from
from workbench.analysis.config import WhatifConfig
from workbench.analysis.embed.vectors import open_embed
from workbench.analysis.facts import facts_of
from workbench.analysis.whatif.asked import Asked
from workbench.analysis.whatif.models import Scorer, open_segmenter, task_run
from workbench.analysis.whatif.tables import curves, flips, spread_within_sites
from workbench.engine.device import pick_device
from workbench.engine.streams import Purpose, stream
from workbench.errors import ConfigError, WorkbenchError
from workbench.model.encode import open_matching
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run
from workbench.runs.parts import over_scans


def run_whatif(config: WhatifConfig, *, overwrite: bool = False) -> Run:
    """Tables:

    - ``whatif``: by scan, change and strength: ``moved`` (distance of the embedding from that of the unchanged scan in
      units of the spread of people within a site), ``cosine`` to it, ``attention_correlation`` and
      ``attention_change`` (total variation, 0 to 1) of the last block's mean CLS attention, ``dice`` against the labels
      and ``dice_to_unchanged`` on the prepared grid, ``score``, ``flipped``;
    - ``curves``: mean of each over people with 95 % interval, by change and strength;
    - ``flips``: the strength at which a scan's decision flips (NaN: it does not), interpolated between two steps;
    - ``unit``: the spread within sites and, in the same unit, the distance between the means of sites.

    A rotation moves the head, so attention maps are not compared for it (NaN).
    """
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    embed, rows, vectors = open_embed(config.embed, config.token)
    inputs = made_from.whatif(config)
    if config.token.startswith("region:"):
        raise ConfigError(f"token '{config.token}': regions move with the change", remedy="choose cls or patch_mean")
    check_embed(embed, inputs, config)
    for name, path in (("segment", config.segment), ("classify", config.classify)):
        if path is not None:
            task_run(path, name, store)  # it must be of scans prepared alike
    if not overwrite and (done := finished(config, inputs)):
        return done
    scans = list(config.scans) or draw_people(store, config.people, config.seed)
    for scan in scans:
        store.position(scan)
    device = pick_device(config.accelerator)
    segmenter = open_segmenter(config.segment, store, device) if config.segment is not None else None
    scorer = (
        Scorer(config.classify, store, embed.read_table("embeddings"), device) if config.classify is not None else None
    )
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts_of(config, store, card)) as run:
        scale, unit = spread_within_sites(rows, vectors)
        clip = float(Run(store.path).config["clip_percentile"])
        asked = Asked(encoder.eval().to(device), store, config, scale, unit["spread"], clip, segmenter, scorer)
        over_scans(run, scans, lambda scan: {"whatif": asked.rows(scan)}, ["whatif"], config, desc="what if")
        people = dict(zip(store.index["scan_id"], store.index["participant"], strict=True))
        table = run.read_table("whatif")
        run.write_table("curves", curves(table, people, config.seed))
        run.write_table("flips", flips(table))
        run.write_table("unit", pd.DataFrame([unit]))
    return run


def check_embed(embed: Run, inputs: dict[str, str], config: WhatifConfig) -> None:
    """The unit of distance must be of the same encoder."""
    same = embed.provenance.get("inputs", {}).get("encoder") == inputs["encoder"]
    random = config.init == "random" and embed.config.get("seed") != config.seed
    if not same or embed.config.get("init") != config.init or random:
        raise WorkbenchError(
            f"{config.embed}: was made with another encoder",
            cause="its vectors have another unit",
            remedy="embed with the same --encoder, --init and --seed",
        )


def draw_people(store: Store, people: int, seed: int) -> list[str]:
    """A scan each of ``people`` people, the sites taking turns; people with labels first."""
    index = store.index.assign(order=stream(seed, Purpose.LOOKS, 7).permutation(len(store)))
    index = index.sort_values(["has_seg", "order"], ascending=[False, True]).drop_duplicates("participant")
    turn = index.groupby("site").cumcount()
    chosen = index.assign(turn=turn).sort_values(["turn", "site"])["scan_id"].head(people)
    return sorted(chosen)
