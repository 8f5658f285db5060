import pandas as pd
import pytest

from workbench.cohort import SplitConfig, run_split
from workbench.errors import WorkbenchError
from workbench.finetune import segment
from workbench.finetune.config import SegmentConfig
from workbench.finetune.curve import TABLE
from workbench.runs import Run


@pytest.fixture(scope="module")
def split(study, tmp_path_factory):
    path = tmp_path_factory.mktemp("validated") / "split"
    run_split(SplitConfig(out=path, cohort=study.cohort, fractions=(0.5, 0.25, 0.25)))
    return path


def config(study, split, out, **changes):
    return SegmentConfig.build(
        {
            "out": out,
            "store": study.store,
            "split": split,
            "encoder": study.encoder_run,
            "init": "random",
            "steps": 10,
            "features": 8,
            "learning_rate": 3e-3,
            "accelerator": "cpu",
            "validate_every": 4,
            "validation_scans": 2,
            **changes,
        }
    )


def test_validation_people_are_scored_against_steps_and_seconds(study, split, tmp_path):
    run = segment.run_segment(config(study, split, tmp_path / "run"))
    curve = run.read_table(TABLE)
    sides = pd.read_parquet(split / "results" / "split.parquet").set_index("participant")["split"]
    assert sorted(set(curve["step"])) == [4, 8, 10] and len(curve) == 3 * 2 * 2
    assert set(sides.loc[curve["participant"]]) == {"validation"} and curve["participant"].nunique() == 2
    assert curve["dice"].between(0, 1).all()
    assert curve.groupby("step")["seconds"].first().is_monotonic_increasing and curve["seconds"].min() > 0
    assert run.metrics()["validation_dice"].dropna().iloc[-1] == pytest.approx(
        curve.loc[curve["step"] == 10, "dice"].mean()
    )


def test_a_broken_off_training_keeps_one_row_a_step(study, split, tmp_path, monkeypatch):
    real, calls = segment.Crops.batch, []

    def fail(self, step):
        calls.append(step)
        if len(calls) == 10:  # after the first validations of steps 4 and 8, without a checkpoint since the start
            raise RuntimeError("the power went")
        return real(self, step)

    monkeypatch.setattr(segment.Crops, "batch", fail)
    c = config(study, split, tmp_path / "run", checkpoint_minutes=60)
    with pytest.raises(RuntimeError):
        segment.run_segment(c)
    assert sorted(set(Run(c.out).read_table(TABLE)["step"])) == [4, 8]
    curve = segment.run_segment(c).read_table(TABLE)
    assert not curve.duplicated(["step", "scan_id", "structure"]).any() and sorted(set(curve["step"])) == [4, 8, 10]


def test_nobody_to_validate_on_is_said_and_validation_people_can_be_segmented(study, split, tmp_path):
    with pytest.raises(WorkbenchError, match="nobody to validate on"):
        segment.run_segment(config(study, study.split, tmp_path / "none"))
    run = segment.run_segment(config(study, split, tmp_path / "predict", steps=1, predict="validation"))
    assert set(run.read_table("dice")["split"]) == {"validation"}
