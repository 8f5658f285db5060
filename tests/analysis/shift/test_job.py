"""A planted site effect is found, none where none was planted, and ComBat takes it away."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from workbench.analysis.config import ShiftConfig
from workbench.analysis.shift import measures, spaces
from workbench.analysis.shift.job import run_shift
from workbench.analysis.shift.task import auroc, task_by_distance
from workbench.errors import ConfigError, WorkbenchError
from workbench.runs import JobConfig, start_run


class FakeEmbed(JobConfig):
    job: ClassVar[str] = "embed"
    encoder: str = "e"


class FakeClassify(JobConfig):
    job: ClassVar[str] = "classify"


def embed_run(
    folder: Path, *, effect: float, age_by_site: float = 0.0, people: int = 60, sites=("A", "B", "C"), seed: int = 0
) -> Path:
    """An embed run whose vectors hold age, sex, noise, and a shift of ``effect`` by site; SIMULATED numbers.

    ``age_by_site`` makes the second and third site older, so that age alone tells the site."""
    rng = np.random.default_rng(seed)
    where = np.arange(people) % len(sites)
    age = rng.uniform(20, 40, people) + age_by_site * where
    sex = rng.integers(0, 2, people)
    towards = np.random.default_rng(99).normal(size=(len(sites), 16))
    vectors = rng.normal(size=(people, 16)) + effect * towards[where]
    vectors[:, :4] += (age[:, None] - 30) / 4 + sex[:, None]
    rows = np.repeat(np.arange(people), 1 + (np.arange(people) % 7 == 0))  # some people have two scans
    scans = pd.DataFrame(
        {
            "scan_id": [f"s{i:03d}" for i in range(len(rows))],
            "participant": [f"p{r}" for r in rows],
            "site": [sites[where[r]] for r in rows],
            "age": age[rows],
            "sex": np.array(["F", "M"])[sex[rows]],
        }
    )
    noisy = vectors[rows] + 0.1 * rng.normal(size=(len(rows), 16))
    with start_run(FakeEmbed(out=folder), simulated=True) as run:
        run.write_table("scans", scans)
        run.write_table(
            "embeddings", pd.DataFrame({"scan_id": scans["scan_id"], "cls": list(noisy.astype(np.float32))})
        )
    return folder


def shifted(folder: Path, **changes):
    table = run_shift(ShiftConfig(out=folder / "shift", embed=folder / "embed", permutations=99, **changes)).read_table(
        "shift"
    )
    return {space: rows.set_index("measure") for space, rows in table.groupby("space")}


PREDICTED, ENERGY, MMD = "site predicted (balanced accuracy)", "energy, mean over pairs", "mmd2, mean over pairs"


def test_a_planted_site_effect_is_found_and_combat_takes_it_away(tmp_path):
    embed_run(tmp_path / "embed", effect=1.0)
    found = shifted(tmp_path)
    assert set(found) == {"as it is", "without age, sex", "ComBat"}
    for space in ("as it is", "without age, sex"):
        rows = found[space]
        assert rows.loc[PREDICTED, "low"] > 0.6 and rows.loc[PREDICTED, "chance"] == pytest.approx(1 / 3)
        assert rows.loc[ENERGY, "p"] == rows.loc[MMD, "p"] == 0.01
        assert rows.loc["silhouette of sites", "low"] > 0
        assert rows.loc["same site among 10 nearest", "low"] > rows.loc["same site among 10 nearest", "chance"]
    after = found["ComBat"]
    assert after.loc[PREDICTED, "value"] < 0.5 < found["as it is"].loc[PREDICTED, "value"]
    assert after.loc[ENERGY, "value"] < 0.2 * found["as it is"].loc[ENERGY, "value"] and after.loc[ENERGY, "p"] > 0.01
    assert (found["as it is"]["people"] == 60).all()  # not the 69 scans


def test_none_is_found_where_none_was_planted(tmp_path):
    """Over six cohorts without an effect, intervals hold chance and p is not always small."""
    inside, small = 0, 0
    for seed in range(6):
        folder = tmp_path / str(seed)
        embed_run(folder / "embed", effect=0.0, seed=seed)
        rows = shifted(folder, combat=False)["as it is"]
        inside += rows.loc[PREDICTED, "low"] <= 1 / 3 <= rows.loc[PREDICTED, "high"]
        small += rows.loc[ENERGY, "p"] <= 0.05
        assert abs(rows.loc["silhouette of sites", "value"]) < 0.05
    assert inside >= 4 and small <= 2


def test_what_age_alone_makes_goes_with_age(tmp_path):
    embed_run(tmp_path / "embed", effect=0.0, age_by_site=15.0, people=90)
    found = shifted(tmp_path, combat=False)
    assert found["as it is"].loc[ENERGY, "p"] == 0.01 and found["as it is"].loc[PREDICTED, "low"] > 0.45
    assert found["without age, sex"].loc[ENERGY, "value"] < 0.2 * found["as it is"].loc[ENERGY, "value"]


def test_people_without_covariates_and_small_sites_are_told(tmp_path):
    embed_run(tmp_path / "embed", effect=1.0)
    from workbench.runs import Run

    run = Run(tmp_path / "embed")
    scans = run.read_table("scans")
    scans.loc[scans["site"] == "C", "age"] = np.nan
    scans.loc[scans.index[:2], "site"] = "tiny"
    run.write_table("scans", scans)
    made = run_shift(ShiftConfig(out=tmp_path / "shift", embed=tmp_path / "embed", permutations=19))
    notes = " | ".join(made.read_table("notes")["note"])
    assert "site tiny is left out" in notes and "all of C" in notes and "ComBat keeps: age, sex=M" in notes
    sites = made.read_table("shift").groupby("space")["sites"].first()
    assert sites["as it is"] == 3 and sites["as it is, people with covariates"] == sites["ComBat"] == 2
    assert run_shift(ShiftConfig(out=tmp_path / "shift", embed=tmp_path / "embed", permutations=19)).ok


def test_nothing_is_fitted_on_the_people_it_is_judged_on():
    """Changing a held-out person's vector changes nobody else's harmonised vector."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"participant": [f"p{i}" for i in range(40)], "site": ["A", "B"] * 20})
    first = spaces.Units(table, rng.normal(size=(40, 6)), rng.normal(size=(40, 1)), ("age",))
    folds = spaces.folds_of(first, 4, 0)
    changed = first.vectors.copy()
    test = folds[0][1]
    changed[test[0]] += 50
    second = spaces.Units(table, changed, first.covariates, ("age",))
    for make in (spaces.regressed, lambda u: spaces.combat(u, 0)):
        a, b = (make(u)(folds[0][0])(u.vectors, test[1:]) for u in (first, second))
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert not any(set(first.people[train]) & set(first.people[held]) for train, held in folds)


