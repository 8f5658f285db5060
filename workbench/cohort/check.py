"""Read one scan, with its segmentation and mask, to the last voxel, and say what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from workbench.cohort.aligned import require_aligned
from workbench.cohort.place import merged, on_grid
from workbench.cohort.source import Candidate, Part
from workbench.errors import ScanError
from workbench.runs import digest_file
from workbench.volumes import Grid, Guess, Volume, read_scan, read_volume, write_volume
from workbench.volumes.thumbnail import coarse_thumbnail

BRAIN_ML = (250.0, 2500.0)
"""From a newborn's brain to a head without its skin: what a mask that does not name the brain must measure."""
CODES = 5000  # a label map with more codes is an image
FEW_VALUES = 32  # an image of no more may be a mask or a label map
SAMPLED = 100_000  # voxels that are looked at for that


@dataclass(frozen=True, slots=True)
class Task:
    """The files of one scan, and what may be done with them.

    Attributes:
        path, seg_path, seg_parts, mask_path, mask_named: As of the ``Candidate``.
        stem: Where a segmentation or mask is written that had to be put together or turned: ``<stem>_dseg.nii.gz``.
        channels: Further contrasts and their files.
        volumes: Contrasts of which one volume of a 4D file is taken, and which; that of ``path`` is in no channel. It
            is written to ``<stem>_<contrast>.nii.gz``, which then is the file of the scan.
        resample: Whether labels on another grid are put on the scan's by nearest neighbour; else they are refused.
    """

    path: Path
    seg_path: Path | None = None
    seg_parts: tuple[Part, ...] = ()
    mask_path: Path | None = None
    mask_named: bool = True
    stem: Path | None = None
    resample: bool = False
    channels: tuple[tuple[str, Path], ...] = ()
    volumes: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, candidate: Candidate, stem: Path, resample: bool) -> Task:
        c = candidate
        return cls(
            c.path,
            c.seg_path,
            tuple(c.seg_parts),
            c.mask_path,
            c.mask_named,
            stem,
            resample,
            tuple(c.channels.items()),
            tuple(c.volumes.items()),
        )


@dataclass(slots=True)
class Checked:
    """What reading showed. ``grid`` is None where the scan itself cannot be used.

    ``problems`` holds (kind, file, cause, remedy) with kind "scan", "segmentation", "mask" or "contrast"; a
    segmentation or a mask with a problem has no fingerprint, ``channels`` (contrast → fingerprint) no contrast with
    one; ``written`` are the files of contrasts that were taken out of 4D files, by contrast, "" for the scan's own.
    ``seg_path`` and ``mask_path`` lie on the scan's grid: the file that was
    given, or one that was written. ``codes`` ``(n, 2)`` holds each code and its voxels, ``middles`` ``(n,)`` where the
    middle of each lies from left to right (world x in mm, NaN where it was not looked at), ``moved`` says which of
    "segmentation" and "mask" were "turned" (another storage order) or "resampled", ``picture`` is the
    ``coarse_thumbnail`` as float16, till it has its ``picture_place`` among the ``Pictures`` of the cohort.
    """

    grid: Grid | None = None
    fingerprint: str = ""
    seg_fingerprint: str | None = None
    mask_fingerprint: str | None = None
    seg_path: Path | None = None
    mask_path: Path | None = None
    codes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    middles: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    moved: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    picture: bytes = b""
    picture_place: int = -1
    channels: dict[str, str] = field(default_factory=dict)
    written: dict[str, Path] = field(default_factory=dict)
    problems: list[tuple[str, str, str, str]] = field(default_factory=list)


def check(task: Task) -> Checked:
    """Check a scan and its labels. Raises for want of memory alone: one bad file must not end a cohort."""
    checked = Checked()
    try:
        path, scan, checked.remarks = _own_scan(task, checked)
        checked.fingerprint = digest_file(path)
        checked.picture = coarse_thumbnail(scan).astype(np.float16).tobytes()
        checked.remarks += _few_values(scan)
        checked.grid = scan.grid
    except MemoryError:  # perhaps the fault of the scans beside it: it is tried again alone
        raise
    except Exception as error:
        checked.grid = None
        _add(checked, "scan", task.path, error)
        return checked
    for contrast, path in task.channels:
        try:
            if (number := dict(task.volumes).get(contrast)) is None:
                place, other = path, read_volume(path)
            else:
                place, other = _taken_out(task, path, contrast, number)
                checked.written[contrast] = place
            require_aligned(path, contrast, scan, other)
            checked.channels[contrast] = _own_content(place, contrast, checked)
        except MemoryError:
            raise
        except Exception as error:
            _add(checked, "contrast", path, error)
    del scan
    for kind, parts in (("segmentation", _seg_parts(task)), ("mask", _mask_parts(task))):
        if parts:
            try:
                _check_labels(kind, parts, task, checked)
            except MemoryError:
                raise
            except Exception as error:
                _add(checked, kind, parts[0].path, error)
    return checked


def _own_scan(task: Task, checked: Checked) -> tuple[Path, Volume, tuple[str, ...]]:
    """The file of the scan, which may have been taken out of a 4D file, what it holds, and remarks on its header."""
    further = {contrast for contrast, _ in task.channels}
    mine = [(contrast, number) for contrast, number in task.volumes if contrast not in further]
    if not mine:
        return task.path, *read_scan(task.path)
    path, scan = _taken_out(task, task.path, *mine[0])
    checked.written[""] = path
    return path, scan, ()


