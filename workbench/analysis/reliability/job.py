"""How far repeated scans of the same people agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from workbench.analysis import inputs as made_from
from workbench.analysis.config import ReliabilityConfig
from workbench.analysis.reliability import tables
from workbench.analysis.reliability.conditions import complete, with_condition
from workbench.analysis.reliability.quantities import (
    Quantities,
    dimensions,
    of_each,
    of_run,
    those_asked_for,
)
from workbench.errors import ConfigError
from workbench.runs import Run, finished, start_run

Rows = dict[str, list[dict[str, Any]]]
ENCODER = "encoder"  # what the vectors that this job makes itself are called in its tables


def run_reliability(config: ReliabilityConfig, *, overwrite: bool = False) -> Run:
    """Tables, ``run`` being what was measured and ``kind`` what of it:

    - ``summary``: measure, value, low, high (95 % over people), chance, people, scans, conditions: of an embedding
      discriminability, fingerprinting, median ICC and the share of variance that is the person's;
    - ``icc``: ICC(2,1) and ICC(3,1) with intervals of each dimension, principal component, structure or score, and
      how its variance divides; ``within_sd`` is the standard deviation between scans of one person;
    - ``shares``: the same shares over all dimensions, with intervals;
    - ``people``: discriminability and fingerprinting of each person;
    - ``pairs``: the same by pair of conditions;
    - ``notes``: who and what was left out, and which column told the conditions.

    People who were scanned once are in none of them.
    """
    if (config.store is None) != (config.encoder is None):
        raise ConfigError("--store and --encoder belong together", remedy="give both of them, or neither")
    if not config.runs and config.encoder is None:
        raise ConfigError(
            "nothing to look at", remedy="give --store and --encoder, or --runs (embed, segment, classify)"
        )
    encode, facts = _open_encoder(config) if config.encoder is not None else (None, {})
    inputs = made_from.reliability(config)
    if not overwrite and (done := finished(config, inputs)):
        return done
    with start_run(config, overwrite=overwrite, inputs=inputs, seed=config.seed, **facts) as run:
        notes: list[str] = []
        measured: list[Quantities] = []
        if encode is not None:
            measured.append(encode(notes))
        for path in config.runs:
            for one in of_run(path, config):
                chosen, said = those_asked_for(one, config, set())
                notes += said if one.kind not in ("volume", "volume of the labels") else []
                measured.append(chosen)
        rows: Rows = {name: [] for name in ("summary", "icc", "shares", "people", "pairs")}
        of_each(measured, lambda one: _compare(one, config, rows, notes), notes)
        for name, some in rows.items():
            run.write_table(name, pd.DataFrame(some, columns=tables.COLUMNS[name]))
        run.write_table("notes", pd.DataFrame({"note": list(dict.fromkeys(notes))}, dtype=object))
        run.note(
            simulated=any(one.simulated for one in measured),
            transductive=any(one.transductive for one in measured),
            participants={"test": sorted({person for one in measured for person in one.scans["participant"]})},
        )
    return run


def _compare(one: Quantities, config: ReliabilityConfig, rows: Rows, notes: list[str]) -> None:
    """All tables of one kind of numbers."""
    where = one.run if one.kind == "embedding" else f"{one.run}, {one.kind}"
    scans, across, said = with_condition(one.scans, config.across, where)
    notes += said
    place = {name: i for i, name in enumerate(one.scans["scan_id"])}
    values = one.values[[place[scan] for scan in scans["scan_id"]]]
    shared = complete(scans)
    about = {"run": one.run, "kind": one.kind, "across": across}
    if shared is None:
        notes.append(f"{where}: no two people were scanned under the same two levels of {across}: no ICC")
    elif shared.left_out:
        notes.append(
            f"{where}: ICC of {len(shared.people)} people under {', '.join(shared.conditions)}; not under "
            f"{', '.join(shared.left_out)}, which fewer people have"
        )
    factors, said = tables.usable_factors(scans, across, where)
    notes += said
    if one.kind == "embedding":
        tables.of_embedding(about, scans, values, shared, factors, config, rows)
    else:
        tables.of_numbers(about, scans, values, one.names, shared, factors, config.seed, rows)


def _open_encoder(
    config: ReliabilityConfig,
) -> tuple[Callable[[list[str]], Quantities], dict[str, Any]]:
    """An encoder and a store that belong together: how to embed their scans, provenance."""
    from workbench.engine.device import pick_device
    from workbench.finetune.assignment import seen_people
    from workbench.model.encode import encode_scans, open_matching

    assert config.store is not None and config.encoder is not None
    if config.token not in ("cls", "patch_mean"):
        raise ConfigError(
            f"token '{config.token}': made by an embed run alone", remedy="choose cls or patch_mean, or give --runs"
        )
    store, encoder, card = open_matching(config.store, config.encoder, init=config.init, seed=config.seed)
    seen = set(seen_people(store.index.assign(split="test"), card))

    def encode(notes: list[str]) -> Quantities:
        """Of the people who are asked for and have several scans: others need not be encoded."""
        width = encoder.config.width
        empty = Quantities(
            ENCODER, "embedding", store.index, np.zeros((len(store), 0)), dimensions(width), store.simulated
        )
        chosen, said = those_asked_for(empty, config, seen)
        notes += said
        repeated = chosen.scans["participant"].duplicated(keep=False).to_numpy()
        chosen = chosen.take(repeated)
        device = pick_device(config.accelerator)
        column = 1 if config.token == "cls" else 2
        made = [row[column] for row in encode_scans(encoder, store, list(chosen.scans["scan_id"]), device=device)]
        values = np.stack(made).astype(float) if made else np.zeros((0, width))
        return Quantities(ENCODER, "embedding", chosen.scans, values, empty.names, store.simulated, chosen.transductive)

    facts = {
        "store": str(config.store),
        "encoder": str(config.encoder),
        "init": config.init,
        "objective": card.objective,
        "preparation": store.fingerprint,
    }
    return encode, facts