def test_distances_against_their_definitions():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 3)), rng.normal(size=(7, 3)) + 1

    def mean(x, y, same):
        d = np.linalg.norm(x[:, None] - y[None], axis=2)
        return d[~np.eye(len(x), dtype=bool)].mean() if same else d.mean()

    expected = 2 * mean(a, b, False) - mean(a, a, True) - mean(b, b, True)
    assert measures.energy_distance(a, b) == pytest.approx(expected, rel=1e-4)
    found = measures.distances(np.concatenate([a, b]), np.array(["a"] * 9 + ["b"] * 7), permutations=19, rng=rng)
    assert found.overall["energy"][0] == pytest.approx(expected, rel=1e-4)
    assert found.pairs["energy"].iloc[0] == pytest.approx(expected, rel=1e-4)

    both = np.concatenate([a, b])
    every = np.linalg.norm(both[:, None] - both[None], axis=2)
    width = np.median(every[~np.eye(16, dtype=bool)])

    def kernel(x, y, same):
        k = np.exp(-((np.linalg.norm(x[:, None] - y[None], axis=2) / width) ** 2) / 2)
        return k[~np.eye(len(x), dtype=bool)].mean() if same else k.mean()

    assert found.overall["mmd2"][0] == pytest.approx(
        kernel(a, a, True) + kernel(b, b, True) - 2 * kernel(a, b, False), rel=1e-4
    )


