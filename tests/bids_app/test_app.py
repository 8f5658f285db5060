"""`workbench-bids` from a BIDS folder to a derivative that BIDS' own validator and the workbench read."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from tests.cohort.layouts import trees
from workbench.bids_app.main import main, parser
from workbench.cohort.build import run_cohort
from workbench.cohort.cohort import load_cohort
from workbench.cohort.config import CohortConfig
from workbench.finetune.export import SegmenterCard, save_model
from workbench.finetune.networks import build_network
from workbench.model.export import load_encoder
from workbench.predict.models import fresh_architecture
from workbench.prepare.one import settings_of
from workbench.testing import write_bids


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as `workbench segment` exports it, with the weights it began with: what it outlines is noise."""
    _, box = load_encoder("volta-tiny")
    card = SegmenterCard(
        encoder=box.config,
        prepare=settings_of(box.preparation, box.spacing),
        preparation=box.preparation,
        spacing=box.spacing,
        participants=(),
        scans=(),
        objective="none",
        init="random",
        seed=0,
        simulated=True,
        network="unetr",
        structures=("left_hippocampus", "right_hippocampus"),
        features=4,
        input_skip=True,
        crop=(16, 16, 16),
        overlap=0.5,
        steps=0,
    )
    network = build_network(card, fresh_architecture(card.encoder), card.crop)
    folder = tmp_path_factory.mktemp("segmenter")
    save_model(folder, card, network.state_dict())
    return folder


