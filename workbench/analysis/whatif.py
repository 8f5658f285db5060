"""What if it were another scanner: the same people, the acquisition changed by degrees, and what moves.

A comparison of sites mixes the scanner with the people; here the people stay the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.analysis.changes import change_scan
from workbench.analysis.config import WhatifConfig
from workbench.analysis.parts import over_scans
from workbench.analysis.vectors import open_embed
from workbench.analysis.whatif_models import Scorer, Segmenter, task_run
from workbench.engine.device import pick_device
from workbench.engine.streams import Purpose, stream
from workbench.errors import ConfigError, WorkbenchError
from workbench.finetune.metrics import dice
from workbench.model.attention import look, one_token, token_count
from workbench.model.encode import fingerprints, open_matching, padded_box
from workbench.model.vit import Encoder
from workbench.prepare.store import Store
from workbench.runs import Run, digest_file, finished, start_run
from workbench.stats import bootstrap_interval

MEASURES = ("moved", "cosine", "attention_correlation", "attention_change", "dice", "dice_to_unchanged", "score",
            "flipped")


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
    inputs = fingerprints(store, config.encoder)
    if config.token.startswith("region:"):
        raise ConfigError(f"token '{config.token}': regions move with the change", remedy="choose cls or patch_mean")
    check_embed(embed, inputs, config)
    inputs["embed"] = digest_file(embed.path / "results" / "embeddings.parquet")
    for name, path in (("segment", config.segment), ("classify", config.classify)):
        if path is not None:
            table = "dice" if name == "segment" else "predictions"
            inputs[name] = digest_file(task_run(path, name, store).path / "results" / f"{table}.parquet")
    if not overwrite and (done := finished(config, inputs)):
        return done
    scans = list(config.scans) or draw_people(store, config.people, config.seed)
    for scan in scans:
        store.position(scan)
    facts = {"seed": config.seed, "store": str(config.store), "encoder": str(config.encoder), "init": config.init,
             "objective": card.objective, "preparation": store.fingerprint, "simulated": store.simulated}
    device = pick_device(config.accelerator)
    segmenter = Segmenter(config.segment, store, device) if config.segment is not None else None
    scorer = Scorer(config.classify, store, embed.read_table("embeddings"), device) \
        if config.classify is not None else None
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        scale, unit = spread_within_sites(rows, vectors)
        clip = float(Run(store.path).config["clip_percentile"])
        asked = Asked(encoder.eval().to(device), store, config, scale, unit["spread"], clip, segmenter, scorer)
        over_scans(run, scans, lambda scan: {"whatif": asked.rows(scan)}, ["whatif"], desc="what if")
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
        raise WorkbenchError(f"{config.embed}: was made with another encoder", cause="its vectors have another unit",
                             remedy="embed with the same --encoder, --init and --seed")


def draw_people(store: Store, people: int, seed: int) -> list[str]:
    """A scan each of ``people`` people, the sites taking turns; people with labels first."""
    index = store.index.assign(order=stream(seed, Purpose.LOOKS, 7).permutation(len(store)))
    index = index.sort_values(["has_seg", "order"], ascending=[False, True]).drop_duplicates("participant")
    turn = index.groupby("site").cumcount()
    chosen = index.assign(turn=turn).sort_values(["turn", "site"])["scan_id"].head(people)
    return sorted(chosen)


def spread_within_sites(scans: pd.DataFrame, vectors: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Each feature's standard deviation over scans, and the unit of distance: the root mean square distance of a person
    from the mean of the site, features standardised."""
    deviation = vectors.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, np.inf)  # what never varies has no unit
    frame = pd.DataFrame(vectors / scale).groupby([scans["site"].astype(str), scans["participant"]]).mean()
    by_site = frame.groupby(level=0)
    sizes, middles = by_site.size(), by_site.mean()
    if not (sizes > 1).any():
        raise WorkbenchError("no site has two people embedded", cause="the spread within sites is not known",
                             remedy="embed more people")
    residual = (frame - by_site.transform("mean")).to_numpy()
    free = int((sizes - 1).sum())
    spread = float(np.sqrt((residual**2).sum() / free))
    m = middles.to_numpy()
    gaps = [np.linalg.norm(m[i] - m[j]) for i in range(len(m)) for j in range(i)]
    return scale, {"spread": spread, "people": len(frame), "sites": len(sizes),
                   "between_site_means": float(np.mean(gaps)) / spread if gaps else np.nan}


