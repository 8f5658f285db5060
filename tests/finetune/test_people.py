import pandas as pd
import pytest

from workbench.cohort import SplitConfig, run_split
from workbench.errors import WorkbenchError
from workbench.finetune.config import SegmentConfig
from workbench.finetune.people import assign, seen_people
from workbench.model.encode import open_matching
from workbench.prepare.config import PrepareConfig
from workbench.prepare.prepare import run_prepare


@pytest.fixture
def parts(study):
    store, _, card = open_matching(study.store, study.encoder_run, init="pretrained", seed=0)

    def config(**changes):
        return SegmentConfig.build({"out": "unused", "store": study.store, "split": study.split,
                                    "encoder": study.encoder_run, **changes})

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
    renamed = replace(card, participants=tuple(f"renamed/{p}" for p in card.participants),
                      scans=tuple(store.index.loc[~seen, "fingerprint"]))  # as if the test people had been seen
    with pytest.raises(WorkbenchError, match="has seen"):
        assign(store, config(), everybody, renamed)
