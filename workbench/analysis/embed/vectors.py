"""The embeddings of a run as a matrix."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.errors import ConfigError
from workbench.runs import Run
from workbench.runs.tables import column_names, read_arrow


def vectors_of(run: Run, token: str) -> tuple[list[str], np.ndarray]:
    """Scan ids and vectors ``(scans, D)`` float32 of one embedding; scans that do not have it are left out.

    Args:
        run: Of the job embed.
        token: cls, patch_mean or region:NAME.
    """
    path = run.path / "results" / "embeddings.parquet"
    column = token.replace("region:", "region_")
    columns = column_names(path) if path.is_file() else []
    if column not in columns:
        there = ", ".join(c.replace("region_", "region:") for c in columns[1:])
        raise ConfigError(
            f"{run.path}: has no embedding '{token}'",
            cause=f"it has: {there or 'none'}",
            remedy="choose another --token, or embed with --regions",
        )
    table = read_arrow(path, ["scan_id", column])
    table = table.filter(table[column].is_valid())
    vectors = table[column].combine_chunks()
    flat = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return table["scan_id"].to_pylist(), flat.reshape(len(table), -1) if len(table) else flat.reshape(0, 0)


def open_embed(path: object, token: str) -> tuple[Run, pd.DataFrame, np.ndarray]:
    """A finished embed run, the cohort's rows of its scans, and their vectors in the same order."""
    run = Run(str(path)).require_job("embed", "an embed run")
    ids, vectors = vectors_of(run, token)
    scans = run.read_table("scans").set_index("scan_id").loc[ids].reset_index()
    return run, scans, vectors
