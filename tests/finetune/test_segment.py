import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from workbench.errors import WorkbenchError
from workbench.finetune.config import SegmentConfig
from workbench.finetune.segment import in_source_space, run_segment, segment_and_score
from workbench.finetune.segment_data import Crops, class_map, to_classes
from workbench.finetune.windows import keep_largest
from workbench.measures.structures import dice
from workbench.prepare import open_store
from workbench.runs import Run
from workbench.runs.parts import Parts
from workbench.volumes import read_volume

STRUCTURES = ("left_hippocampus", "right_hippocampus")


def config(study, out, **changes):
    return SegmentConfig.build(
        {
            "out": out,
            "store": study.store,
            "split": study.split,
            "encoder": study.encoder_run,
            "steps": 120,
            "features": 8,
            "learning_rate": 3e-3,
            "accelerator": "cpu",
            **changes,
        }
    )


@pytest.fixture(scope="module")
def segmented(study, tmp_path_factory) -> Run:
    return run_segment(config(study, tmp_path_factory.mktemp("segment") / "run"))


def test_truth_taken_through_the_prepared_grid_comes_back_to_its_place(study):
    """One-hot truth of every stored orientation (RAS, LAS, PSR) → the scan's own space: nearly all of it, sides kept.

    The prepared grid is a third coarser than the scans, so the edge of a small structure is all that is lost.
    """
    store = open_store(study.store)
    assert set(store.index["axcodes"]) == {"RAS", "LAS", "PSR"}
    for scan in store.index.itertuples():
        table = class_map(store, scan.scan_id, STRUCTURES)
        classes = to_classes(store.read_seg(scan.scan_id), table)
        volume = in_source_space(np.stack([classes == c for c in range(3)]).astype(np.float32), store, scan.scan_id)
        truth = read_volume(scan.seg_path, labels=True)
        np.testing.assert_allclose(volume.affine, truth.affine)
        own = to_classes(truth.data, table)
        for code in (1, 2):
            assert dice(volume.data == code, own == code) > 0.6
            assert dice(volume.data == code, own == 3 - code) == 0.0  # never on the other side
        for code, sign in ((1, -1), (2, 1)):  # left is where x is negative
            x = truth.grid.to_world(np.argwhere(volume.data == code))[:, 0]
            assert (np.sign(x) == sign).mean() > 0.95


def test_a_segmentation_is_learnt_and_written_in_the_scans_own_space(segmented, study):
    scores = segmented.read_table("dice")
    store = open_store(study.store)
    assert set(scores["split"]) == {"test"} and set(scores["structure"]) == set(STRUCTURES)
    assert scores.groupby("structure")["dice"].mean().min() > 0.3
    for row in scores.drop_duplicates("scan_id").itertuples():
        written = nib.load(segmented.path / row.file)
        source = store.source_grid(row.scan_id)
        assert written.shape == source.shape
        np.testing.assert_allclose(written.affine, source.affine, atol=1e-4)
        sidecar = json.loads((segmented.path / row.file.replace(".nii.gz", ".json")).read_text())
        assert sidecar["codes"] == {"left_hippocampus": 1, "right_hippocampus": 2} and sidecar["simulated"]


def test_scores_are_those_of_the_written_files(segmented, study):
    store = open_store(study.store)
    for row in segmented.read_table("dice").itertuples():
        scan = store.index.set_index("scan_id").loc[row.scan_id]
        truth = to_classes(read_volume(scan["seg_path"], labels=True).data, class_map(store, row.scan_id, STRUCTURES))
        made = np.asanyarray(nib.load(segmented.path / row.file).dataobj)
        code = STRUCTURES.index(row.structure) + 1
        assert row.dice == pytest.approx(dice(made == code, truth == code))


def test_both_arms_share_every_setting_but_the_weights(segmented, study, tmp_path):
    other = run_segment(config(study, tmp_path / "random", init="random", steps=2))
    a, b = segmented.config, other.config
    assert {k for k in a if a[k] != b[k]} == {"out", "init", "steps"}
    assert other.provenance["objective"] == "none (random weights)"
    assert segmented.provenance["participants"] == other.provenance["participants"]


def test_crops_depend_on_seed_and_step_alone(study):
    store, c = open_store(study.store), config(study, "unused")
    scans = store.scan_ids[:3]
    first, second = (Crops(store, scans, c, (16, 16, 16)) for _ in range(2))
    image, label = first.batch(7)
    again, label_again = second.batch(7)
    assert (image == again).all() and (label == label_again).all()
    assert not (image == first.batch(8)[0]).all()
    assert image.shape == label.shape == (2, 1, 16, 16, 16) and set(label.unique().tolist()) <= {0, 1, 2}


def test_labels_stay_on_their_voxels_under_augmentation(study):
    """The marker of the image that the label was drawn on still lies under the label."""
    store = open_store(study.store)
    crops = Crops(store, store.scan_ids, config(study, "unused", foreground=1.0), (16, 16, 16))
    inside, outside = [], []
    for step in range(12):
        image, label = crops.batch(step)
        brain = image != 0
        inside.append(float(image[label > 0].mean()))
        outside.append(float(image[brain & (label == 0)].mean()))
    assert np.mean(inside) > np.mean(outside) + 0.5  # hippocampi of the phantom are brighter than its brain