@pytest.fixture(scope="module")
def app(segmenter: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data set of two people, the first at two sessions, and its derivatives."""
    bids = write_bids(tmp_path_factory.mktemp("app") / "ds", people=2, sessions=2, segmentations=False, simulated=True)
    shutil.rmtree(bids / "sub-02" / "ses-2")
    out = bids / "derivatives" / "volta"
    assert main([str(bids), str(out), "participant", "--segmenter", str(segmenter), "--accelerator", "cpu"]) == 0
    assert main([str(bids), str(out), "group"]) == 0
    return bids, out


def test_every_scan_has_its_derivatives_with_what_they_are(app: tuple[Path, Path]) -> None:
    bids, out = app
    for person, sessions in (("sub-01", ("ses-1", "ses-2")), ("sub-02", ("ses-1",))):
        assert (out / f"{person}.html").is_file()
        for session in sessions:
            here, name = out / person / session / "anat", f"{person}_{session}"
            scan = nib.load(bids / person / session / "anat" / f"{name}_T1w.nii.gz")
            for file in ("desc-volta_dseg", "desc-attncls_map"):
                image = nib.load(here / f"{name}_{file}.nii.gz")
                assert image.shape == scan.shape
                np.testing.assert_allclose(image.affine, scan.affine, atol=1e-4)
                told = json.loads((here / f"{name}_{file}.json").read_text())
                assert told["Sources"] == [f"bids:raw:{person}/{session}/anat/{name}_T1w.nii.gz"] and told["Simulated"]
    codes = (out / "desc-volta_dseg.tsv").read_text().splitlines()
    assert codes == ["index\tname", "1\tleft_hippocampus", "2\tright_hippocampus"]
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative" and description["GeneratedBy"][0]["Version"]


def test_the_group_is_counted_by_person(app: tuple[Path, Path]) -> None:
    _, out = app
    embeddings = pd.read_csv(out / "group_embeddings.tsv", sep="\t")
    volumes = pd.read_csv(out / "group_volumes.tsv", sep="\t")
    assert len(embeddings) == 3 and len(volumes) == 6 and embeddings["participant_id"].nunique() == 2
    assert set(volumes["structure"]) == {"left_hippocampus", "right_hippocampus"} and (volumes["volume_ml"] >= 0).all()
    page = (out / "group.html").read_text()
    assert "SIMULATED DATA" in page and "3 scans of 2 people" in page and "http" not in page.replace("http-equiv", "")


def test_pages_show_the_scan_and_need_no_network(app: tuple[Path, Path]) -> None:
    page = (app[1] / "sub-01.html").read_text()
    assert page.count("data:image/png;base64,") == 4 and "not for diagnosis" in page
    assert 'src="http' not in page and "SIMULATED DATA" in page


def test_the_workbench_reads_the_segmentations_back(app: tuple[Path, Path], tmp_path: Path) -> None:
    bids, out = app
    run_cohort(CohortConfig.build({"out": tmp_path / "c", "sources": [bids], "segmentations": "volta", "workers": 1}))
    cohort = load_cohort(tmp_path / "c")
    found = {Path(path).name for path in cohort.table["seg_path"].dropna()}
    some = {p.name for p in out.rglob("*_dseg.nii.gz") if np.asarray(nib.load(p).dataobj).any()}
    assert found == some and found
    assert set(cohort.labels["structure"]) == {"left_hippocampus", "right_hippocampus"}


def test_bids_own_validator_has_no_complaint(app: tuple[Path, Path]) -> None:
    pytest.importorskip("bids_validator_deno")
    call = "from bids_validator_deno import cli; cli()"
    given = [sys.executable, "-c", call, str(app[1]), "--json", "--ignoreNiftiHeaders"]
    told = json.loads(subprocess.run(given, capture_output=True, text=True, timeout=300).stdout)
    errors = [issue for issue in told["issues"]["issues"] if issue["severity"] == "error"]
    assert not errors, errors


def test_people_and_sessions_are_chosen_with_or_without_their_prefix(tmp_path: Path) -> None:
    bids = write_bids(tmp_path / "ds", people=3, sessions=2, segmentations=False, simulated=True)
    given = ["--encoder", "volta-tiny", "--accelerator", "cpu"]
    chosen = ["--participant-label", "02", "sub-03", "--session-label", "2"]
    assert main([str(bids), str(tmp_path / "out"), "participant", *given, *chosen]) == 0
    found = {path.parent.parent.name + path.parent.parent.parent.name for path in tmp_path.glob("out/sub-*/*/*/*.tsv")}
    assert found == {"ses-2sub-02", "ses-2sub-03"}


@pytest.mark.parametrize("label", ["07", "sub-07"])
def test_a_label_that_nobody_has_is_named(label: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bids = write_bids(tmp_path / "ds", people=2, segmentations=False)
    assert main([str(bids), str(tmp_path / "out"), "participant", "--participant-label", label]) == 2
    told = capsys.readouterr().err
    assert "sub-07" in told and "sub-01, sub-02" in told and not (tmp_path / "out").exists()


def test_another_layout_is_refused_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = trees.ixi(tmp_path / "ixi", people=2)
    assert main([str(root), str(tmp_path / "out"), "participant"]) == 2
    assert "IXI" in capsys.readouterr().err


def test_the_commands_of_the_page_are_accepted() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bids-app.md").read_text()
    commands = re.findall(r"^workbench-bids (.*)$", page, re.MULTILINE)
    assert [parser().parse_args(shlex.split(command)).analysis_level for command in commands] == [
        "participant",
        "group",
    ]


def test_the_group_before_its_people_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    assert main([str(tmp_path), str(tmp_path / "out"), "group"]) == 2
    assert "participant" in capsys.readouterr().err


def test_a_scan_that_cannot_be_used_is_told_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bids = write_bids(tmp_path / "ds", people=2, segmentations=False, simulated=True)
    (bids / "sub-01" / "anat" / "sub-01_T1w.nii.gz").write_bytes(b"no scan")
    out = tmp_path / "out"
    assert main([str(bids), str(out), "participant", "--accelerator", "cpu"]) == 1
    assert "1 of 2 scans" in capsys.readouterr().err
    assert "Not used" in (out / "sub-01.html").read_text() and (out / "sub-02" / "anat").is_dir()
