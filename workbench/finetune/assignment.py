"""Who is trained on and who is tested: by person, and never somebody whom pretraining saw."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.cohort.splits import load_sides
from workbench.engine.streams import Purpose, stream
from workbench.errors import WorkbenchError
from workbench.finetune.shared_config import FinetuneConfig
from workbench.model.contract import AnyEncoder
from workbench.model.encode import open_matching
from workbench.model.export import EncoderCard
from workbench.prepare.duplicates import near_duplicates
from workbench.prepare.store import Store, open_store


def open_parts(config: FinetuneConfig) -> tuple[Store, AnyEncoder | None, EncoderCard | None]:
    """The store, and the encoder with its card if one is named. Where no encoder is used, a named one still says how
    scans must be prepared and how large a crop is, so that arms with and without it are alike."""
    if config.encoder is None:
        return open_store(config.store), None, None
    return open_matching(config.store, config.encoder, init=config.init, seed=config.seed)


def facts_of(config: FinetuneConfig, store: Store, table: pd.DataFrame, card: EncoderCard | None) -> dict[str, Any]:
    """Provenance of a fine-tuning: what it was made from, and who was on which side."""
    return {
        "seed": config.seed,
        "store": str(config.store),
        "encoder": str(config.encoder),
        "init": config.init,
        "objective": card.objective if card and config.uses_encoder else "none (no encoder)",
        "preparation": store.fingerprint,
        "simulated": store.simulated,
        "transductive": bool(seen_people(table, card)),
        "people_unknown": bool(card and config.uses_encoder and card.people_unknown),
        "participants": {side: sorted(set(rows["participant"])) for side, rows in table.groupby("split")},
    }


def assign(
    store: Store, config: FinetuneConfig, usable: pd.Series, card: EncoderCard | None, *, even: str = "site"
) -> pd.DataFrame:
    """The store's table with a column ``split`` (train, validation, test), only usable scans of the chosen sites, and
    of the training people the chosen share.

    Args:
        store: The prepared scans.
        config: Names the split, the sites and the share of labels.
        usable: Bool per row of ``store.index``: has what the task needs.
        card: Of the encoder, if there is one; its participants must not be tested on.
        even: Column that a share of the training people keeps as even as it can.

    Raises:
        WorkbenchError: nobody to train or to test on, a test person whom pretraining has seen, or a test scan that is
            nearly the same image as one trained on under another name.
    """
    parts = load_sides(config.split)
    table = store.index[usable.to_numpy(bool)].merge(parts[["participant", "split"]], on="participant", how="left")
    unknown = table["split"].isna()
    if unknown.any():
        raise WorkbenchError(
            f"{config.split}: does not know {int(unknown.sum())} scans of the store",
            cause=f"for example {table.loc[unknown, 'scan_id'].iloc[0]}",
            remedy="make the split again from the cohort that the store was prepared from",
        )
    for sites, sides in ((config.train_sites, ["train", "validation"]), (config.test_sites, ["test"])):
        _check_sites(sites, table, config.store)
        if sites:
            table = table[~table["split"].isin(sides) | table["site"].isin(sites)]
    for side in ("train", "test"):
        if not (table["split"] == side).any():
            raise WorkbenchError(
                f"{config.store}: nobody to {side} on",
                cause=f"no usable scan of the split's {side} people at the chosen sites",
                remedy="check labels, --train_sites, --test_sites and the split",
            )
    refuse_leak(table, card, config)
    refuse_duplicates(store, table, card, config)
    training = table[table["split"] == "train"]
    kept = label_subset(
        training.groupby("participant")[even].first().astype(str), config.label_fraction, config.label_seed
    )
    return table[(table["split"] != "train") | table["participant"].isin(kept)].reset_index(drop=True)


def label_subset(strata: pd.Series, fraction: float, seed: int) -> set[str]:
    """A share of the people, at least one; the people of a smaller share are among those of a larger one.

    People are put into one order that depends on the seed and on who they are, not on the share: each stratum is
    shuffled and its members spread evenly over the order, its first at the front. A share takes the front of it.

    Args:
        strata: Stratum of each person, indexed by participant.
        fraction: Above 0, at most 1; ⌈fraction · people⌉ are taken.
        seed: Of the order.
    """
    rng = stream(seed, Purpose.LABELS)
    places: list[tuple[float, float, str]] = []
    for _, group in sorted(strata.groupby(strata)):
        people = rng.permutation(np.array(sorted(group.index), dtype=object))
        places += [(place / len(people), rng.random(), person) for place, person in enumerate(people)]
    wanted = math.ceil(round(fraction * len(places), 9))
    return {person for _, _, person in sorted(places)[:wanted]}


def _check_sites(sites: tuple[str, ...], table: pd.DataFrame, where: Path) -> None:
    missing = sorted(set(sites) - set(table["site"]))
    if missing:
        raise WorkbenchError(
            f"{where}: no usable scan of site {', '.join(missing)}",
            cause=f"sites there: {', '.join(sorted(set(table['site'])))}",
            remedy="check the spelling",
        )


def refuse_leak(table: pd.DataFrame, card: EncoderCard | None, config: FinetuneConfig) -> None:
    """Nobody may be tested whom pretraining saw, unless the run says that it is transductive."""
    tested = set(table.loc[table["split"] == "test", "participant"])
    seen = seen_people(table, card)
    if seen and not config.transductive:
        raise WorkbenchError(
            f"{config.encoder}: has seen {len(seen)} of the {len(tested)} people to be tested on",
            cause=f"for example {seen[0]}; a test on them measures memory as well as transfer",
            remedy="pretrain with the same --split, or add --transductive to mark every result so",
        )


def seen_people(table: pd.DataFrame, card: EncoderCard | None) -> list[str]:
    """Test people whom pretraining saw: by name, or by the content of a scan, which no renaming changes."""
    if card is None:
        return []
    test = table[table["split"] == "test"]
    known = test["participant"].isin(card.participants) | test["fingerprint"].isin(card.scans)
    return sorted(set(test.loc[known, "participant"]))


def refuse_duplicates(store: Store, table: pd.DataFrame, card: EncoderCard | None, config: FinetuneConfig) -> None:
    """No test scan may be nearly the same image as one that was learnt from under another name: by the fine-tuning, by
    the choice of its settings, or by the pretraining where its scans are in this store."""
    if config.allow_duplicates:
        return
    learnt = set(table.loc[table["split"] != "test", "scan_id"])
    if card is not None:
        learnt |= set(store.index.loc[store.index["participant"].isin(card.participants), "scan_id"])
    pairs = near_duplicates(store, learnt, set(table.loc[table["split"] == "test", "scan_id"]))
    if len(pairs):
        first = pairs.iloc[0]
        raise WorkbenchError(
            f"{config.store}: {len(pairs)} test scans are nearly the same image as one learnt from",
            cause=f"for example {first['test']} and {first['learnt']} (correlation "
            f"{first['correlation']:.3f}), under two names",
            remedy="give both one participant in the cohort and split again, or add "
            "--allow_duplicates if they are two people after all",
        )
