"""Conform, normalise and crop every scan once, into a store with random access."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.prepare.config import PrepareConfig
    from workbench.prepare.fingerprint import preparation_fingerprint
    from workbench.prepare.prepare import describe, plan_prepare, run_prepare
    from workbench.prepare.restore import to_source_space
    from workbench.prepare.store import Store, open_store

__all__ = [
    "PrepareConfig",
    "Store",
    "describe",
    "open_store",
    "plan_prepare",
    "preparation_fingerprint",
    "run_prepare",
    "to_source_space",
]
__getattr__ = lazy.names(
    __name__,
    {
        "PrepareConfig": "config",
        "preparation_fingerprint": "fingerprint",
        **dict.fromkeys(["describe", "plan_prepare", "run_prepare"], "prepare"),
        "to_source_space": "restore",
        **dict.fromkeys(["Store", "open_store"], "store"),
    },
)