def _taken_out(task: Task, path: Path, contrast: str, number: int) -> tuple[Path, Volume]:
    """One volume of a 4D file, and the file that was written of it: what comes after reads files of one contrast."""
    assert task.stem is not None
    volume = read_volume(path, volume=number)
    return write_volume(Path(f"{task.stem}_{contrast}.nii.gz"), volume), volume


def _own_content(path: Path, contrast: str, checked: Checked) -> str:
    digest = digest_file(path)
    if digest in (checked.fingerprint, *checked.channels.values()):
        raise ScanError(
            f"{path}: is no {contrast} of its own",
            cause="its content is that of another contrast of the session",
            remedy="copy the right file",
        )
    return digest


def _seg_parts(task: Task) -> tuple[Part, ...]:
    return task.seg_parts or ((Part(task.seg_path),) if task.seg_path else ())


def _mask_parts(task: Task) -> tuple[Part, ...]:
    return (Part(task.mask_path),) if task.mask_path else ()


def _check_labels(kind: str, parts: tuple[Part, ...], task: Task, checked: Checked) -> None:
    """Bring the files of a segmentation or a mask onto the scan's grid, and keep what they hold."""
    assert checked.grid is not None
    read, moved = [], ""
    for part in parts:
        labels, how = on_grid(part.path, read_volume(part.path, labels=True), checked.grid, resample=task.resample)
        if not labels.data.any():
            raise ScanError(
                f"{part.path}: the {kind} is empty", cause="every voxel is 0", remedy="make it again, or remove it"
            )
        read.append(labels)
        moved = max(moved, how, key=("", "turned", "resampled").index)
    as_it_is = len(parts) == 1 and parts[0].codes is None and not parts[0].code
    whole = read[0] if as_it_is else merged(parts, read)
    path = parts[0].path
    if moved or not as_it_is:
        assert task.stem is not None
        path = write_volume(Path(f"{task.stem}_{'dseg' if kind == 'segmentation' else 'mask'}.nii.gz"), whole)
    if moved:
        checked.moved[kind] = moved
    fingerprint = digest_file(path)  # of the file that `prepare` will read, be it the source's or the one made of it
    if kind == "segmentation":
        checked.codes = _count(path, whole.data)
        checked.middles = _middles(whole, checked.codes[:, 0])
        checked.seg_path, checked.seg_fingerprint = path, fingerprint
    else:
        _require_brain(parts[0].path, whole, task.mask_named)
        checked.mask_path, checked.mask_fingerprint = path, fingerprint


def _few_values(scan: Volume) -> tuple[str, ...]:
    values = scan.data.ravel(order="K")
    if len(np.unique(values[:: max(1, len(values) // SAMPLED)])) > FEW_VALUES or len(np.unique(values)) > FEW_VALUES:
        return ()
    return (Guess(f"the image holds only {len(np.unique(values))} values: is it a mask or a label map?"),)


def _middles(labels: Volume, codes: np.ndarray) -> np.ndarray:
    """World x of the middle of each code; of large label maps every other voxel along each axis is looked at."""
    step = 1 if labels.data.size < 2_000_000 else 2
    data = labels.data[::step, ::step, ::step]
    places = np.nonzero(data)
    x = sum(labels.affine[0, axis] * step * places[axis] for axis in range(3)) + labels.affine[0, 3]
    at = np.searchsorted(codes, data[places])
    with np.errstate(invalid="ignore"):  # a code between the voxels that are looked at
        middles = np.bincount(at, x, len(codes)) / np.bincount(at, minlength=len(codes))
    return middles.astype(np.float32)


def _count(path: Path, labels: np.ndarray) -> np.ndarray:
    """Each code but 0, and its voxels: ``(n, 2)``."""
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < 100_000:
        every = np.bincount(labels.ravel(order="K"), minlength=high + 1)
        codes = np.flatnonzero(every)
        counts = every[codes]
    else:
        codes, counts = np.unique(labels, return_counts=True)
    if len(codes) > CODES:
        raise ScanError(
            f"{path}: not a label map", cause=f"it holds {len(codes)} codes", remedy="is it an image? take it away"
        )
    return np.stack([codes, counts], axis=1)[codes != 0]


def _require_brain(path: Path, mask: Volume, named: bool) -> None:
    ml = np.count_nonzero(mask.data) * mask.grid.voxel_ml
    if named and ml > BRAIN_ML[1]:
        raise ScanError(
            f"{path}: not taken for a mask of the brain",
            cause=f"its volume is {ml:.4g} ml, and no brain is so large",
            remedy="is it of the head, or are in and out exchanged? make it again, or remove it",
        )
    if not named and not BRAIN_ML[0] <= ml <= BRAIN_ML[1]:
        raise ScanError(
            f"{path}: not taken for a mask of the brain",
            cause=f"nothing in its name says brain, and its volume is {ml:.3g} ml",
            remedy="name it …_desc-brain_mask.nii.gz if it is one, or …_label-NAME_mask.nii.gz after what it is",
        )


def _add(checked: Checked, kind: str, path: Path, error: Exception) -> None:
    if isinstance(error, ScanError):
        file = next((f"{p}: " for p in (path,) if error.what.startswith(f"{p}: ")), "")
        what = error.what.removeprefix(file)
        checked.problems.append((kind, str(path), f"{what}: {error.cause}" if error.cause else what, error.remedy))
    else:
        cause = f"{type(error).__name__}: {error}"
        checked.problems.append((kind, str(path), cause[:300], "check the file and its permissions"))
