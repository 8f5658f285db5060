"""Where a NIfTI header puts its voxels. It may say so three times (sform, qform, pixdim), in three units."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from workbench.errors import ScanError
from workbench.volumes.volume import Grid

MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
SCALE_TOLERANCE = 0.02  # of a voxel's edge
MAX_SKEW = 3.0  # degrees
MAX_TURN = 60.0  # degrees between a head as it lay in the scanner and as a template has it
PLACE_TOLERANCE = 0.5  # of a voxel's shortest edge, anywhere in the scan; at least 1 mm
REMEDY = "find out which is right and write it as both, or convert the scan again from its source"


class Guess(str):
    """A remark on what the file does not say itself, so that it was concluded; any other remark is on what it says."""


def affine_of(name: object, header: nib.Nifti1Header) -> tuple[np.ndarray, list[str]]:
    """The affine in mm, and remarks on how it was come by.

    Where sform and qform are both set they must agree in side and voxel size, and so must the voxel size of the
    header (pixdim). They must agree in place too if both claim the same space (equal codes); a sform that was moved
    to another (aligned, Talairach, MNI) is taken, with a remark, unless it turns the head by more than 60 degrees: no
    alignment does, and half a turn exchanges left and right.

    Raises:
        ScanError: neither is set, or they contradict each other.
    """
    codes = int(header["qform_code"]), int(header["sform_code"])
    if not any(codes):
        raise ScanError(
            f"{name}: the affine is missing",
            cause="sform_code and qform_code are both 0, so left and right are not known",
            remedy="set the affine from the source of the scan",
        )
    try:
        qform = np.asarray(header.get_qform(), dtype=np.float64) if codes[0] else None
        sform = np.asarray(header.get_sform(), dtype=np.float64) if codes[1] else None
    except Exception as error:  # a quaternion that is none
        raise ScanError(
            f"{name}: the affine cannot be read",
            cause=str(error).splitlines()[0][:200],
            remedy="set the affine from the source of the scan",
        ) from error
    affine = sform if sform is not None else qform
    assert affine is not None
    with np.errstate(all="ignore"):
        determinant = np.linalg.det(affine[:3, :3]) if np.isfinite(affine).all() else 0.0
    if not np.isfinite(determinant) or determinant == 0:
        raise _singular(name, determinant)
    remarks = _agree(name, header, sform, qform, codes) if sform is not None else []
    unit = _unit(header)
    scale = MM.get(unit, 1.0)
    affine = affine.copy()
    affine[:3] *= scale
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not all(0.05 <= s <= 20 for s in spacing):
        raise ScanError(
            f"{name}: the voxel size is not plausible",
            remedy="check the header's units (xyzt_units) and its voxel size: together they must make millimetres",
            cause=f"{' x '.join(f'{s:.3g}' for s in spacing)} mm"
            + (f": the header counts in units of a {unit}" if scale != 1 else ""),
        )
    if abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        raise _singular(name, np.linalg.det(affine[:3, :3]))
    if np.array_equal(affine, np.eye(4)):
        remarks.append(
            Guess(
                "the affine is the identity, as programs write that know of none: the first axis is taken as running "
                "to the right, and a voxel as 1 mm"
            )
        )
    if (skew := _skew(affine)) > MAX_SKEW:
        remarks.append(f"the axes of the affine are up to {skew:.0f} degrees off right angles: it is taken as it says")
    if scale != 1:
        remarks.append(f"the header counts in units of a {unit}: converted to mm")
    return affine, remarks


def _unit(header: nib.Nifti1Header) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:  # a code that means nothing
        return "unknown"


def _agree(
    name: object, header: nib.Nifti1Header, sform: np.ndarray, qform: np.ndarray | None, codes: tuple[int, int]
) -> list[str]:
    size = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    edges = np.linalg.norm(sform[:3, :3], axis=0)
    said, where = ("qform", np.linalg.norm(qform[:3, :3], axis=0)) if qform is not None else ("pixdim", size)
    if (
        qform is not None
        and np.isfinite(qform).all()
        and np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0
    ):
        raise ScanError(
            f"{name}: sform and qform contradict each other",
            cause="one is the mirror image of the other, so left and right are not known",
            remedy=REMEDY,
        )
    if np.isfinite(where).all() and (where > 0).all() and (np.abs(where - edges) > SCALE_TOLERANCE * edges).any():
        raise ScanError(
            f"{name}: sform and {said} contradict each other",
            cause=f"a voxel is {_edges(edges)} by the sform and {_edges(where)} by the {said}",
            remedy=REMEDY,
        )
    if qform is None or not np.isfinite(qform).all():
        return []
    x, y, z = (max(2, int(n)) for n in header.get_data_shape()[:3])
    corners = np.stack(np.meshgrid((0, x - 1), (0, y - 1), (0, z - 1), indexing="ij"), -1).reshape(-1, 3)
    shape = (x, y, z)
    apart = Grid(shape, sform).to_world(corners) - Grid(shape, qform).to_world(corners)
    far = float(np.linalg.norm(apart, axis=1).max()) * MM.get(_unit(header), 1.0)
    if far <= max(1.0, PLACE_TOLERANCE * float(edges.min()) * MM.get(_unit(header), 1.0)):
        return []
    if codes[0] == codes[1]:
        raise ScanError(
            f"{name}: sform and qform contradict each other",
            cause=f"they put the same voxel up to {far:.1f} mm apart, and both claim the same space (code {codes[0]})",
            remedy=REMEDY,
        )
    if (turn := _turn(sform, qform)) > MAX_TURN:
        raise ScanError(
            f"{name}: sform and qform contradict each other",
            cause=f"one turns the head by {turn:.0f} degrees against the other, so left and right are not known",
            remedy=REMEDY,
        )
    told = f"sform (code {codes[1]}) and qform (code {codes[0]}) are up to {far:.1f} mm apart: the place is the sform's"
    return [Guess(told)]


def _turn(first: np.ndarray, second: np.ndarray) -> float:
    """Degrees between the directions of two affines of one handedness."""
    rotations = [u @ v for u, _, v in (np.linalg.svd(affine[:3, :3]) for affine in (first, second))]
    return float(np.degrees(np.arccos(np.clip((np.trace(rotations[0].T @ rotations[1]) - 1) / 2, -1, 1))))


def _skew(affine: np.ndarray) -> float:
    """By how many degrees the least perpendicular two of its axes miss the right angle."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.degrees(np.arcsin(np.clip(np.abs(axes.T @ axes - np.eye(3)).max(), 0, 1))))


def _edges(values: np.ndarray) -> str:
    return " x ".join(f"{value:.3g}" for value in values)


def _singular(name: object, determinant: float) -> ScanError:
    return ScanError(
        f"{name}: the affine is singular",
        cause=f"its determinant is {determinant:g}",
        remedy="set the affine from the source of the scan",
    )
