"""Where the brain is in a scan, and how we know."""

from __future__ import annotations

import numpy as np
import scipy

from workbench.errors import ScanError
from workbench.prepare.config import MaskChoice
from workbench.prepare.deepbet import brain_of_head, is_installed
from workbench.volumes import Volume

# what the sidecars and the summary say
KINDS = {
    "given": "given (the cohort's mask file)",
    "nonzero": "nonzero (skull-stripped scan: all but its constant background)",
    "deepbet": "deepbet (the brain found in a whole head)",
    "head": "head (no brain mask given; skull included)",
    "no_brain": "head (deepbet finds no brain in it; skull included)",
    "whole": "whole (field of view too small for a brain: all of it counts)",
}

SMALLEST_VIEW = 400.0  # ml; a field of view below this holds no adult brain: the scan is a crop
LARGEST_BRAIN = 2200.0  # ml, ventricles and sulci included; anything larger is a head
BORDER_SHARE = 0.5  # of the outermost voxels must hold one value; a tightly cropped brain touches some of them
VOLUME_SHARE = 0.15  # of all voxels; the box around a brain is at most about 60 % brain


def find_mask(scan: Volume, choice: MaskChoice, given: Volume | None) -> tuple[Volume, str]:
    """The brain (or what stands for it) as a boolean volume, and which of ``KINDS`` it is.

    Args:
        scan: The scan in its stored orientation.
        choice: The setting ``mask``.
        given: The cohort's mask on a grid of its own, if there is one.

    Returns:
        The mask, on the grid of ``scan`` (of ``given`` where that was used).

    Raises:
        ScanError: no mask of the kind asked for can be made.
    """
    if choice == "given" and given is None:
        raise ScanError(
            "no brain mask",
            cause="mask is 'given' and the cohort has no mask file for this scan",
            remedy="add a mask_path to the cohort, or use --mask auto",
        )
    if given is not None and choice in ("auto", "given"):
        whole = np.array_equal(given.data, np.rint(given.data))
        return _checked(Volume(given.data > 0 if whole else given.data >= 0.5, given.affine), "given")
    if choice == "nonzero":
        return _checked(Volume(not_background(scan.data), scan.affine), "nonzero")
    if choice == "deepbet":
        return _checked(brain_of_head(scan), "deepbet")
    if choice == "head":
        return _checked(Volume(otsu_head(scan.data), scan.affine), "head")
    if _constant_background(scan.data):
        brain = not_background(scan.data)
        # some scanners, and every padded scan, have a constant background around a whole head
        if _millilitres(int(brain.sum()), scan) <= LARGEST_BRAIN:
            return _checked(Volume(brain, scan.affine), "nonzero")
    if _millilitres(scan.data.size, scan) < SMALLEST_VIEW:
        return Volume(np.ones(scan.data.shape, bool), scan.affine), "whole"
    kind = "head"
    if is_installed():
        try:
            return _checked(brain_of_head(scan), "deepbet")
        except ScanError:
            kind = "no_brain"
    return _checked(Volume(otsu_head(scan.data), scan.affine), kind)


def not_background(data: np.ndarray) -> np.ndarray:
    """The largest connected part that differs from the commonest border value, holes filled: bool ``(X, Y, Z)``."""
    return _fill_holes(_largest_part(data != _border_value(data)[0]))


def otsu_head(data: np.ndarray) -> np.ndarray:
    """What is above Otsu's threshold, holes filled, its largest connected part: bool ``(X, Y, Z)``.

    Holes are filled plane by plane, along each axis in turn: the dark cerebrospinal fluid is open to the outside
    where the field of view cuts the neck, and would be lost as a whole. And before the largest part is chosen, or a
    brain within a dark skull would be chosen without its head.
    """
    # the brightest 0.5 % (vessels, fat) would stretch the histogram until the threshold cuts through the brain
    low, high = float(data.min()), float(np.percentile(data, 99.5))
    if not low < high:
        high = float(data.max())
    counts, edges = np.histogram(np.minimum(data, high), bins=256, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(float)
    above = data.size - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums[:-1] / below - (sums[-1] - sums[:-1]) / above) ** 2
    threshold = edges[1:-1][np.nanargmax(between)]
    head = data > threshold
    for axis in range(3):
        head = _fill_holes(head, axis)
    return _largest_part(head)


def _constant_background(data: np.ndarray) -> bool:
    value, border_share = _border_value(data)
    return border_share >= BORDER_SHARE and float((data == value).mean()) >= VOLUME_SHARE


def _border_value(data: np.ndarray) -> tuple[float, float]:
    """The commonest value of the outermost voxels, and the share of them that hold it."""
    faces = [side.ravel() for view in (data, data.transpose(1, 0, 2), data.T) for side in (view[0], view[-1])]
    values, counts = np.unique(np.concatenate(faces), return_counts=True)
    return float(values[counts.argmax()]), float(counts.max() / counts.sum())


def _largest_part(mask: np.ndarray) -> np.ndarray:
    parts, n = scipy.ndimage.label(mask)
    if n < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()


def _fill_holes(mask: np.ndarray, plane: int | None = None) -> np.ndarray:
    """Add the background that does not reach the border: of the volume, or of each slice across axis ``plane``.

    Labelling does it in one pass; scipy's binary_fill_holes dilates step by step and takes seconds.
    """
    if not mask.any():
        return mask
    neighbours = scipy.ndimage.generate_binary_structure(3, 1)
    if plane is not None:
        neighbours = neighbours.copy()
        neighbours[tuple([0, 2] if axis == plane else 1 for axis in range(3))] = False
    spans = [np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    box = tuple(slice(int(span[0]), int(span[-1]) + 1) for span in spans)
    padding = [(0, 0) if axis == plane else (1, 1) for axis in range(3)]
    parts, n = scipy.ndimage.label(np.pad(~mask[box], padding, constant_values=True), structure=neighbours)
    # the padding belongs to the outside: its labels name all of it, slice by slice where there are slices
    outside = np.zeros(n + 1, bool)
    outside[parts[:, 0, :] if plane != 1 else parts[0]] = True
    outside[0] = False
    filled = mask.copy()
    filled[box] = ~outside[parts][tuple(slice(a, -b or None) for a, b in padding)]
    return filled


def _checked(mask: Volume, kind: str) -> tuple[Volume, str]:
    if not mask.data.any():
        raise ScanError(
            "the brain mask is empty",
            cause=f"mask: {KINDS[kind]}",
            remedy="look at the scan and its mask file; give a mask, or use another --mask",
        )
    return mask, kind


def _millilitres(voxels: int, scan: Volume) -> float:
    return voxels * scan.grid.voxel_ml
