import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cohort import SplitConfig, run_split
from workbench.errors import WorkbenchError
from workbench.finetune import assignment
from workbench.finetune.assignment import assign, label_subset, seen_people
from workbench.finetune.config import SegmentConfig
from workbench.model.encode import open_matching
from workbench.prepare.config import PrepareConfig
from workbench.prepare.prepare import run_prepare


@pytest.fixture
def parts(study):
    store, _, card = open_matching(study.store, study.encoder_run, init="pretrained", seed=0)

    def config(**changes):
        return SegmentConfig.build(
            {"out": "unused", "store": study.store, "split": study.split, "encoder": study.encoder_run, **changes}
        )

    return store, card, config, pd.Series(True, index=store.index.index)


def test_nobody_who_was_seen_in_pretraining_is_tested(parts):
    store, card, config, everybody = parts
    table = assign(store, config(), everybody, card)
    tested = set(table.loc[table["split"] == "test", "participant"])
    assert tested and not tested & set(card.participants)
    assert set(table.loc[table["split"] == "train", "participant"]) == set(card.participants)


def test_a_planted_leak_is_refused_and_marked_when_allowed(parts, study, tmp_path):
    """Another split puts people to the test whom pretraining has seen."""
    store, card, config, everybody = parts
    run_split(SplitConfig(out=tmp_path / "other", cohort=study.cohort, fractions=(0.5, 0.0, 0.5), seed=4))
    with pytest.raises(WorkbenchError, match=r"(?s)has seen \d+ of the 6 people.*--transductive"):
        assign(store, config(split=tmp_path / "other"), everybody, card)
    table = assign(store, config(split=tmp_path / "other", transductive=True), everybody, card)
    assert seen_people(table, card)
    assert not seen_people(assign(store, config(), everybody, card), card)


def test_sites_are_chosen_on_each_side(parts):
    store, card, config, everybody = parts
    table = assign(store, config(train_sites=("A",), test_sites=("B",)), everybody, card)
    assert set(table.loc[table["split"] == "train", "site"]) == {"A"}
    assert set(table.loc[table["split"] == "test", "site"]) == {"B"}
    with pytest.raises(WorkbenchError, match="sites there: A, B"):
        assign(store, config(test_sites=("C",)), everybody, card)


def test_nobody_to_train_on_is_said(parts):
    store, card, config, _ = parts
    tests_only = ~store.index["participant"].isin(card.participants)
    with pytest.raises(WorkbenchError, match="nobody to train on"):
        assign(store, config(), tests_only, card)


def test_an_encoder_refuses_scans_prepared_otherwise(study, tmp_path):
    run_prepare(PrepareConfig(out=tmp_path / "other", cohort=study.cohort, spacing=4.0, workers=1))
    with pytest.raises(WorkbenchError, match="prepared otherwise"):
        open_matching(tmp_path / "other", study.encoder_run, init="pretrained", seed=0)


def test_renaming_people_does_not_hide_a_leak(parts):
    """The content of a scan tells that it was seen, whatever its person is called now."""
    from dataclasses import replace

    store, card, config, everybody = parts
    assert card.scans
    seen = store.index["fingerprint"].isin(card.scans)
    assert set(store.index.loc[seen, "participant"]) == set(card.participants)
    renamed = replace(
        card,
        participants=tuple(f"renamed/{p}" for p in card.participants),
        scans=tuple(store.index.loc[~seen, "fingerprint"]),
    )  # as if the test people had been seen
    with pytest.raises(WorkbenchError, match="has seen"):
        assign(store, config(), everybody, renamed)


def strata(**counts):
    names = [(f"{site}{i:03d}", site) for site, n in counts.items() for i in range(n)]
    return pd.Series([site for _, site in names], index=[name for name, _ in names])


@given(
    seed=st.integers(0, 100), a=st.integers(1, 40), b=st.integers(1, 40), shares=st.tuples(*[st.floats(0.01, 1)] * 2)
)
@settings(max_examples=60, deadline=None)
def test_a_smaller_share_of_labels_lies_within_a_larger_one(seed, a, b, shares):
    everybody = strata(A=a, B=b)
    small, large = (label_subset(everybody, share, seed) for share in sorted(shares))
    assert small <= large <= set(everybody.index) and len(small) >= 1
    assert len(large) == pytest.approx(max(shares) * (a + b), abs=1)
    if len(small) >= 2:  # both sites are there, and neither runs far ahead of its share
        assert {everybody[p] for p in small} == {"A", "B"}
    got = sum(everybody[p] == "A" for p in large)
    assert abs(got - len(large) * a / (a + b)) <= 2


