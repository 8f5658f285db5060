"""An encoder that nobody trained: the architecture that arms without pretraining take."""

from __future__ import annotations

from pathlib import Path

from workbench.model.config import EncoderConfig
from workbench.model.export import EncoderCard, fresh_encoder, save_encoder
from workbench.model.inputs import WEIGHTS
from workbench.prepare.store import Store
from workbench.runs import digest_text


def architecture(root: Path, config: EncoderConfig, store: Store, *, write: bool) -> tuple[Path, str]:
    """A folder that ``load_encoder(…, init="random")`` takes, and the key that stands for it. Made with ``write``."""
    key = digest_text(config.model_dump_json(), store.fingerprint)[:12]
    folder = (root / "architectures" / key).resolve()
    if write and not (folder / "model" / WEIGHTS).is_file():
        card = EncoderCard(
            config,
            store.fingerprint,
            store.spacing,
            (),
            (),
            "none (random weights)",
            0,
            0,
            store.simulated,
            "random",
            store.settings,
        )
        save_encoder(folder / "model", fresh_encoder(config, 0).state_dict(), card)
    return folder, key
