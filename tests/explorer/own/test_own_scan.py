import gc
import gzip
import threading
import time
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from workbench.errors import ScanError
from workbench.explorer.own import upload as module
from workbench.explorer.own.own_scan import header_of, read_own, show_name
from workbench.explorer.own.upload import Upload
from workbench.testing import phantom


def image(data=None, affine=None):
    scan = phantom("LAS", oblique=10)
    made = nib.Nifti1Image(scan.data if data is None else data, scan.affine if affine is None else affine)
    return made.to_bytes()


def changed_header(**fields):
    content = image()
    header = nib.Nifti1Header(content[:348])
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock + content[348:]


def send(upload, name, content, size=None, piece=10_000):
    for at in range(0, len(content), piece):
        upload._handle_msg(
            {
                "kind": "piece",
                "name": name,
                "size": len(content) if size is None else size,
                "at": at,
                "data": content[at : at + piece],
            }
        )
        if "remedy" in upload.said:
            break  # as the browser: the next piece goes only when the last one was taken


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "sub-" + 120 * "1" + "_T1w.nii.gz"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_good_file_arrives_with_its_affine_whatever_its_name(name, packed):
    content = gzip.compress(image()) if packed else image()
    got = []
    upload = Upload(got.append)
    send(upload, name, content)
    (own,) = got
    scan = phantom("LAS", oblique=10)
    np.testing.assert_allclose(own.volume.data, scan.data)
    np.testing.assert_allclose(own.volume.affine, scan.affine, atol=1e-5)
    assert upload.taken == -1 and not upload._parts  # nothing is kept here


def _huge_header():
    header = nib.Nifti1Header()
    header.set_data_shape((900, 900, 900))
    header.set_data_dtype(np.float32)
    header["magic"], header["vox_offset"] = b"n+1", 352
    return header.binaryblock


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.nii.gz", gzip.compress(_huge_header() + bytes(4)), "too large"),
        ("a.nii.gz", gzip.compress(image())[:-400], "truncated or damaged"),
        ("a.nii.gz", gzip.compress(image() + b"more"), "header does not fit"),
        ("a.nii", image()[:-8], "header does not fit"),
        ("a.nii", b"no image at all" * 100, "not readable"),
        ("a.nii", image(np.zeros((4, 4, 4, 3), np.float32)), "not a 3D scan"),
        ("a.nii", image(np.full((8, 8, 8), np.nan, np.float32)), "NaN"),
        ("a.nii", image(np.ones((8, 8, 8), np.float32)), "empty"),
        ("a.nii", image(np.arange(512, dtype=np.complex64).reshape(8, 8, 8)), "voxel type"),
        ("a.nii", changed_header(srow_x=0), "singular"),
        ("a.nii", changed_header(sform_code=0, qform_code=0), "affine is missing"),
        ("a.nii", changed_header(vox_offset=1e30), "does not fit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_a_bad_file_is_refused_with_cause_and_remedy(name, content, why):
    got = []
    upload = Upload(got.append)
    send(upload, name, content)
    assert not got and why in upload.said and "remedy" in upload.said and not upload._parts


def test_a_bomb_is_refused_at_its_first_piece():
    """100 MB of zeros in 100 kB: the header alone decides, and no more is unpacked than a header."""
    bomb = gzip.compress(_huge_header() + bytes(100_000_000), 9)
    assert len(header_of(bomb, "a.nii.gz")) <= 1024
    upload = Upload(lambda own: pytest.fail("taken"))
    upload._handle_msg({"kind": "piece", "name": "a.nii.gz", "size": len(bomb), "at": 0, "data": bomb[:5000]})
    assert "too large" in upload.said and not upload._parts


@pytest.mark.parametrize("fields", [{"vox_offset": 1.5e8}, {"vox_offset": 3e38}, {"vox_offset": float("nan")}])
def test_voxels_far_in_are_refused_at_the_first_piece(fields):
    """Such a file of 2.5 MB took 4.8 GB: nibabel reads all that lies before the voxels."""
    content = gzip.compress(changed_header(**fields) + bytes(150_000_000), 1)
    upload = Upload(lambda own: pytest.fail("taken"))
    tracemalloc.start()
    try:
        upload._handle_msg({"kind": "piece", "name": "a.nii.gz", "size": len(content), "at": 0, "data": content[:5000]})
        assert "voxels begin at byte" in upload.said and not upload._parts
        with pytest.raises(ScanError, match="voxels begin at byte"):
            read_own("a.nii.gz", content)
        assert tracemalloc.get_traced_memory()[1] < 24 * 1024**2
    finally:
        tracemalloc.stop()


def test_all_visitors_together_have_so_much_on_its_way_and_no_more(monkeypatch):
    """A page that is left open in the middle of its file keeps what came; a second one must not add to it for ever."""
    content, got = image(), []
    monkeypatch.setattr(module, "MAX_BEGUN", len(content) + 100)
    first, second = Upload(got.append), Upload(got.append)
    send(first, "a.nii", content[:20_000], size=len(content))
    send(second, "b.nii", content)
    assert "others are sending" in second.said and "remedy" in second.said and not second._parts and not got
    del first  # its page is closed
    gc.collect()
    send(second, "b.nii", content)
    assert len(got) == 1


def test_a_served_page_unpacks_aside(monkeypatch):
    """Other visitors' pages run on the same thread; what is unpacked comes back to the page as its next task."""
    from bokeh.document import Document
    from panel.io.state import set_curdoc

    document, got, where = Document(), [], []
    read = module.read_own
    monkeypatch.setattr(module, "read_own", lambda *a: (where.append(threading.current_thread()), read(*a))[1])
    with set_curdoc(document):
        upload = Upload(got.append)
        send(upload, "a.nii", image())
    deadline = time.monotonic() + 30
    while not document.session_callbacks and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not got and where and where[0] is not threading.main_thread() and "unpacking" in upload.said
    document.session_callbacks[0].callback()
    assert len(got) == 1 and "read." in upload.said


def test_what_is_more_than_the_header_says_is_not_unpacked():
    """A small header before a long tail: unpacking stops one byte after what the header asks for."""
    with pytest.raises(ScanError, match="has more"):
        read_own("a.nii.gz", gzip.compress(image() + bytes(50_000_000), 9))


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "piece", "name": "a.nii", "size": 10**12, "at": 0, "data": b"x"},
        {"kind": "too large", "name": "a.nii", "size": 10**12},
        {"kind": "piece", "name": "a.nii", "size": 100, "at": 50, "data": b"x"},
        {"kind": "piece", "name": "a.nii", "size": -1, "at": 0, "data": b"x"},
        {"kind": "piece", "name": "a.nii", "size": 5, "at": 0, "data": "text"},
        {"name": 3},
        None,
        [1, 2],
        "text",
    ],
)
def test_a_hostile_message_ends_in_words(message):
    upload = Upload(lambda own: pytest.fail("taken"))
    upload._handle_msg(message)
    assert not upload._parts and upload.said


def test_more_than_was_announced_is_refused():
    content = image()
    upload = Upload(lambda own: pytest.fail("taken"))
    send(upload, "a.nii", content[:20_000], size=len(content))
    upload._handle_msg(
        {"kind": "piece", "name": "a.nii", "size": len(content), "at": 20_000, "data": bytes(len(content))}
    )
    assert "do not fit together" in upload.said and not upload._parts


def test_a_name_is_never_a_path():
    assert show_name("../../etc/<img src=x>.nii") == "_img src_x_.nii"
    assert "/" not in show_name("a/b\\c\x00.nii")
