"""Every way a scan can be unusable is told by its own cause, and none by a crash."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from workbench.errors import ScanError
from workbench.testing import phantom, phantom_labels
from workbench.volumes import Volume, read_grid, read_volume, write_volume


def _save(path: Path, data: np.ndarray, affine: np.ndarray | None = None) -> Path:
    image = nib.Nifti1Image(data, np.diag([2.0, 2, 2, 1]) if affine is None else affine)
    nib.save(image, path)
    return path


def _good(folder: Path, name: str = "scan.nii.gz") -> Path:
    return write_volume(folder / name, phantom(noise=5))


def missing(folder: Path) -> Path:
    return folder / "nothing.nii.gz"


def dangling(folder: Path) -> Path:
    (folder / "annexed.nii.gz").symlink_to(folder / ".git" / "annex" / "absent")
    return folder / "annexed.nii.gz"


def zero_bytes(folder: Path) -> Path:
    (folder / "scan.nii.gz").touch()
    return folder / "scan.nii.gz"


def text(folder: Path) -> Path:
    (folder / "scan.nii").write_text("not an image " * 100)
    return folder / "scan.nii"


def not_gzip(folder: Path) -> Path:
    (folder / "scan.nii.gz").write_bytes(_good(folder, "plain.nii").read_bytes())
    return folder / "scan.nii.gz"


def truncated(folder: Path) -> Path:
    path = _good(folder)
    path.write_bytes(path.read_bytes()[:-3000])
    return path


def truncated_in_header(folder: Path) -> Path:
    path = _good(folder)
    path.write_bytes(path.read_bytes()[:60])
    return path


def without_checksum(folder: Path) -> Path:
    path = _good(folder)
    path.write_bytes(path.read_bytes()[:-6])  # every voxel is there; only gzip's own trailer is cut
    return path


def flipped_bits(folder: Path) -> Path:
    path = _good(folder)
    content = bytearray(path.read_bytes())
    content[-5] ^= 255  # in the checksum
    path.write_bytes(bytes(content))
    return path


def header_too_large(folder: Path) -> Path:
    path = _good(folder, "scan.nii")
    path.write_bytes(path.read_bytes()[:-1000])
    return path


def header_too_large_gz(folder: Path) -> Path:
    path = folder / "scan.nii.gz"
    path.write_bytes(gzip.compress(_good(folder, "plain.nii").read_bytes()[:-1000]))
    return path


def header_too_small(folder: Path) -> Path:
    path = folder / "scan.nii.gz"
    path.write_bytes(gzip.compress(_good(folder, "plain.nii").read_bytes() + b"\0" * 4000))
    return path


def four_d(folder: Path) -> Path:
    return _save(folder / "scan.nii.gz", np.random.default_rng(0).random((4, 4, 4, 3)))


def one_slice(folder: Path) -> Path:
    return _save(folder / "scan.nii.gz", np.random.default_rng(0).random((4, 4, 1)))


def empty(folder: Path) -> Path:
    return _save(folder / "scan.nii.gz", np.zeros((4, 4, 4)))


def with_nan(folder: Path) -> Path:
    data = np.random.default_rng(0).random((4, 4, 4))
    data[1, 2, 3] = np.nan
    return _save(folder / "scan.nii.gz", data)


def with_overflow(folder: Path) -> Path:
    return _save(folder / "scan.nii.gz", np.geomspace(1, 1e300, 64).reshape(4, 4, 4))


def singular(folder: Path) -> Path:
    return _with_affine(folder / "scan.nii", np.diag([2.0, 0, 2, 1]))


def nan_affine(folder: Path) -> Path:
    return _with_affine(folder / "scan.nii", np.diag([2.0, np.nan, 2, 1]))


def _with_affine(path: Path, affine: np.ndarray) -> Path:
    """nibabel will not write such affines, so the header is patched."""
    _save(path, np.random.default_rng(0).random((4, 4, 4)))
    content = bytearray(path.read_bytes())
    content[252:254] = np.int16(0).tobytes()  # qform_code
    content[280:328] = affine[:3].astype(np.float32).tobytes()  # srow_x, srow_y, srow_z
    path.write_bytes(bytes(content))
    return path


def no_affine(folder: Path) -> Path:
    image = nib.Nifti1Image(np.random.default_rng(0).random((4, 4, 4)), None)
    nib.save(image, folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


def in_metres(folder: Path) -> Path:
    return _save(folder / "scan.nii.gz", np.random.default_rng(0).random((4, 4, 4)), np.diag([0.02, 0.02, 0.02, 1]))


def far_away(folder: Path) -> Path:
    affine = np.diag([2.0, 2, 2, 1])
    affine[1, 3] = 1e6  # a kilometre
    return _save(folder / "scan.nii.gz", np.random.default_rng(0).random((4, 4, 4)), affine)


def too_large(folder: Path) -> Path:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape((30000, 30000, 30000))  # 200 TB, if it were believed
    header.set_sform(np.eye(4), 1)
    path = folder / "scan.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + b"\0" * 4000))
    return path


def rgb(folder: Path) -> Path:
    return _save(folder / "scan.nii.gz", np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]))


def other_format(folder: Path) -> Path:
    (folder / "scan.nrrd").write_bytes(b"NRRD" * 100)
    return folder / "scan.nrrd"


CAUSES: list[tuple[Callable[[Path], Path], str]] = [
    (missing, "no such file"),
    (dangling, "datalad get"),
    (zero_bytes, "the file is empty"),
    (text, "not readable as NIfTI"),
    (not_gzip, "not a gzip file"),
    (truncated, "truncated"),
    (truncated_in_header, "truncated"),
    (without_checksum, "truncated"),
    (flipped_bits, "damaged"),
    (header_too_large, "does not fit"),
    (header_too_large_gz, "does not fit"),
    (header_too_small, "does not fit"),
    (four_d, "not a 3D scan"),
    (one_slice, "not a 3D scan"),
    (empty, "the scan is empty"),
    (with_nan, "1 of 64"),
    (with_overflow, "NaN or infinite"),
    (singular, "singular"),
    (nan_affine, "singular"),
    (no_affine, "missing"),
    (in_metres, "voxel size"),
    (far_away, "not plausible"),
    (too_large, "too large"),
    (rgb, "voxel type"),
    (other_format, "not a NIfTI"),
]


@pytest.mark.parametrize(("make", "cause"), CAUSES, ids=lambda value: getattr(value, "__name__", ""))
def test_told_with_its_cause_and_remedy(tmp_path: Path, make: Callable[[Path], Path], cause: str) -> None:
    path = make(tmp_path)
    with pytest.raises(ScanError) as told:
        read_volume(path)
    assert cause in str(told.value)
    assert str(path) in told.value.what and told.value.cause and told.value.remedy


def test_a_good_scan_is_read_with_its_scaling(tmp_path: Path) -> None:
    scan = phantom("LAS", noise=5)
    image = nib.Nifti1Image(scan.data, scan.affine)
    image.set_data_dtype(np.int16)  # nibabel then chooses a slope of its own
    nib.save(image, tmp_path / "scan.nii.gz")
    again = read_volume(tmp_path / "scan.nii.gz")
    assert again.data.dtype == np.float32
    np.testing.assert_allclose(again.data, scan.data, atol=0.02)


def test_a_trailing_axis_of_one_is_three_dimensional(tmp_path: Path) -> None:
    path = _save(tmp_path / "scan.nii.gz", np.random.default_rng(0).random((4, 5, 6, 1)))
    assert read_volume(path).data.shape == read_grid(path).shape == (4, 5, 6)


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    labels = phantom_labels(phantom("PSR").grid)
    path = write_volume(tmp_path / "dseg.nii.gz", labels)
    again = read_volume(path, labels=True)
    assert again.data.dtype == np.int32 and nib.load(path).get_data_dtype() == np.uint8
    np.testing.assert_array_equal(again.data, labels.data)
    soft = write_volume(tmp_path / "soft.nii.gz", Volume(labels.data * 0.5, labels.affine))
    with pytest.raises(ScanError, match="not a label map"):
        read_volume(soft, labels=True)


def test_label_codes_are_exact_and_must_fit(tmp_path: Path) -> None:
    codes = np.arange(64, dtype=np.int32).reshape(4, 4, 4) + 2**24  # float32 would round every other one
    assert (read_volume(_save(tmp_path / "codes.nii", codes), labels=True).data == codes).all()
    with pytest.raises(ScanError, match="beyond 32 bits"):
        read_volume(_save(tmp_path / "far.nii", np.geomspace(1, 1e12, 64).round().reshape(4, 4, 4)), labels=True)


# Bombs: a header that asks for more than a scan has. What is refused must be refused before the memory is taken.

BOMB = 192 * 1024**2  # unpacked bytes; 190 kB on disk


def bomb(path: Path, *, offset: float = 352, mark: bytes = b"\0\0\0\0", extension: int = 0) -> Path:
    header = nib.Nifti1Header()
    header.set_data_shape((4, 4, 4))
    header.set_zooms((2.0, 2, 2))
    header.set_sform(np.diag([2.0, 2, 2, 1]), 1)
    header["vox_offset"], header["magic"] = offset, b"n+1"
    start = header.binaryblock + mark + np.array([extension, 6], np.int32).tobytes()
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(BOMB // 2**20):
            file.write(bytes(2**20))
    return path


BOMBS = {
    "voxels far in": {"offset": float(BOMB // 2)},
    "voxels beyond everything": {"offset": 3e38},
    "voxels nowhere": {"offset": float("nan")},
    "voxels before the file": {"offset": -1e9},
    "voxels in the header": {"offset": 16.0},
    "an extension of gigabytes": {"mark": b"\1\0\0\0", "extension": 2**31 - 16},
    "an extension of less than nothing": {"mark": b"\1\0\0\0", "extension": -16},
    "an extension that is far": {"offset": float(BOMB // 2), "mark": b"\1\0\0\0", "extension": BOMB // 2 - 352},
    "more voxels than it says": {},
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_it_takes_memory(tmp_path: Path, kind: str) -> None:
    path = bomb(tmp_path / "scan.nii.gz", **BOMBS[kind])  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        with pytest.raises(ScanError) as told:
            read_volume(path)
        if "offset" in BOMBS[kind]:
            with pytest.raises(ScanError, match=r"the voxels begin at byte|vox offset"):
                read_grid(path)
        else:
            read_grid(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert told.value.cause and told.value.remedy
    assert peak < 24 * 1024**2, f"{peak / 1e6:.0f} MB"


def test_a_scan_costs_its_array_and_a_slab(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    image = nib.Nifti1Image(np.zeros((160, 160, 160), np.float64), np.eye(4))
    image.dataobj[0, 0, 0] = 1  # type: ignore[index]
    nib.save(image, path)
    del image
    tracemalloc.start()
    try:
        volume = read_volume(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < volume.data.nbytes + 24 * 1024**2, f"{peak / 1e6:.0f} MB"  # the float64 of the file are twice it


def test_an_honest_extension_is_passed_over(tmp_path: Path) -> None:
    image = nib.Nifti1Image(phantom(noise=5).data, phantom().affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"a copy of the DICOM header " * 40_000))
    nib.save(image, tmp_path / "scan.nii.gz")
    again = read_volume(tmp_path / "scan.nii.gz")
    assert (again.data == phantom(noise=5).data).all() and read_grid(tmp_path / "scan.nii.gz").shape == again.data.shape


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_what_nibabel_reads_is_read_alike(tmp_path: Path, kind: type, dtype: str, order: str) -> None:
    """The reader takes the file apart by itself: every type, byte order and scaling must come out as nibabel's."""
    data = np.random.default_rng(0).integers(0, 200, (5, 6, 400)).astype(dtype)
    header = kind.header_class(endianness=order)  # type: ignore[attr-defined]
    image = kind(data, np.diag([1.0, 1.2, 0.8, 1]), header)
    image.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    if dtype != "f8":
        image.header.set_slope_inter(0.37, -3)
    for name in ("scan.nii", "scan.nii.gz"):
        nib.save(image, tmp_path / name)
        expected = np.asarray(nib.load(tmp_path / name).dataobj, dtype=np.float32)  # type: ignore[attr-defined]
        volume = read_volume(tmp_path / name)
        assert (volume.data == expected).all() and volume.data.flags.f_contiguous
        np.testing.assert_array_equal(volume.affine, nib.load(tmp_path / name).affine)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, bool, np.float16, np.float64])
def test_any_type_can_be_written(tmp_path: Path, dtype: type) -> None:
    scan = phantom("LAS")
    data = (scan.data > 250).astype(dtype)
    np.testing.assert_array_equal(read_volume(write_volume(tmp_path / "x.nii", Volume(data, scan.affine))).data, data)
    large = Volume(np.full((3, 3, 3), 2035), np.eye(4))
    assert read_volume(write_volume(tmp_path / "large.nii.gz", large), labels=True).data.max() == 2035


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(nib, "save", broken)
    with pytest.raises(OSError, match="disk full"):
        write_volume(tmp_path / "scan.nii.gz", phantom())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "pointer"),
        (b"/annex/objects/MD5E-s9--0.nii.gz\n", "pointer"),
        (b"\n<!DOCTYPE html><html>Please log in</html>", "web page"),
    ],
)
def test_what_lies_in_the_place_of_an_image_is_named(tmp_path: Path, content: bytes, cause: str) -> None:
    for name in ("a.nii.gz", "a.nii", "a.mgz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ScanError, match="not an image") as told:
            read_volume(tmp_path / name)
        assert cause in told.value.cause
