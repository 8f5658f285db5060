import numpy as np
import pytest

from workbench.errors import ConfigError
from workbench.pretrain.probe import knn_score
from workbench.pretrain.train import run_pretrain


def groups(apart: float, people: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.array(["F", "M"])[np.arange(people) % 2]
    return rng.normal(size=(people, 16)) + apart * (labels == "M")[:, None], labels


def test_a_planted_difference_is_seen_and_none_is_not():
    assert knn_score(*groups(3.0), True) > 0.95
    scores = [knn_score(*groups(0.0, seed=s), True) for s in range(30)]
    assert abs(np.mean(scores) - 0.5) < 0.05


def test_guessing_the_larger_class_gains_nothing():
    rows, _ = groups(0.0, people=200)
    labels = np.array(["many"] * 180 + ["few"] * 20)
    assert abs(knn_score(rows, labels, True) - 0.5) < 0.1  # plain accuracy would be 0.9


def test_numbers_are_scored_by_correlation():
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 80, 100)
    angle = (age - 20) / 60 * np.pi
    rows = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert knn_score(rows, age, False) > 0.95
    assert abs(knn_score(rng.normal(size=(100, 8)), age, False)) < 0.35


def test_what_all_scans_share_hides_nothing():
    rows, labels = groups(2.0)
    assert knn_score(rows + 1000, labels, True) == knn_score(rows, labels, True)


def test_a_run_takes_the_probe_at_its_start_and_its_end(study, tmp_path):
    run = run_pretrain(study.pretrain(tmp_path / "run", probe=("site", "age"), probe_times=2))
    taken = run.metrics().dropna(subset=["probe_site"])
    steps = len(run.metrics()) - 1  # step 0 has a line of its own
    assert list(taken["step"]) == [0, steps // 2, steps]
    assert taken["probe_site"].between(0, 1).all() and taken["probe_age"].between(-1, 1).all()
    told = run.provenance["how"]["probe"]
    assert told["site"]["chance"] == 0.5 and told["site"]["people"] == 6 and told["age"]["score"] == "Pearson's r"


def test_looking_changes_nothing(study, tmp_path):
    from tests.pretrain.test_exact import weights

    looked = run_pretrain(study.pretrain(tmp_path / "run", probe=("site",), monitor_every=1))
    plain = weights(study.encoder_run)
    assert all(np.array_equal(plain[k], v) for k, v in weights(looked.path).items())


def test_a_column_that_is_not_there_is_told_with_those_that_are(study, tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)no column 'gender'.*it has .*sex"):
        run_pretrain(study.pretrain(tmp_path / "run", probe=("gender",)))
