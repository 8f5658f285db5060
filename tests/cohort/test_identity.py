"""The same ids and the same sites in several sources: decided by the user, told where not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.cohort.gather import gather
from workbench.cohort.identity import Same, settle
from workbench.cohort.source import Candidate, Remark, Source


def source(name: str, people: list[str], site: str | None = None, sex: str = "F") -> Source:
    made = [Candidate(name, p, Path(f"/{name}/{p}.nii.gz"), values={"site": site or name, "sex": sex}) for p in people]
    return Source(name, made)


def people(*sources: Source) -> list[str]:
    return [c.person for s in sources for c in s.candidates]


def guesses(remarks: list[Remark]) -> str:
    return "\n".join(r.text for r in remarks if r.kind == "guess")


def test_the_same_ids_are_told_and_kept_apart_unless_said() -> None:
    a, b = source("wave1", ["sub-001", "sub-002"]), source("wave2", ["sub-1", "sub-003"])
    assert "1 people of wave2 have an id that wave1 has too (sub-1)" in guesses(settle([a, b], Same()))
    assert len(set(people(a, b))) == 4
    assert not settle([a, b], Same(people=False))
    said = settle([a, b], Same(people=True))
    assert people(a, b) == ["wave1/sub-001", "wave1/sub-002", "wave1/sub-001", "wave2/sub-003"]
    assert [r.kind for r in said] == ["note"]


def test_people_who_cannot_be_the_same_are_told() -> None:
    a, b = source("a", ["sub-1"], sex="F"), source("b", ["sub-1"], sex="M")
    assert "differ in sex" in guesses(settle([a, b], Same(people=True)))


def test_equal_names_of_sites_are_different_sites_unless_said() -> None:
    def two() -> list[Source]:
        return [source("abide", ["x"], "1"), source("adhd", ["y"], "1"), source("ixi", ["z"], "2")]

    def sites(sources: list[Source]) -> list[str]:
        return [c.values["site"] for s in sources for c in s.candidates]

    sources = two()
    assert "count as different sites" in guesses(settle(sources, Same()))
    assert sites(sources) == ["abide/1", "adhd/1", "2"]
    sources = two()
    assert not guesses(settle(sources, Same(sites=True))) and sites(sources) == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("ids", "person"),
    [
        (["OAS1_0001_MR1", "OAS1_0001_MR2"], "OAS1_0001"),
        (["sub-OAS10001MR1", "sub-OAS10001MR2"], "sub-OAS10001"),
        (["OAS30001_MR_d0129", "OAS30001_MR_d0757"], "OAS30001"),
        (["BraTS-GLI-00005-100", "BraTS-GLI-00005-101"], "BraTS-GLI-00005"),
        (["UPENN-GBM-00001_11", "UPENN-GBM-00001_21"], "UPENN-GBM-00001"),
    ],
)
def test_ids_that_name_a_visit_are_one_person(ids: list[str], person: str) -> None:
    one = source("d", ids)
    settle([one], Same())
    assert set(people(one)) == {f"d/{person}"} and len({c.session for c in one.candidates}) == 2
    assert "name a visit" in one.remarks[0].text and one.remarks[0].kind == "guess"


def test_ids_that_do_not_name_a_visit_stay() -> None:
    ids = ["sub-01", "002_S_0413", "BraTS20_Training_001", "IXI012", "OAS1_0001"]
    one = source("d", ids)
    settle([one], Same())
    assert [c.participant_id for c in one.candidates] == ids and not one.remarks


def test_nobody_is_no_person() -> None:
    one = source("d", ["unknown", "p1", "n/a"])
    settle([one], Same())
    assert people(one) == ["d/p1"] and len(one.set_aside) == 2


@pytest.mark.parametrize("inside", [True, False])
def test_a_derivative_beside_its_raw_data_is_the_same_people(tmp_path: Path, inside: bool) -> None:
    raw = tmp_path / "raw"
    derived = raw / "derivatives/fmriprep" if inside else tmp_path / "fmriprep"
    for name in ("raw/sub-01/anat/sub-01_T1w.nii.gz", "raw/sub-02/anat/sub-02_T1w.nii.gz"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    anat = derived / "sub-01/anat"
    anat.mkdir(parents=True)
    for name in ("desc-preproc_T1w", "desc-brain_mask", "desc-aseg_dseg"):
        (anat / f"sub-01_{name}.nii.gz").touch()
    said = {"DatasetType": "derivative", "SourceDatasets": [{"URL": "../raw"}]}
    (derived / "dataset_description.json").write_text(json.dumps({} if inside else said))
    sources = gather([raw, derived])
    remarks = settle(sources, Same())
    assert people(*sources) == ["raw/sub-01", "raw/sub-02"] and not guesses(remarks)
    first = sources[0].candidates[0]
    assert first.mask_path and first.seg_path and "desc-aseg" in first.seg_path.name
    assert any("copies of raw scans" in note for note in sources[1].notes)


def test_ids_that_may_be_visits_are_told_and_stay_apart() -> None:
    ids = ["sub-01V1", "sub-01V2", "sub-02pre", "sub-02post", "sub-03", "sub-V1", "sub-V2", "sub-10", "sub-1"]
    one = source("a", ids)
    settle([one], Same())
    assert "(2): sub-01V1 and sub-01V2, sub-02pre and sub-02post;" in guesses(one.remarks)
    assert len(set(people(one))) == len(ids)
    visits = source("b", ["1000015_2", "1000015_3", "01_0001", "01_0002"])
    settle([visits], Same())
    assert "(1): 1000015_2 and 1000015_3;" in guesses(visits.remarks)
    assert not guesses(source("a", ["sub-CC110033", "sub-CC110037", "sub-100206", "sub-100307"]).remarks)


def test_the_people_of_public_sets_are_known_under_both_spellings() -> None:
    for first, second in (("sub-ADNI002S0413", "002_S_0413"), ("sub-OAS10001", "OAS1_0001")):
        assert "have an id that a has too" in guesses(settle([source("a", [first]), source("b", [second])], Same()))


def test_the_same_id_comes_before_one_that_is_written_differently() -> None:
    a, b = source("a", ["sub-01", "sub-1"]), source("b", ["sub-1", "sub-01"])
    settle([a, b], Same(people=True))
    assert people(b) == ["a/sub-1", "a/sub-01"]


def test_a_person_of_both_sexes_is_told() -> None:
    one = source("a", ["1", "2"])
    one.candidates += source("a", ["1"], sex="M").candidates
    settle([one], Same())
    assert "1 people have scans of both sexes: a/1;" in guesses(one.remarks)
