"""Looking into an encoder: attention, tokens, embeddings and their projections, site shift, and other scanners."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.analysis.attention import run_attend
    from workbench.analysis.config import AttendConfig, EmbedConfig, ShiftConfig, TokensConfig, WhatifConfig
    from workbench.analysis.embed import run_embed
    from workbench.analysis.shift import run_shift
    from workbench.analysis.tokens import run_tokens
    from workbench.analysis.whatif import run_whatif

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
        "run_attend": "attention",
        "run_embed": "embed",
        "run_shift": "shift",
        "run_tokens": "tokens",
        "run_whatif": "whatif",
    },
)
