import json

import nibabel as nib
import numpy as np
import pytest

from workbench.cohort import CohortConfig, load_cohort, run_cohort
from workbench.errors import WorkbenchError
from workbench.prepare import open_store
from workbench.prepare.config import PrepareConfig
from workbench.prepare.prepare import run_prepare
from workbench.pretrain.config import PretrainConfig
from workbench.pretrain.data import MicroBatches
from workbench.simulate import LabelmapsConfig, run_labelmaps

AFFINE = np.diag([-3.0, 3.0, 3.0, 1.0])


def write_maps(root, people: int = 3):
    """Two hemispheres of cortex around white matter, a hippocampus a side, and a skull (500) without a name."""
    rows = {3: "left cerebral cortex", 42: "right cerebral cortex", 2: "left cerebral white matter",
            41: "right cerebral white matter", 17: "left hippocampus", 53: "right hippocampus"}  # fmt: skip
    x, y, z = np.mgrid[:36, :40, :34]
    radius = np.sqrt((x - 17.5) ** 2 + (y - 19.5) ** 2 + (z - 16.5) ** 2)
    for number in range(people):
        labels = np.zeros(radius.shape, np.int16)
        labels[radius < 16] = 500
        for side, (cortex, white) in enumerate(((42, 41), (3, 2))):
            half = (x >= 18) if side else (x < 18)
            labels[(radius < 13 + number % 2) & half] = cortex
            labels[(radius < 9) & half] = white
        labels[8:11, 18:22, 15:18], labels[25:28, 18:22, 15:18] = 53, 17
        folder = root / f"sub-{number + 1:02d}" / "anat"
        folder.mkdir(parents=True)
        nib.save(nib.Nifti1Image(labels, AFFINE), folder / f"{folder.parent.name}_dseg.nii.gz")
    (root / "dseg.tsv").write_text("index\tname\n" + "".join(f"{c}\t{n}\n" for c, n in rows.items()))
    return root


def test_maps_become_people_whose_contrast_is_drawn_anew(tmp_path):
    """From label maps alone to two views of one head in two contrasts; the skull is seen in some of them."""
    run = run_labelmaps(LabelmapsConfig(out=tmp_path / "bids", label_maps=write_maps(tmp_path / "maps")))
    assert run.simulated and json.loads((run.path / "dataset_description.json").read_text())["Simulated"]
    run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[run.path], workers=1))
    table = load_cohort(tmp_path / "cohort").table
    assert len(table) == 3 and set(table["site"]) == {"labelmaps"} and table["simulated"].all()
    run_prepare(PrepareConfig(out=tmp_path / "store", cohort=tmp_path / "cohort", spacing=3.0, workers=1))
    store = open_store(tmp_path / "store")
    assert store.codes(0, "left_hippocampus") == [17]
    kinds = store.tissues(0)
    assert kinds[17] == kinds[53] != kinds[2] == kinds[41]
    settings = {"out": "o", "store": tmp_path / "store", "batch_size": 2, "encoder": {"image_size": 16, "patch": 8},
                "views": {"drawn_contrast": 1.0, "scale": [0.9, 1.0]}}  # fmt: skip
    batches = MicroBatches(store, np.arange(3, dtype=np.int32), PretrainConfig.build(settings), size=2)
    assert batches.mapped(0)
    kept = [np.corrcoef(*(b[b != 0].float().numpy()[:500] for b in raw.views.boxes[::2]))[0, 1]
            for raw in (batches[i] for i in range(6))]  # fmt: skip
    assert max(np.abs(kept)) < 0.99  # the two views of a scan never have one contrast
    skulls = [(box != 0).float().mean() for i in range(6) for box in batches[i].views.boxes]
    assert max(skulls) > min(skulls) + 0.05


def test_a_scan_without_a_map_of_its_brain_keeps_its_intensities(study):
    """Two hippocampi are no map of a brain: nothing is drawn, and the boxes are those of the store."""
    store = open_store(study.store)
    both = [study.pretrain(study.store.parent / "x", views={"drawn_contrast": d}) for d in (0.0, 1.0)]
    plain, drawn = (MicroBatches(store, np.arange(4, dtype=np.int32), c, size=2)[0].views.boxes for c in both)
    assert all((a == b).all() for a, b in zip(plain, drawn, strict=True))


def test_complete_people_are_kept_and_what_is_missing_is_told(tmp_path):
    maps = write_maps(tmp_path / "maps", people=1)
    run = run_labelmaps(LabelmapsConfig(out=tmp_path / "bids", label_maps=maps))
    image = nib.load(next(run.path.glob("sub-*/anat/*_T1w.nii.gz")))
    labels = nib.load(next(maps.glob("sub-*/anat/*.nii.gz")))
    np.testing.assert_allclose(image.affine, labels.affine)
    inside = np.asarray(labels.dataobj)
    assert ((np.asarray(image.dataobj) > 0) == ((inside > 0) & (inside != 500))).all()
    (maps / "dseg.tsv").unlink()
    with pytest.raises(WorkbenchError, match="no label maps here"):
        run_labelmaps(LabelmapsConfig(out=tmp_path / "other", label_maps=maps))
    (maps / "dseg.tsv").write_text("code\tlabel\n1\tx\n")
    with pytest.raises(WorkbenchError, match="not a table of label names"):
        run_labelmaps(LabelmapsConfig(out=tmp_path / "other", label_maps=maps))
    (maps / "dseg.tsv").write_text("index\tname\n1\tliver\n")
    with pytest.raises(WorkbenchError, match="no tissue of the brain"):
        run_labelmaps(LabelmapsConfig(out=tmp_path / "other", label_maps=maps))
