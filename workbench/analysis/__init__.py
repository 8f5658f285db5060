"""Looking into an encoder: attention, tokens, embeddings and their projections, site shift, and other scanners."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.analysis.attention.job import run_attend
    from workbench.analysis.config import AttendConfig, EmbedConfig, ShiftConfig, TokensConfig, WhatifConfig
    from workbench.analysis.embed.job import run_embed
    from workbench.analysis.shift.job import run_shift
    from workbench.analysis.tokens.job import run_tokens
    from workbench.analysis.whatif.job import run_whatif

__all__ = [
    "AttendConfig",
    "EmbedConfig",
    "ShiftConfig",
    "TokensConfig",
    "WhatifConfig",
    "run_attend",
    "run_embed",
    "run_shift",
    "run_tokens",
    "run_whatif",
]
__getattr__ = lazy.names(
    __name__,
    {
        **dict.fromkeys(["AttendConfig", "EmbedConfig", "ShiftConfig", "TokensConfig", "WhatifConfig"], "config"),
        "run_attend": "attention.job",
        "run_embed": "embed.job",
        "run_shift": "shift.job",
        "run_tokens": "tokens.job",
        "run_whatif": "whatif.job",
    },
)
