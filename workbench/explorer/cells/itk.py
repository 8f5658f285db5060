"""A scan and its labels in itkwidgets (JupyterLab), or in NiiVue where that viewer cannot come up.

itkwidgets loads its viewer from the network when a cell is shown. Nothing in this module does: without the extra
``itk``, or without a network, the NiiVue view takes its place and one sentence says so.
"""

from __future__ import annotations

import importlib
import socket
import warnings
from typing import Any

import nibabel as nib
import numpy as np

from workbench.errors import WorkbenchError
from workbench.volumes import Volume

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])  # ITK's world has x to the left and y to the back


def itk_image(volume: Volume, *, labels: bool = False) -> dict[str, Any]:
    """A volume as ITK describes an image (the fields of ``itkwasm.Image``): world LPS, array in the order z, y, x.

    Args:
        volume: ``(X, Y, Z)`` with its affine (world RAS+, mm); any orientation, also oblique.
        labels: Whole numbers.

    Returns:
        name, data ``(Z, Y, X)``, size, spacing (mm), origin (mm, LPS) and direction (3 × 3, a column an axis; the
        identity but for obliquity).

    Raises:
        WorkbenchError: the affine shears, which ITK's direction cannot say.
    """
    volume = _lps(volume)
    linear = LPS_FROM_RAS @ volume.affine[:3, :3]
    spacing = np.linalg.norm(linear, axis=0)
    direction = linear / spacing
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
        raise WorkbenchError(
            "the scan's axes are not at right angles",
            cause="its affine shears, and ITK has no word for it",
            remedy="resample it onto a grid without shear, or look at it in NiiVue",
        )
    data = np.ascontiguousarray(np.asarray(volume.data).transpose(2, 1, 0))
    if labels:
        data = data.astype(np.uint16 if data.max(initial=0) > 255 else np.uint8)
    elif data.dtype not in (np.float32, np.float64, np.int16, np.uint8, np.uint16):
        data = data.astype(np.float32)
    return {
        "name": "labels" if labels else "scan",
        "data": data,
        "size": list(volume.data.shape),
        "spacing": spacing.tolist(),
        "origin": (LPS_FROM_RAS @ volume.affine[:3, 3]).tolist(),
        "direction": direction,
    }


def _lps(volume: Volume) -> Volume:
    """The same voxels with axes to the left, the back and the top, so that the direction of a straight scan is the
    identity: itkwidgets 1.0a55 shows spacing and origin and drops the direction, which would mirror a LAS scan."""
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(volume.affine), nib.orientations.axcodes2ornt("LPS")
    )
    data = nib.orientations.apply_orientation(volume.data, turn)
    return Volume(data, volume.affine @ nib.orientations.inv_ornt_aff(turn, volume.data.shape))


def view_itk(volume: Volume, labels: Volume | None = None) -> Any:
    """Show a scan, and its labels over it, in itkwidgets with spacing and direction.

    An oblique scan is shown straight: the direction is handed over, and itkwidgets 1.0a55 does not use it.

    Where that viewer cannot load (the extra ``itk`` is not installed, or no network is there to load it from) a warning
    says why in one sentence, and the NiiVue view is returned in its place.
    """
    why, viewer = _viewer()
    if viewer is None:
        warnings.warn(f"itkwidgets cannot be shown ({why}); here is the NiiVue view in its place.", stacklevel=2)
        return nifti_view(volume, labels)
    more = {} if labels is None else {"label_image": _as_itk(itk_image(labels, labels=True))}
    return viewer(image=_as_itk(itk_image(volume)), **more)


def nifti_view(volume: Volume, labels: Volume | None = None) -> Any:
    """The NiiVue view of a scan and its labels, for a cell; needs no network."""
    import panel as pn

    pn.extension(inline=True)
    from workbench.explorer.stored.files import nifti_bytes
    from workbench.explorer.viewer.nifti_view import NiftiView

    base = nifti_bytes(volume)
    looks: dict[str, Any] = {"base": {"title": "Intensity", "affine": list(base.affine)}}
    content: dict[str, Any] = {"base": base.content}
    if labels is not None:
        over = nifti_bytes(Volume(labels.data.astype(np.int32), labels.affine))
        content["truth"] = over.content
        looks["truth"] = {"title": "Labels", "opacity": 0.6, "labels": None, "affine": list(over.affine)}
    return NiftiView(looks=looks, height=560, sizing_mode="stretch_width", **content)


def _viewer() -> tuple[str, Any]:
    """Why not, or itkwidgets' ``view``."""
    try:
        viewer = importlib.import_module("itkwidgets").view
        importlib.import_module("itkwasm")
    except ImportError as error:
        return f"{error.name or 'itkwidgets'} is not installed: pip install 'volta-workbench[itk]'", None
    if not _network():
        return "its viewer is loaded from the network, and there is none", None
    return "", viewer


def _network() -> bool:
    """Whether a name of the network can be found; nothing is sent to it."""
    try:
        socket.getaddrinfo("w3s.link", 443)
    except OSError:
        return False
    return True


def _as_itk(image: dict[str, Any]) -> Any:
    """An ``itkwasm.Image`` of the description; itkwidgets brings itkwasm with it."""
    itkwasm = importlib.import_module("itkwasm")
    kind = itkwasm.ImageType(dimension=3, componentType=image["data"].dtype.name, pixelType="Scalar", components=1)
    return itkwasm.Image(imageType=kind, **image)
