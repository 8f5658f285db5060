"""Looking into an encoder: attention, embeddings and their projections."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.analysis.attention import run_attend
    from workbench.analysis.config import AttendConfig, EmbedConfig
    from workbench.analysis.embed import run_embed

__all__ = ["AttendConfig", "EmbedConfig", "run_attend", "run_embed"]
__getattr__ = lazy.names(__name__, {"AttendConfig": "config", "EmbedConfig": "config", "run_attend": "attention",
                                    "run_embed": "embed"})
