"""Runs that differ in nothing but the seed are one line, with how far they lie apart and how many they are."""

import numpy as np
import pandas as pd
import pytest

from tests.explorer.fake_runs import FakeSegment
from workbench.explorer.comparison.comparison_view import ComparisonView
from workbench.explorer.session.state import ExplorerState
from workbench.explorer.stored import scores
from workbench.explorer.stored.catalog import Catalog
from workbench.explorer.stored.repeats import pooled, repeats
from workbench.runs import JobConfig, start_run
from workbench.stats import two_level_interval

MADE = {  # run: its own seed, that of its encoder, its structures
    "volta-seed0": (0, 0, ("a",)),
    "volta-seed1": (1, 0, ("a",)),
    "volta-seed2": (0, 1, ("a",)),
    "again": (0, 0, ("a",)),  # the first a second time: no other seed
    "more": (0, 0, ("a", "b")),
}


class Pretrain(JobConfig):
    job = "pretrain"
    seed: int = 0
    steps: int = 10


class Segment(FakeSegment):
    seed: int = 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("repeats")
    for seed in (0, 1):
        with start_run(Pretrain(out=root / f"pretrain-{seed}", seed=seed)):
            pass
    rng = np.random.default_rng(0)
    people = rng.normal(0.7, 0.05, 8)
    for k, (name, (seed, encoder, structures)) in enumerate(MADE.items()):
        config = Segment(
            out=root / name,
            store=root / "store",
            encoder=root / f"pretrain-{encoder}",
            seed=seed,
            structures=structures,
        )
        with start_run(config, simulated=True) as run:
            who = [f"p{i}" for i in range(8 - (name == "volta-seed2"))]  # the last person was not scored by one
            values = people[: len(who)] + 0.02 * k + rng.normal(0, 0.01, len(who))
            rows = {"scan_id": who, "participant": who, "site": "North", "split": "test", "structure": "a"}
            run.write_table("dice", pd.DataFrame(rows).assign(dice=values, file=""))
    return root


def test_only_runs_that_differ_in_seeds_alone_are_one(folder):
    found = repeats(Catalog.scan(folder), list(MADE))
    assert found == {"volta": ["volta-seed0", "volta-seed1", "volta-seed2"], "again": ["again"], "more": ["more"]}


def test_an_encoder_that_is_gone_joins_nobody(folder, tmp_path):
    for name, seed in (("x-0", 0), ("x-1", 1)):
        with start_run(Segment(out=tmp_path / name, store="s", encoder=tmp_path / f"gone-{seed}", seed=seed)):
            pass
    assert repeats(Catalog.scan(tmp_path), ["x-0", "x-1"]) == {"x-0": ["x-0"], "x-1": ["x-1"]}


def test_a_line_has_the_variation_of_the_seed_in_it_and_says_how_many(folder):
    catalog = Catalog.scan(folder)
    groups = repeats(catalog, list(MADE))
    table = scores.scores(catalog, list(MADE), scores.MEAN)
    found = scores.by_site(pooled(table, groups), list(groups), scores.MEAN).set_index(["site", "run"])
    row, alone = found.loc[("all sites", "volta")], found.loc[("all sites", "again")]
    mine = table[table["run"].str.startswith("volta") & (table["participant"] != "p7")]
    expected = two_level_interval(mine["value"], mine["participant"], mine["run"], method="t")
    assert (row["n"], row["runs"], alone["runs"]) == (7, 3, 1)  # the people whom all three scored
    assert (row["value"], row["low"]) == pytest.approx((expected.estimate, expected.low))
    assert row["high"] == pytest.approx(min(expected.high, 1.0))
    means = mine.groupby("run")["value"].mean()
    assert (row["lowest"], row["highest"]) == pytest.approx((means.min(), means.max()))
    apart = scores.differences(pooled(table, groups), "again", "volta").iloc[0]
    person = mine.groupby("participant")["value"].mean()
    one = table[table["run"] == "again"].set_index("participant")["value"]
    assert apart["n"] == 7 and apart["value"] == pytest.approx((one - person).mean())


def test_the_page_says_that_a_line_is_several_runs_and_shows_each_when_asked(folder):
    state = ExplorerState(folder)
    state.param.update(compared=list(MADE), below="sites")
    view = ComparisonView(state)
    html = view._by_site._table.object
    assert html.count("<th>") == 1 + 3 + 2 and "3 runs, other seeds" in html and "3 runs: 0." in html
    assert "volta is the mean of 3 runs" in view._told.object and "small: each pair of runs" in view._told.object
    small = view._forest.object.Points.II.dframe()  # the mean does not hide its runs
    mean = view._forest.object.Points.I.dframe().set_index("name")["value"]
    assert small.groupby("name")["runs"].nunique().eq(3).all() and small.groupby("name")["value"].nunique().gt(1).any()
    assert small.groupby("name")["value"].mean()[mean.index].tolist() == pytest.approx(mean.tolist())
    csv = pd.read_csv(view._by_site._every())
    assert set(csv.loc[csv["run"] == "volta", "runs"]) == {3}
    state.seeds_as_one = False
    assert view._by_site._table.object.count("<th>") == 1 + 5 + 2 and "is the mean of" not in view._told.object
    assert "small" not in view._told.object and len(view._forest.object) == 3
    state.compared = list(MADE)[:3]
    state.seeds_as_one = True
    assert "differ in their seed alone" in view._told.object
