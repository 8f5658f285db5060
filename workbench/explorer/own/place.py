"""Where would this scan lie? A scan that no store holds, placed against the frozen reference of an embed run."""

from __future__ import annotations

from collections.abc import Callable

from workbench.explorer.parts.live import open_encoder
from workbench.explorer.stored.catalog import Catalog
from workbench.predict.place import Placed
from workbench.volumes import Volume


def place(volume: Volume, catalog: Catalog, run: str, step: Callable[[float, str], None]) -> Placed:
    """Prepare, embed and place one scan.

    Args:
        volume: In its own space.
        catalog: Of the runs.
        run: Embed run whose encoder and reference are taken.
        step: Called between steps; see ``Live.start``.

    Raises:
        WorkbenchError: the store, the encoder or the reference is not at hand, or the scan cannot be prepared.
    """
    step(0.1, "Loading the encoder …")
    store, network, card = open_encoder(catalog, run)
    from workbench.predict.encoder import ScanEncoder
    from workbench.predict.scans import Preparation

    encoder = ScanEncoder(network, card, Preparation.of_store(store))
    step(0.3, "Preparing the scan as the store's …")
    ready = encoder.preparation.without_given_mask().prepare(volume)  # which mask it became is told
    step(0.7, "Encoding and placing it …")
    return encoder.place(ready, catalog.run(run).path)
