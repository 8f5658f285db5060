"""A small asymmetric head for tests, ours and your extension's: where it is bright, and which side that is, is known in
world millimetres.

    from workbench.testing import MARKER_MM, phantom, phantom_labels, write_bids

    scan = phantom("PSR", spacing=(2, 2, 3), oblique=10)   # any stored orientation; same head, same world
    labels = phantom_labels(scan.grid)                     # 1 = right, 2 = left "hippocampus", on that grid
    write_bids(tmp_path / "data", people=4)                # a BIDS dataset with participants.tsv and segmentations

The head is a function of the world position, evaluated at each voxel's centre, so the right value at any voxel of any
grid is known exactly. World axes are RAS+: negative x is LEFT.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

from workbench.volumes import Grid, Volume, write_volume

MARKER_MM = np.array([-12.0, 8.0, 6.0])
"""Centre of the bright marker, in the LEFT half; nothing else is as bright."""

HIPPOCAMPI_MM = {1: np.array([12.0, -4.0, -6.0]), 2: np.array([-12.0, -4.0, -6.0])}
"""Centre of each label of ``phantom_labels``: 1 right, 2 left (the left one is larger)."""


def phantom(
    axcodes: str = "RAS",
    *,
    spacing: Sequence[float] = (2.0, 2.0, 2.0),
    shape: Sequence[int] = (26, 30, 24),
    oblique: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Volume:
    """The head on a grid stored as ``axcodes``; float32, background 0, tissue about 100, marker 400.

    Args:
        axcodes: Directions of the stored axes, for example ``"LAS"`` or ``"PSR"``.
        spacing: mm along right, anterior, superior (NOT along the stored axes).
        shape: Voxels along right, anterior, superior; the field of view is centred on the world's origin.
        oblique: Degrees by which the grid is turned about each world axis. The head stays where it is.
        noise: Standard deviation of noise inside the head.
        seed: Of the noise.
    """
    grid = phantom_grid(axcodes, spacing=spacing, shape=shape, oblique=oblique)
    data = intensity(_world(grid))
    if noise:
        draw = np.random.default_rng(seed).normal(0, noise, data.shape)
        data = np.where(data > 0, np.clip(data + draw, 1, None), 0)
    return Volume(data.astype(np.float32), grid.affine)


def phantom_grid(
    axcodes: str = "RAS",
    *,
    spacing: Sequence[float] = (2.0, 2.0, 2.0),
    shape: Sequence[int] = (26, 30, 24),
    oblique: float = 0.0,
) -> Grid:
    """The grid of ``phantom`` with the same arguments."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [oblique] * 3, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag(spacing)
    affine[:3, 3] = -affine[:3, :3] @ (np.asarray(shape) - 1) / 2
    stored = nib.orientations.axcodes2ornt(tuple(axcodes))
    ras_to_stored = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), stored)
    affine = affine @ nib.orientations.inv_ornt_aff(ras_to_stored, tuple(shape))
    x, y, z = (int(shape[int(axis)]) for axis, _ in stored)
    return Grid((x, y, z), affine)


def intensity(world: np.ndarray) -> np.ndarray:
    """What the head shows at world positions ``(..., 3)`` in mm → ``(...)``."""
    x, y, z = np.moveaxis(world, -1, 0)
    head = (x / 20) ** 2 + (y / 24) ** 2 + (z / 18) ** 2 < 1
    value = np.where(head, 100 + 0.8 * x + 0.5 * y + 0.3 * z, 0)  # brighter to the right, the front and the top
    return np.where(((world - MARKER_MM) ** 2).sum(-1) <= 4.5**2, 400, value)


def phantom_labels(grid: Grid) -> Volume:
    """Right (1) and left (2) "hippocampus" at their world places on ``grid``; int32."""
    world = _world(grid)
    data = np.zeros(grid.shape, np.int32)
    for code, (radius, centre) in {1: (4.5, HIPPOCAMPI_MM[1]), 2: (6.0, HIPPOCAMPI_MM[2])}.items():
        data[((world - centre) ** 2).sum(-1) <= radius**2] = code
    return Volume(data, grid.affine)


def write_bids(
    root: str | Path,
    *,
    people: int = 4,
    sessions: int = 0,
    sites: Sequence[str] = ("A", "B"),
    axcodes: Sequence[str] = ("RAS", "LAS", "PSR"),
    segmentations: bool = True,
    masks: bool = False,
    simulated: bool = False,
    seed: int = 0,
    contrasts: Sequence[str] = ("T1w",),
    **grid: Any,
) -> Path:
    """Write a tiny BIDS dataset and return its root.

    People take turns in site, sex (F, M) and stored orientation; ages are 20, 25, …; every scan has noise of its own.

    Args:
        root: Folder to make; its name becomes the dataset's name.
        people: ``sub-01`` …
        sessions: Scans of each person (0: one, without a session level).
        sites: What people's ``site`` is, in turns.
        axcodes: Stored orientations, in turns.
        segmentations: ``derivatives/manual/…_dseg.nii.gz`` with ``dseg.tsv`` ("Right Hippocampus", "Left …").
        masks: ``derivatives/masks/…_desc-brain_mask.nii.gz``.
        simulated: Mark the dataset as simulated.
        seed: Of the noise.
        contrasts: Suffixes of each session's scans, on one grid. In all but T1w dark and bright are exchanged.
        grid: ``spacing``, ``shape``, ``oblique`` of ``phantom``.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    description = {"Name": root.name, "BIDSVersion": "1.9.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps({**description, "Simulated": simulated}))
    rows = ["participant_id\tsex\tage\tsite\tscanner\tdiagnosis"]
    for i in range(people):
        name = f"sub-{i + 1:02d}"
        diagnosis = ("control", "patient")[i // 2 % 2]
        rows.append(f"{name}\t{'FM'[i % 2]}\t{20 + 5 * i}\t{sites[i % len(sites)]}\tn/a\t{diagnosis}")
        for number, session in enumerate([f"ses-{s + 1}" for s in range(sessions)] or [""]):
            folder = Path(name, session, "anat")
            stem = "_".join(part for part in (name, session) if part)
            scan = phantom(axcodes[i % len(axcodes)], noise=5, seed=1000 * seed + 10 * i + number, **grid)
            for suffix in contrasts:
                shown = scan if suffix == "T1w" else other_contrast(scan, suffix)
                write_volume(root / folder / f"{stem}_{suffix}.nii.gz", shown)
            if segmentations:
                manual = root / "derivatives" / "manual"
                write_volume(manual / folder / f"{stem}_dseg.nii.gz", phantom_labels(scan.grid))
                (manual / "dseg.tsv").write_text("index\tname\n1\tRight Hippocampus\n2\tLeft Hippocampus\n")
            if masks:
                brain = Volume((scan.data > 0).astype(np.uint8), scan.affine)
                write_volume(root / "derivatives" / "masks" / folder / f"{stem}_desc-brain_mask.nii.gz", brain)
    (root / "participants.tsv").write_text("\n".join(rows) + "\n")
    return root


def other_contrast(scan: Volume, suffix: str) -> Volume:
    """The phantom with dark and bright exchanged, another slope for each suffix; 0 stays 0."""
    slope = 0.4 + 0.1 * (sum(map(ord, suffix)) % 5)
    return Volume(np.where(scan.data > 0, 500 - slope * scan.data, 0).astype(np.float32), scan.affine)


def _world(grid: Grid) -> np.ndarray:
    return grid.to_world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