def test_the_largest_piece_of_each_structure_stays_and_nothing_else():
    classes = np.zeros((12, 12, 12), np.uint8)
    classes[1:4, 1:4, 1:4] = 1
    classes[4, 4, 4] = 1  # touches by a corner
    classes[8:10, 8:10, 8:10] = 1  # a stray piece
    classes[6, 1:3, 1:3] = 2
    kept = keep_largest(classes, 3)  # the third is nowhere
    assert kept.dtype == classes.dtype and set(np.unique(kept)) == {0, 1, 2}
    assert (kept[8:10, 8:10, 8:10] == 0).all() and ((kept == classes) | (kept == 0)).all()
    assert (kept == 1).sum() == 28 and (kept == 2).sum() == 4
    assert (keep_largest(kept, 3) == kept).all()


def test_stray_pieces_are_kept_unless_told_otherwise_and_the_file_says_so(study, tmp_path):
    """What is written and scored is cut, of the same network."""
    from scipy import ndimage

    class Speckles(torch.nn.Module):
        """Bright voxels are the left hippocampus, dark ones of the brain the right: pieces everywhere."""

        def forward(self, x):
            return torch.cat([torch.full_like(x, 0.5), x, -x], dim=1)

    store = open_store(study.store)
    scan = next(store.index.assign(labelled=True, split="test").itertuples())
    masks, tables = {}, {}
    for largest in (False, True):
        c = config(study, "unused", largest_component=largest)
        (tmp_path / str(largest) / "volumes").mkdir(parents=True)
        rows = segment_and_score(Speckles(), store, scan, c, tmp_path / str(largest), "cpu", (16, 16, 16))
        tables[largest], path = {row["structure"]: row for row in rows}, tmp_path / str(largest) / str(rows[0]["file"])
        masks[largest] = np.asanyarray(nib.load(path).dataobj)
        sidecar = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert sidecar["largest_component"] is largest
    assert config(study, "unused").largest_component is False
    for code, name in enumerate(STRUCTURES, start=1):
        whole, one = (masks[largest] == code for largest in (False, True))
        assert ndimage.label(whole, np.ones((3, 3, 3)))[1] > 1 == ndimage.label(one, np.ones((3, 3, 3)))[1]
        assert not (one & ~whole).any()
        assert tables[True][name]["volume_ml"] < tables[False][name]["volume_ml"]


def test_unknown_structures_are_refused_with_what_there_is(study, tmp_path):
    with pytest.raises(WorkbenchError, match="left_hippocampus"):
        run_segment(config(study, tmp_path / "x", structures=("left_amygdala",)))


def test_codes_beyond_the_table_are_background():
    table = np.array([0, 0, 1])
    assert to_classes(np.array([0, 2, 7, -1, 300]), table).tolist() == [0, 1, 0, 0, 0]


def test_scans_without_labels_are_segmented_too_when_all_are_wanted(segmented, study, tmp_path):
    """Half of a cohort may have no labels; they get a segmentation, and no Dice."""
    import shutil

    import pandas as pd

    from workbench.cohort import CohortConfig, SplitConfig, run_cohort, run_split
    from workbench.prepare.config import PrepareConfig
    from workbench.prepare.prepare import run_prepare

    source = tmp_path / "phantoms"
    shutil.copytree(study.store.parent / "phantoms", source)
    for path in sorted(source.glob("derivatives/manual/sub-*"))[-2:]:
        shutil.rmtree(path)
    run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[source], workers=1))
    run_split(SplitConfig(out=tmp_path / "split", cohort=tmp_path / "cohort", fractions=(0.5, 0.0, 0.5)))
    run_prepare(PrepareConfig(out=tmp_path / "store", cohort=tmp_path / "cohort", spacing=3.0, workers=1))
    run = run_segment(
        config(
            study,
            tmp_path / "run",
            store=tmp_path / "store",
            split=tmp_path / "split",
            steps=1,
            predict="all",
            init="random",
        )
    )
    scores = run.read_table("dice").groupby("scan_id")["dice"].agg(lambda d: d.isna().all())
    assert len(scores) == 12 and scores.sum() == 2
    assert all((run.path / f).is_file() for f in pd.unique(run.read_table("dice")["file"]))


@pytest.fixture
def unscored(segmented, tmp_path) -> Path:
    """The same run, stopped after its training."""
    out = tmp_path / "run"
    shutil.copytree(segmented.path, out)
    for name in ("results", "volumes"):
        shutil.rmtree(out / name)
    for file, changed in (("status.json", {"state": "interrupted"}), ("config.yaml", {"out": str(out)})):
        told = yaml.safe_load((out / file).read_text())
        (out / file).write_text(json.dumps({**told, **changed}))
    return out


def test_scans_are_segmented_in_several_processes_as_in_one(segmented, unscored, study):
    again = run_segment(config(study, unscored, executor="local", shards=2))
    pd.testing.assert_frame_equal(again.read_table("dice"), segmented.read_table("dice"))
    for file in segmented.read_table("dice")["file"].unique():
        assert np.array_equal(read_volume(unscored / file).data, read_volume(segmented.path / file).data)
    assert len(again.metrics()) == len(segmented.metrics())  # it was trained already
    assert not (unscored / "shards").exists() and not (unscored / "parts").exists()


def test_a_scan_that_cannot_be_scored_ends_the_job_and_the_others_are_kept(segmented, unscored, study, monkeypatch):
    *_, last = scans = list(dict.fromkeys(segmented.read_table("dice")["scan_id"]))

    def score(model, store, scan, *rest):
        if scan.scan_id == last:
            raise WorkbenchError(f"{scan.path}: gone")
        return segment_and_score(model, store, scan, *rest)

    monkeypatch.setattr("workbench.finetune.segment.segment_and_score", score)
    with pytest.raises(WorkbenchError, match="gone"):
        run_segment(config(study, unscored))
    assert Parts.done_in(Run(unscored)) == set(scans) - {last} and scans[:-1]
