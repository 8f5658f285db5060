"""Who is trained on and who is tested: by person, and never somebody whom pretraining saw."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workbench.cohort.splits import load_sides, split_fingerprint
from workbench.errors import WorkbenchError
from workbench.finetune.config import FinetuneConfig
from workbench.model.encode import fingerprints
from workbench.model.export import EncoderCard
from workbench.prepare.store import Store


def assign(store: Store, config: FinetuneConfig, usable: pd.Series, card: EncoderCard) -> pd.DataFrame:
    """The store's table with a column ``split`` (train, validation, test), only usable scans of the chosen sites.

    Args:
        store: The prepared scans.
        config: Names the split and the sites.
        usable: Bool per row of ``store.index``: has what the task needs.
        card: Of the encoder; its participants must not be tested on.

    Raises:
        WorkbenchError: nobody to train or to test on, or a test person whom pretraining has seen.
    """
    parts = load_sides(config.split)
    table = store.index[usable.to_numpy(bool)].merge(parts[["participant", "split"]], on="participant", how="left")
    unknown = table["split"].isna()
    if unknown.any():
        raise WorkbenchError(f"{config.split}: does not know {int(unknown.sum())} scans of the store",
                             cause=f"for example {table.loc[unknown, 'scan_id'].iloc[0]}",
                             remedy="make the split again from the cohort that the store was prepared from")
    for sites, sides in ((config.train_sites, ["train", "validation"]), (config.test_sites, ["test"])):
        _check_sites(sites, table, config.store)
        if sites:
            table = table[~table["split"].isin(sides) | table["site"].isin(sites)]
    for side in ("train", "test"):
        if not (table["split"] == side).any():
            raise WorkbenchError(f"{config.store}: nobody to {side} on",
                                 cause=f"no usable scan of the split's {side} people at the chosen sites",
                                 remedy="check labels, --train_sites, --test_sites and the split")
    refuse_leak(table, card, config)
    return table.reset_index(drop=True)


def _check_sites(sites: tuple[str, ...], table: pd.DataFrame, where: Path) -> None:
    missing = sorted(set(sites) - set(table["site"]))
    if missing:
        raise WorkbenchError(f"{where}: no usable scan of site {', '.join(missing)}",
                             cause=f"sites there: {', '.join(sorted(set(table['site'])))}", remedy="check the spelling")


def refuse_leak(table: pd.DataFrame, card: EncoderCard, config: FinetuneConfig) -> None:
    """Nobody may be tested whom pretraining saw, unless the run says that it is transductive."""
    tested = set(table.loc[table["split"] == "test", "participant"])
    seen = seen_people(table, card)
    if seen and not config.transductive:
        raise WorkbenchError(f"{config.encoder}: has seen {len(seen)} of the {len(tested)} people to be tested on",
                             cause=f"for example {seen[0]}; a test on them measures memory as well as transfer",
                             remedy="pretrain with the same --split, or add --transductive to mark every result so")


def seen_people(table: pd.DataFrame, card: EncoderCard) -> list[str]:
    """Test people whom pretraining saw: by name, or by the content of a scan, which no renaming changes."""
    test = table[table["split"] == "test"]
    known = test["participant"].isin(card.participants) | test["fingerprint"].isin(card.scans)
    return sorted(set(test.loc[known, "participant"]))


def inputs_of(store: Store, config: FinetuneConfig) -> dict[str, str]:
    """Content of all that a fine-tuning reads."""
    return {**fingerprints(store, config.encoder), "split": split_fingerprint(load_sides(config.split))}