def test_which_people_keep_their_labels_depends_on_the_label_seed_alone(parts, study):
    store, card, config, everybody = parts

    def trained(**changes):
        table = assign(store, config(**changes), everybody, card)
        assert set(table.loc[table["split"] == "test", "participant"]) == tested
        return set(table.loc[table["split"] == "train", "participant"])

    tested = set(assign(store, config(), everybody, card).query("split == 'test'")["participant"])
    half = trained(label_fraction=0.5)
    assert len(half) == 3 and half == trained(label_fraction=0.5, seed=9) < trained()
    assert any(trained(label_fraction=0.5, label_seed=s) != half for s in range(1, 5))
    assert len(trained(label_fraction=0.01)) == 1


def test_shuffled_rows_give_the_same_share():
    everybody = strata(A=9, B=5)
    assert label_subset(everybody, 0.4, 3) == label_subset(everybody.sample(frac=1, random_state=1), 0.4, 3)


def test_a_planted_copy_of_a_scan_under_another_name_is_refused_unless_allowed(study, tmp_path):
    """One of the test people is a training person again, renamed and stored with other intensities."""
    import shutil

    from workbench.cohort import CohortConfig, run_cohort
    from workbench.prepare import open_store
    from workbench.volumes import Volume, read_volume, write_volume

    source = tmp_path / "phantoms"
    shutil.copytree(study.store.parent / "phantoms", source)
    sides = pd.read_parquet(study.split / "results" / "split.parquet").set_index("participant")["split"]
    name = {side: sides.index[sides == side][0].split("/")[-1] for side in ("train", "test")}
    paths = {side: next(source.glob(f"{n}/anat/*_T1w.nii.gz")) for side, n in name.items()}
    learnt = read_volume(paths["train"])
    write_volume(paths["test"], Volume(learnt.data * 2, learnt.affine))
    run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[source], workers=1))
    run_prepare(PrepareConfig(out=tmp_path / "store", cohort=tmp_path / "cohort", spacing=3.0, workers=1))
    store = open_store(tmp_path / "store")
    everybody = pd.Series(True, index=store.index.index)

    def config(**changes):
        return SegmentConfig.build(
            {
                "out": "unused",
                "store": store.path,
                "split": study.split,
                "network": "unet",
                "crop": 16,
                "init": "random",
                **changes,
            }
        )

    with pytest.raises(WorkbenchError, match=f"(?s)1 test scans are nearly the same.*{name['test']}.*--allow_dup"):
        assign(store, config(), everybody, None)
    assert len(assign(store, config(allow_duplicates=True), everybody, None)) == 12


def test_what_pretraining_saw_counts_as_learnt_for_duplicates(parts, monkeypatch):
    """A copy of a person whom only the pretraining saw is found too, where that person's scans are in the store."""
    store, card, config, everybody = parts
    asked = []
    monkeypatch.setattr(assignment, "near_duplicates", lambda s, learnt, test: asked.append((learnt, test)) or [])
    only_tests = everybody & ~store.index["participant"].isin(list(card.participants)[:3])
    assign(store, config(), only_tests, card)
    ((learnt, test),) = asked
    assert {
        s for s in store.scan_ids if store.index.set_index("scan_id").loc[s, "participant"] in card.participants
    } == learnt and not learnt & test


def test_both_sessions_of_a_person_stay_on_one_side(tmp_path):
    """Scan and rescan: whatever the seed, and whichever share of the labels is taken."""
    from workbench.cohort import CohortConfig, run_cohort
    from workbench.prepare import open_store
    from workbench.testing import write_bids

    source = write_bids(tmp_path / "bids", people=6, sessions=2)
    run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[source], workers=1))
    run_prepare(PrepareConfig(out=tmp_path / "store", cohort=tmp_path / "cohort", spacing=4.0, workers=1))
    store = open_store(tmp_path / "store")
    for seed in range(3):
        split = tmp_path / f"split{seed}"
        run_split(SplitConfig(out=split, cohort=tmp_path / "cohort", fractions=(0.5, 0.0, 0.5), seed=seed))
        config = SegmentConfig.build(
            {
                "out": "unused",
                "store": store.path,
                "split": split,
                "network": "unet",
                "crop": 16,
                "init": "random",
                "label_fraction": 0.6,
            }
        )
        table = assign(store, config, pd.Series(True, index=store.index.index), None)
        assert (table.groupby("participant")["split"].nunique() == 1).all()
        assert (table.groupby("participant").size() == 2).all() and (table["split"] == "train").sum() == 4