def test_a_site_that_keeps_apart_is_told_from_two_that_mix():
    rng = np.random.default_rng(0)
    vectors, sites = rng.normal(size=(90, 5)), np.repeat(["A", "B", "C"], 30)
    vectors[:30] += 20
    table = pd.DataFrame(measures.mixing_by_site(*measures.mixing(vectors, sites, 8), sites, 0)).set_index("site")
    assert table.loc["A", "same_site"] == 1 and table["if_mixed"].to_numpy() == pytest.approx(29 / 89)
    for site in "BC":  # each is mixed with the other, and never with A
        assert table.loc[site, "same_site"] == pytest.approx(29 / 59, abs=0.1) and table.loc[site, "high"] < 0.7


def test_a_task_falls_with_the_distance(tmp_path):
    """Predictions that are right at the training site and random at the far one."""
    embed_run(tmp_path / "embed", effect=1.0)
    from workbench.runs import Run

    scans = Run(tmp_path / "embed").read_table("scans")
    rng = np.random.default_rng(0)
    truth = scans["sex"].to_numpy()
    right = (truth == "M") + rng.normal(0, 0.2, len(scans))
    score = np.where(scans["site"] == "A", right, rng.normal(size=len(scans)))
    trained = sorted(set(scans.loc[scans["site"] == "A", "participant"]))[:10]
    split = np.where(scans["participant"].isin(trained), "train", "test")
    with start_run(FakeClassify(out=tmp_path / "task"), positive="M", participants={"train": trained}) as run:
        run.write_table(
            "predictions", scans[["scan_id", "participant", "site"]].assign(split=split, truth=truth, score=score)
        )
    made = run_shift(
        ShiftConfig(
            out=tmp_path / "shift", embed=tmp_path / "embed", permutations=19, combat=False, task=tmp_path / "task"
        )
    )
    task = made.read_table("task").set_index("site")
    assert task.index[0] == "A" and task.loc["A", "value"] > 0.95
    assert (task.loc[["B", "C"], "energy_from_training"] > task.loc["A", "energy_from_training"] + 0.5).all()
    assert task.loc["A", "low"] > task.loc["B", "value"] and task.loc["A", "people"] < 15
    people, falls = made.read_table("task_people"), made.read_table("task_distance").set_index("site")
    assert len(people) == 50 and not set(people["participant"]) & set(trained)
    assert falls.loc["all", "correlation"] < 0 and falls.loc["all", "people"] == 50
    for site in "BC":  # within a far site the score was drawn without regard to distance
        assert falls.loc[site, "low"] < 0 < falls.loc[site, "high"]


def test_a_fall_with_distance_is_found_within_a_site_and_none_where_none_is():
    rng = np.random.default_rng(0)
    people = pd.DataFrame(
        {
            "participant": [f"p{i}" for i in range(87)],
            "site": ["A"] * 40 + ["B"] * 40 + ["C"] * 7,
            "distance": rng.uniform(1, 5, 87),
        }
    )
    people["score"] = np.where(
        people["site"] == "A", 0.9 - 0.1 * people["distance"] + rng.normal(0, 0.05, 87), rng.uniform(0.3, 0.9, 87)
    )
    found = task_by_distance(people, 0).set_index("site")
    assert list(found.index) == ["all", "A", "B"]  # seven people are too few
    assert found.loc["A", "high"] < -0.7 and found.loc["B", "low"] < 0 < found.loc["B", "high"]
    expected = spearmanr(people["distance"][:40], people["score"][:40]).statistic
    assert found.loc["A", "correlation"] == pytest.approx(expected)


def test_auroc_of_a_known_order():
    value, low, high = auroc(np.arange(10.0), np.arange(10) >= 5, 0)
    assert value == low == high == 1
    assert np.isnan(auroc(np.arange(3.0), np.ones(3, bool), 0)[0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"site": "nowhere"}, "nowhere"),
        ({"token": "patch_mean"}, "it has: cls"),
        ({"smallest_site": 50}, "fewer than two sites"),
    ],
)
def test_refusals(tmp_path, changes, said):
    embed_run(tmp_path / "embed", effect=0)
    with pytest.raises((ConfigError, WorkbenchError), match=said):
        run_shift(ShiftConfig(out=tmp_path / "shift", embed=tmp_path / "embed", **changes))
