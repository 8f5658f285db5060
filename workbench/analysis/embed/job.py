"""Embeddings of every scan, with projections computed once and stored, and a frozen reference for new scans."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.analysis import inputs as made_from
from workbench.analysis.config import EmbedConfig
from workbench.analysis.embed.neighbours import nearest, picture_quality
from workbench.analysis.embed.reference import fit_reference
from workbench.analysis.embed.vectors import vectors_of
from workbench.analysis.facts import facts_of
from workbench.engine.device import pick_device
from workbench.engine.streams import Purpose, stream
from workbench.errors import ConfigError, WorkbenchError
from workbench.model.contract import AnyEncoder
from workbench.model.encode import box_of_scan, open_matching, padded_box
from workbench.model.export import EncoderCard
from workbench.predict.query import per_patch, region_mask
from workbench.predict.reference import Reference, load_reference
from workbench.prepare.store import Store
from workbench.runs import Run, finished, start_run
from workbench.runs.parts import over_scans


def run_embed(config: EmbedConfig, *, overwrite: bool = False) -> Run:
    """All that a viewer needs, wherever the store is:

    - ``embeddings``: scan_id, cls, patch_mean, and region_<name> for each region (None without labels), float32;
    - ``projections``: PCA, UMAP and t-SNE coordinates, and whether the scan is of the reference;
    - ``neighbours``: the nearest scans of each in the full space (standardised, Euclidean);
    - ``quality``: trustworthiness and continuity of each picture (Venna & Kaski 2001), on how many scans it was fitted,
      and how many were placed among these: how far to believe it;
    - ``scans`` and ``labels``: the store's tables.

    ``reference/`` holds what the coordinates were made from, without pickle. The vectors of a scan are those of the
    scan alone; the coordinates of a reference scan depend on the reference, those of any other on it and the
    reference, never on batch-mates.
    """
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    known = None
    if config.reference is not None:
        known = load_reference(config.reference)
    inputs = made_from.embed(config)
    if known is not None and config.reference is not None:
        known.require(inputs["encoder"], config.init, config.seed, config.token, config.reference)
    if not overwrite and (done := finished(config, inputs)):
        return done
    column_of(config.token, config.regions)
    if len(store) < 3 and known is None:
        raise WorkbenchError(
            f"{config.store}: {len(store)} scans are too few to be projected",
            remedy="prepare at least three, or place them against a --reference",
        )
    facts = facts_of(config, store, card) | {"pretraining_participants": list(card.participants)}
    with start_run(config, overwrite=overwrite, inputs=inputs, **facts) as run:
        encoder = encoder.to(pick_device(config.accelerator))
        over_scans(
            run,
            store.scan_ids,
            lambda scan: {"embeddings": [embed_scan(encoder, store, scan, config.regions)]},
            ["embeddings"],
            config,
            desc="embed",
        )
        ids, vectors = vectors_of(run, config.token)
        if len(ids) < 3 and known is None:
            raise WorkbenchError(
                f"{config.token}: {len(ids)} scans have it, too few to be projected", remedy="choose another --token"
            )
        reference = known or make_reference(ids, vectors, config, inputs["encoder"])
        if known is None:
            reference.save(run.path / "reference")
        write_pictures(run, reference, ids, vectors, store, config)
        run.write_table("scans", with_seen(store.index, card))
        run.write_table("labels", store.labels)
    return run


def with_seen(index: pd.DataFrame, card: EncoderCard) -> pd.DataFrame:
    """Scans, and of each whether its person was seen in pretraining; without the column where nobody lists whom the
    encoder has seen, since neither yes nor no would be true."""
    if card.people_unknown:
        return index
    return index.assign(seen_in_pretraining=index["participant"].isin(set(card.participants)))


def column_of(token: str, regions: tuple[str, ...]) -> str:
    """Column of the embeddings table that a ``token`` setting names.

    Raises:
        ConfigError: it names none.
    """
    if token in ("cls", "patch_mean"):
        return token
    kind, _, name = token.partition(":")
    if kind == "region" and name in regions:
        return f"region_{name}"
    raise ConfigError(
        f"token '{token}': there is no such embedding",
        remedy="choose cls, patch_mean, or region:NAME with one of --regions",
    )


@torch.no_grad()
def embed_scan(encoder: AnyEncoder, store: Store, scan: str, regions: tuple[str, ...]) -> dict[str, Any]:
    """A row of the embeddings: the scan's own vectors, float32. A region is the mean over its voxels of their tokens;
    None where the labels do not have it."""
    patch = encoder.config.patch_xyz
    low, high = padded_box(store.shape(scan), patch)
    volume = box_of_scan(store, scan, low, high)
    tokens = encoder(volume.to(next(encoder.parameters()).device))
    patches_PD = tokens.patches_BPD[0].float()
    row: dict[str, Any] = {
        "scan_id": scan,
        "cls": tokens.cls_BD[0].float().cpu().numpy(),
        "patch_mean": patches_PD.mean(0).cpu().numpy(),
    }
    for region in regions:
        row[f"region_{region}"] = None
        if store.has_seg(scan) and store.codes(scan, region):
            counts = per_patch(region_mask(store, scan, region, low, high), patch)
            if counts.any():
                weights = torch.from_numpy((counts / counts.sum()).astype(np.float32)).to(patches_PD.device)
                row[f"region_{region}"] = (weights @ patches_PD).cpu().numpy()
    return row


def make_reference(ids: list[str], vectors: np.ndarray, config: EmbedConfig, encoder: str = "") -> Reference:
    """Fit the projections on at most ``reference_scans`` scans, drawn by the seed."""
    take = np.arange(len(ids))
    if len(ids) > config.reference_scans:
        drawn = stream(config.seed, Purpose.LOOKS, 4).choice(len(ids), config.reference_scans, replace=False)
        take = np.sort(drawn)
    return fit_reference([ids[i] for i in take], vectors[take], config, encoder)


def write_pictures(
    run: Run, reference: Reference, ids: list[str], vectors: np.ndarray, store: Store, config: EmbedConfig
) -> None:
    """Coordinates, neighbours in the full space, and how far the pictures can be believed."""
    places = reference.place(ids, vectors)
    run.write_table("projections", places)
    standard = reference.standardise(vectors)
    own = config.reference is None
    people = dict(zip(store.index["scan_id"], store.index["participant"], strict=True))
    among = (ids, standard) if own else (reference.scan_ids, reference.vectors)
    table = nearest(ids, standard, *among, k=config.listed)
    if own:
        table["same_participant"] = table["scan_id"].map(people) == table["neighbour"].map(people)
    run.write_table("neighbours", table)
    if len(ids) >= 5:
        quality = picture_quality(standard, places, config.neighbours, config.seed)
        run.write_table(
            "quality", quality.assign(fitted=len(reference.scan_ids), placed=int((~places["in_reference"]).sum()))
        )