class Asked:
    """All that is asked of one scan after the other."""

    def __init__(self, encoder: Encoder, store: Store, config: WhatifConfig, scale: np.ndarray, spread: float,
                 clip: float, segmenter: Segmenter | None, scorer: Scorer | None) -> None:
        self.encoder, self.store, self.config, self.scale, self.spread = encoder, store, config, scale, spread
        self.clip, self.segmenter, self.scorer = clip, segmenter, scorer

    def rows(self, scan: str) -> list[dict[str, Any]]:
        image = self.store.read(scan).astype(np.float32)
        labels = self.store.read_seg(scan) if self.segmenter is not None and self.store.has_seg(scan) else None
        seed = int(stream(self.config.seed, Purpose.LOOKS, 8, self.store.position(scan)).integers(2**31))
        base: dict[str, Any] | None = None
        rows = []
        for change in self.config.changes:
            for strength in (0.0, *sorted(s for s in set(self.config.strengths) if s > 0)):
                if strength == 0 and base is not None:
                    now = base  # nothing is changed: the same for all
                else:
                    changed = change_scan(image, labels, change, strength, seed=seed, clip_percentile=self.clip)
                    now = self.ask(scan, changed.scan, changed.labels)
                base = base or now
                rows.append({"scan_id": scan, "change": change, "strength": strength,
                             **self.compare(base, now, moved_head=change == "rotation" and strength > 0)})
        return rows

    @torch.no_grad()
    def ask(self, scan: str, values: np.ndarray, labels: np.ndarray | None) -> dict[str, Any]:
        """Vectors, attention, segmentation and score of one array on the scan's prepared grid."""
        encoder, shape = self.encoder, self.store.shape(scan)
        low, high = padded_box(shape, encoder.config.patch_xyz)
        padded = np.pad(values.astype(np.float32), [(-a, b - n) for a, b, n in zip(low, high, shape, strict=True)])
        volume = torch.from_numpy(padded)[None, None]
        on_device = volume.to(next(encoder.parameters()).device)
        seen = look(encoder, on_device, one_token(0, token_count(encoder, volume))[None])
        tokens = encoder.norm(seen.stream_BND)[0].float().cpu().numpy()
        cls, patch_mean = tokens[0], tokens[encoder.first_patch:].mean(axis=0)
        attention = seen.rows_BHQN[0, :, 0, encoder.first_patch:].mean(0).cpu().numpy()
        out: dict[str, Any] = {"vector": cls if self.config.token == "cls" else patch_mean, "attention": attention}
        if self.scorer is not None:
            out["score"] = self.scorer.score(volume, cls, patch_mean)
        if self.segmenter is not None:
            out["classes"] = self.segmenter.classes(values)
            out["truth"] = None if labels is None else [np.isin(labels, self.store.codes(scan, s))
                                                        for s in self.segmenter.structures]
        return out

    def compare(self, base: dict[str, Any], now: dict[str, Any], *, moved_head: bool) -> dict[str, float]:
        a, b = base["vector"], now["vector"]
        out = dict.fromkeys(MEASURES, np.nan)
        out["moved"] = float(np.linalg.norm((b - a) / self.scale)) / self.spread
        out["cosine"] = float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
        if not moved_head:
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


def curves(table: pd.DataFrame, participant: dict[str, str], seed: int) -> pd.DataFrame:
    """Mean over people of each measure with its 95 % interval, by change and strength."""
    table = table.assign(participant=table["scan_id"].map(participant))
    rows = []
    for (change, strength), group in table.groupby(["change", "strength"], sort=False):
        people = group.groupby("participant")[list(MEASURES)].mean()
        for measure in MEASURES:
            values = people[measure].dropna().to_numpy()
            if len(values):
                low, high = bootstrap_interval(values, seed=seed).ends
                rows.append({"change": change, "strength": strength, "measure": measure, "value": values.mean(),
                             "low": low, "high": high, "people": len(values)})
    return pd.DataFrame(rows)


def flips(table: pd.DataFrame) -> pd.DataFrame:
    """By scan and change: the score of the unchanged scan and the first strength at which it crosses 0.5, linear
    between the steps; NaN where it stays on its side up to the strongest."""
    rows = []
    for (scan, change), group in table.dropna(subset=["score"]).groupby(["scan_id", "change"], sort=False):
        group = group.sort_values("strength")
        strengths, margins = group["strength"].to_numpy(), group["score"].to_numpy() - 0.5
        crossed = np.flatnonzero((margins > 0) != (margins[0] > 0))
        at = np.nan
        if len(crossed):
            i = crossed[0]
            a, b = margins[i - 1], margins[i]
            at = float(strengths[i - 1] + (strengths[i] - strengths[i - 1]) * (a / (a - b) if a != b else 1.0))
        rows.append({"scan_id": scan, "change": change, "score_unchanged": margins[0] + 0.5, "flips_at": at,
                     "strongest": strengths[-1]})
    return pd.DataFrame(rows, columns=["scan_id", "change", "score_unchanged", "flips_at", "strongest"])
