"""Nothing silent: what was guessed and not used is in the report, the page and a table; --strict refuses guesses."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest

from tests.cohort.test_cohort import build, scan
from tests.explorer.hostile import evil, markup_in
from workbench.cohort import CohortConfig, run_cohort
from workbench.cohort.page import mid_slices
from workbench.errors import ConfigError, WorkbenchError
from workbench.prepare.config import PrepareConfig
from workbench.prepare.prepare import run_prepare
from workbench.prepare.store import open_store
from workbench.testing import MARKER_MM, phantom, write_bids
from workbench.volumes import Volume, read_volume, write_volume


def config(out: Path, *sources: Path, **more: object) -> CohortConfig:
    return CohortConfig(out=out, sources=list(sources), workers=1, **more)  # type: ignore[arg-type]


def test_markup_in_a_data_set_stays_text_in_its_report(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "toy", people=2, spacing=(8, 8, 8), shape=(18, 20, 16))
    header = "\t".join(["participant_id", "sex", "age", "site", "scanner", evil("a column")])
    rows = [
        "\t".join([f"sub-0{i}", *(evil(f"{name} {i}") for name in ("sex", "age", "site", "scanner", "x"))])
        for i in (1, 2)
    ]
    (root / "participants.tsv").write_text("\n".join([header, *rows]))
    (root / "participants.json").write_text(f'{{"sex": {{"Levels": "{evil("levels")[:20]}"}}')
    (root / "sub-01" / "anat" / f"sub-01_acq-{evil('a file')}_T1w.nii.gz").write_bytes(b"no scan")
    run = run_cohort(config(tmp_path / "cohort", root))
    text = (run.path / "report.html").read_text()
    assert "onerror=pwned(&#39;site 1" in text and "acq-&lt;img" in text  # it has reached the page
    assert not list(markup_in(text))


def lose_zeros(root: Path) -> None:
    table = root / "participants.tsv"
    table.write_text(table.read_text().replace("sub-0", ""))


def test_guesses_are_in_the_report_the_page_and_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_bids(tmp_path / "d", people=3)
    lose_zeros(root)
    (root / "sub-04" / "anat").mkdir(parents=True)
    cohort = build(tmp_path / "out", root)
    said, page = capsys.readouterr().err, (tmp_path / "out/report.html").read_text()
    for text in ("3 ids of participants.tsv are written differently", "no T1w scan in this folder"):
        assert text in said and text in page
    assert cohort.notes["kind"].tolist() == ["guess"] and cohort.set_aside["kind"].tolist() == ["person"]
    assert page.count("data:image/png;base64,") == 9


def test_strict_refuses_guesses_and_leaves_no_folder(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=3)
    run_cohort(config(tmp_path / "fine", root, strict=True))
    lose_zeros(root)
    with pytest.raises(WorkbenchError, match="strict") as told:
        run_cohort(config(tmp_path / "out", root, strict=True))
    assert "written differently" in told.value.cause and not (tmp_path / "out").exists()
    run_cohort(config(tmp_path / "out", root))  # and so the place is free


def test_what_comes_from_a_disk_is_escaped(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=2, sites=("<script>alert(1)</script>",))
    build(tmp_path / "out", root)
    assert "<script>" not in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("axcodes", ["RAS", "LAS", "PSR"])
def test_slices_have_the_aspect_of_millimetres_and_the_right_side(tmp_path: Path, axcodes: str) -> None:
    """A bright plane through the phantom's marker, on the patient's left, is on the right of the screen."""
    from PIL import Image

    head = phantom(axcodes, spacing=(2, 2, 4), shape=(26, 30, 12))
    ijk = np.stack(np.meshgrid(*map(np.arange, head.grid.shape), indexing="ij"), -1)
    beside = np.linalg.norm((head.grid.to_world(ijk) - MARKER_MM)[..., :1], axis=-1) < 3
    striped = np.where(beside & (head.data > 0), 400, np.minimum(head.data, 100))
    write_volume(tmp_path / "a.nii.gz", Volume(striped.astype(np.float32), head.affine))
    for one in mid_slices(tmp_path / "a.nii.gz"):
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(one["png"]))))
        height, width = image.shape
        mm = {"sagittal": (60, 48), "coronal": (52, 48), "axial": (52, 60)}[one["name"]]
        assert width / height == pytest.approx(mm[0] / mm[1], rel=0.02)
        if one["name"] != "sagittal":
            assert one["marks"] == ("R", "L")
            assert np.argwhere(image > 200)[:, 1].mean() > width / 2  # the patient's left is on the right


def test_one_image_under_two_names_is_told(tmp_path: Path) -> None:
    root = write_bids(tmp_path / "d", people=6, axcodes=("RAS",))
    for i in range(1, 7):  # six people who differ
        rng = np.random.default_rng(i)
        head = phantom("RAS")
        world = rng.normal(0, 1, (4, 3))
        ijk = np.stack(np.meshgrid(*map(np.arange, head.grid.shape), indexing="ij"), -1)
        wave = np.sin(head.grid.to_world(ijk) @ world.T / 6).sum(-1)
        write_volume(scan(root, f"sub-0{i}"), Volume(np.where(head.data > 0, head.data + 12 * wave, 0), head.affine))
    first = build(tmp_path / "one", root)
    assert not first.notes["text"].str.contains("nearly the same image").any()
    original = read_volume(scan(root, "sub-01"))
    noise = np.random.default_rng(0).normal(0, 2, original.data.shape)
    copied = Volume(np.where(original.data > 0, 3 * original.data + noise, 0), original.affine)
    write_volume(scan(root, "sub-06"), copied)
    told = build(tmp_path / "two", root).notes["text"]
    assert re.search(r"1 pairs .* d_sub-01 and d_sub-06", "\n".join(told))


def test_a_run_that_wrote_nothing_does_not_hold_its_place(tmp_path: Path) -> None:
    from workbench.runs import start_run

    root = write_bids(tmp_path / "d", people=2)
    with pytest.raises(ZeroDivisionError), start_run(config(tmp_path / "out", root, resample_labels=True)):
        _ = 1 / 0
    run_cohort(config(tmp_path / "out", root))
    with pytest.raises(ConfigError, match="other settings"):
        run_cohort(config(tmp_path / "out", root, resample_labels=True))


def test_an_unknown_site_is_left_out_of_measures_by_site(tmp_path: Path) -> None:
    from workbench.analysis.shift.spaces import make_units
    from workbench.columns import UNKNOWN

    root = write_bids(tmp_path / "d", people=6)
    table = root / "participants.tsv"
    table.write_text(re.sub(r"(sub-0[56]\t.\t\d+\t)[AB]", r"\1n/a", table.read_text()))
    cohort = build(tmp_path / "cohort", root)
    assert cohort.table["site"].isna().tolist() == [False] * 4 + [True] * 2
    run_prepare(PrepareConfig(out=tmp_path / "store", cohort=tmp_path / "cohort", spacing=4.0, workers=1))
    index = open_store(tmp_path / "store").index
    assert index["site"].tolist()[4:] == [UNKNOWN] * 2
    vectors = np.random.default_rng(0).normal(size=(6, 5))
    units = make_units(index, vectors, site="site", covariates=(), smallest=2)
    assert set(units.sites) == {"A", "B"} and len(units.table) == 4
