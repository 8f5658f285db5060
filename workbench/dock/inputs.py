"""What taking an encoder in, or giving one out, is made from."""

from __future__ import annotations

from workbench.dock.config import ImportConfig
from workbench.dock.export_config import ExportConfig
from workbench.dock.table import FORMATS
from workbench.errors import ConfigError
from workbench.model.inputs import encoder_digest
from workbench.prepare import PrepareConfig, open_store, preparation_fingerprint
from workbench.runs import digest_file

USUAL_SPACING = 1.0  # of a format that was trained on mixed ones


def inputs_of_import(config: ImportConfig) -> dict[str, str]:
    """Fingerprints of the checkpoint and of how the scans are prepared that it is given."""
    return {"weights": digest_file(config.weights), "preparation": preparation_fingerprint(preparation(config))}


def inputs_of_export(config: ExportConfig) -> dict[str, str]:
    """Fingerprint of the encoder."""
    return {"encoder": encoder_digest(config.encoder)}


def preparation(config: ImportConfig) -> PrepareConfig:
    """How the scans that it is given are prepared: as those of a store, or as set."""
    form = FORMATS[config.format]
    if config.store is not None:
        store = open_store(config.store)
        if store.channels > 1:
            raise ConfigError(
                f"{config.store}: has {'+'.join(store.contrasts)}",
                cause="an encoder made elsewhere is given one contrast, in each of the channels that it takes",
                remedy="prepare one contrast of the cohort (prepare --contrasts T1w) and import it for that store",
            )
        settings = store.settings
    else:
        settings = {
            "spacing": config.spacing or form.spacing or USUAL_SPACING,
            "mask": config.mask,
            "interpolation": config.interpolation,
            "n4": config.n4,
            "clip_percentile": config.clip_percentile,
        }
    return PrepareConfig.build({"out": ".", "cohort": ".", **settings})
