"""The simulated cohort: what was planted is what is there, sites differ, and a run can be repeated and resumed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.cohort import CohortConfig, load_cohort, run_cohort
from workbench.errors import ConfigError
from workbench.runs import Run
from workbench.simulate import design as effect
from workbench.simulate.anatomy import CODES, Anatomy, grid_points
from workbench.simulate.atlas import load_atlas
from workbench.simulate.config import SimulateConfig
from workbench.simulate.design import Person, design, visits_of
from workbench.simulate.simulate import run_simulate, simulate_participant, t1w_path
from workbench.simulate.simulate import signal as tissue_signal
from workbench.simulate.sites import SITES, site_by_name
from workbench.stats import change_per_year
from workbench.volumes import read_grid, read_volume

SMALL = {"participants": 20, "sites": 5, "spacing": 4.0, "workers": 1, "seed": 3}


def dseg_path(out: Path, participant: str) -> Path:
    return out / "derivatives" / "simulation" / participant / "anat" / f"{participant}_dseg.nii.gz"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> SimulateConfig:
    """Twenty participants of all five sites at 4 mm, made with the network cut."""
    config = SimulateConfig(out=tmp_path_factory.mktemp("simulate") / "data", **SMALL)

    def no_network(*args: object, **kwargs: object) -> None:
        raise AssertionError("the simulation opened a socket")

    load_atlas.cache_clear()  # reading the templates is part of what must not need a network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", no_network)
        patch.setattr(socket, "getaddrinfo", no_network)
        run_simulate(config)
    return config


@pytest.fixture(scope="module")
def measured(cohort: SimulateConfig) -> pd.DataFrame:
    """Planted values beside what the label maps and brain masks of the images hold."""
    people = pd.read_csv(cohort.out / "participants.tsv", sep="\t")
    planted = pd.read_csv(cohort.out / "derivatives" / "simulation" / "morphometry.tsv", sep="\t")
    rows = []
    for name in people.participant_id:
        labels = read_volume(dseg_path(cohort.out, name), labels=True)
        image = read_volume(cohort.out / name / "anat" / f"{name}_T1w.nii.gz")
        cell = float(np.prod(labels.spacing))
        hippocampus = np.isin(labels.data, [17, 53])
        rows.append(
            {
                "participant_id": name,
                "left": (labels.data == 17).sum() * cell,
                "right": (labels.data == 53).sum() * cell,
                "ventricles": np.isin(labels.data, [4, 43]).sum() * cell / 1000,
                "brain": (image.data > 0).sum() * cell / 1000,
                "gm_to_wm": np.median(image.data[hippocampus]) / np.percentile(image.data[image.data > 0], 90),
            }
        )
    return people.merge(planted, on="participant_id").merge(pd.DataFrame(rows), on="participant_id")


# the dataset -----------------------------------------------------------------------------------------------------


def test_it_is_a_bids_dataset_that_says_it_is_simulated(cohort: SimulateConfig) -> None:
    for folder in (cohort.out, cohort.out / "derivatives" / "simulation"):
        description = json.loads((folder / "dataset_description.json").read_text())
        assert description["Simulated"] is True and description["BIDSVersion"]
        assert description["GeneratedBy"][0]["Name"] == "workbench simulate"
        assert description["GeneratedBy"][0]["Seed"] == cohort.seed
    first_line = (cohort.out / "README").read_text().splitlines()[0]
    assert "simulated" in first_line.lower() and "not for clinical use" in first_line.lower()
    people = pd.read_csv(cohort.out / "participants.tsv", sep="\t")
    dictionary = json.loads((cohort.out / "participants.json").read_text())
    assert set(dictionary) == set(people.columns) - {"participant_id"}
    assert str(int(-effect.HIPPOCAMPUS_AD)) in dictionary["diagnosis"]["Levels"]["AD"]
    for name in people.participant_id:
        sidecar = json.loads((cohort.out / name / "anat" / f"{name}_T1w.json").read_text())
        assert sidecar["Simulated"] is True and sidecar["SkullStripped"] is True
    assert Run(cohort.out).simulated and Run(cohort.out).ok and Run(cohort.out).job == "simulate"


def test_files_that_bids_does_not_know_are_ignored(cohort: SimulateConfig) -> None:
    ignored = (cohort.out / ".bidsignore").read_text().split("\n")
    known = {"README", "dataset_description.json", "participants.tsv", "participants.json", "derivatives"}
    strangers = {p.name for p in cohort.out.iterdir() if not p.name.startswith((".", "sub-"))} - known
    assert strangers and strangers <= set(ignored)


def test_the_cohort_room_reads_it(cohort: SimulateConfig, tmp_path: Path) -> None:
    run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[cohort.out], workers=1))
    gathered = load_cohort(tmp_path / "cohort")
    assert gathered.simulated and gathered.table.simulated.all() and gathered.set_aside.empty
    assert len(gathered.table) == cohort.participants and gathered.table.seg_path.notna().all()
    assert set(gathered.table.site) == {s.name for s in SITES} and set(gathered.table.diagnosis) == {"AD", "CN"}
    assert {"left_hippocampus", "right_hippocampus"} <= set(gathered.labels.structure)


# anatomy ---------------------------------------------------------------------------------------------------------


def test_left_is_left_at_every_site(cohort: SimulateConfig) -> None:
    for person in design(cohort):
        labels = read_volume(dseg_path(cohort.out, person.participant_id), labels=True)
        assert set(np.unique(labels.data)) == {0, *CODES.values()}
        for code, sign in ((17, -1), (53, 1)):
            world = labels.grid.to_world(np.argwhere(labels.data == code))
            assert (sign * world[:, 0] > 0).all(), person.site
            assert 15 < sign * world[:, 0].mean() < 40


def test_image_and_labels_share_a_grid_and_the_brain_holds_the_labels(cohort: SimulateConfig) -> None:
    for person in design(cohort):
        image = read_volume(t1w_path(cohort, person))
        labels = read_volume(dseg_path(cohort.out, person.participant_id), labels=True)
        np.testing.assert_allclose(image.affine, labels.affine, atol=1e-4)
        assert image.data.shape == labels.data.shape
        assert (image.data[labels.data > 0] > 0).all() and image.data.min() == 0


def test_the_labels_hold_the_planted_volumes(measured: pd.DataFrame) -> None:
    """At 4 mm a hippocampus has some fifty voxels, so single ones are coarse and the mean is not."""
    for side in ("left", "right"):
        ratio = measured[side] / measured[f"{side}_hippocampus_mm3"]
        assert abs(ratio.mean() - 1) < 0.04 and ratio.between(0.8, 1.2).all()
    assert (measured.ventricles / measured.ventricles_ml).between(0.9, 1.1).all()
    assert (measured.brain / measured.icv_ml).between(0.95, 1.05).all()
    assert measured.left.mean() < measured.right.mean()


def test_at_two_millimetres_the_volumes_are_within_three_percent(cohort: SimulateConfig) -> None:
    person = design(cohort)[0]
    anatomy = Anatomy(person, load_atlas())
    grid = SITES[0].grid(2.0, anatomy.centre)
    look = anatomy.look(grid_points(grid))
    for code, planted in ((17, person.left_hippocampus_mm3), (53, person.right_hippocampus_mm3)):
        assert (look.labels == code).sum() * 8 == pytest.approx(planted, rel=0.03)
    # the hippocampus is grey, and it stands out from what is around it
    assert look.gm[np.isin(look.labels, [17, 53])].mean() > 0.9
    assert look.csf[np.isin(look.labels, [4, 43])].mean() > 0.9


def test_planted_effects_are_the_stated_ones() -> None:
    """A regression on the people of a large design gives the constants back."""
    people = pd.DataFrame([vars(p) for p in design(SimulateConfig(out=Path("x"), participants=3000))])
    size = people.icv_ml / effect.ICV_REFERENCE
    factors = np.stack([np.ones(len(people)), people.age - 55, people.diagnosis == "AD"], axis=1).astype(float)

    def fit(values: pd.Series) -> np.ndarray:
        return np.linalg.lstsq(factors, values.to_numpy(), rcond=None)[0]

    for side in ("left", "right"):
        mean, year, ad = fit(people[f"{side}_hippocampus_mm3"] / size**effect.HIPPOCAMPUS_ICV_POWER)
        assert mean == pytest.approx(effect.HIPPOCAMPUS_MM3[side], rel=0.02)
        assert year == pytest.approx(effect.HIPPOCAMPUS_PER_YEAR, rel=0.1)
        assert ad == pytest.approx(effect.HIPPOCAMPUS_AD, rel=0.05)
    _, year, ad = fit(people.ventricles_ml / size)
    assert year == pytest.approx(effect.VENTRICLES_PER_YEAR, rel=0.1)
    assert ad == pytest.approx(effect.VENTRICLES_AD, rel=0.1)
    _, year, ad = fit(people.thinning_mm)
    assert year == pytest.approx(effect.THINNING_PER_YEAR, rel=0.1)
    assert ad == pytest.approx(effect.THINNING_AD, rel=0.1)
    by_sex = people.groupby("sex").icv_ml.mean()
    assert by_sex["M"] - by_sex["F"] == pytest.approx(170, rel=0.1)
    assert 3000 < people[people.diagnosis == "CN"].left_hippocampus_mm3.mean() < 4000


def test_effects_are_visible_in_the_images(measured: pd.DataFrame) -> None:
    by_diagnosis = measured.groupby("diagnosis")[["left", "right", "ventricles"]].mean()
    assert (by_diagnosis.loc["AD", ["left", "right"]] < by_diagnosis.loc["CN", ["left", "right"]] - 300).all()
    assert by_diagnosis.loc["AD", "ventricles"] > by_diagnosis.loc["CN", "ventricles"] + 5
    by_sex = measured.groupby("sex").brain.mean()
    assert by_sex["M"] > by_sex["F"] + 60


def test_a_thinner_cortex_has_less_grey_matter(cohort: SimulateConfig) -> None:
    person = design(cohort)[0]
    points = grid_points(SITES[0].grid(4.0, np.zeros(3)))
    grey = [
        Anatomy(Person(**{**vars(person), "thinning_mm": mm}), load_atlas()).look(points).gm.sum()
        for mm in (0.0, 0.4, 0.8)
    ]
    assert grey[0] > grey[1] > grey[2] > 0.6 * grey[0]


def test_the_warp_never_folds(cohort: SimulateConfig) -> None:
    for person in design(cohort)[:3]:
        anatomy = Anatomy(person, load_atlas())
        axes = [anatomy.centre[d] + np.arange(-64, 64, 4.0) for d in range(3)]
        world = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
        mni = anatomy.to_template(world.reshape(-1, 3)).reshape(world.shape)
        jacobian = np.linalg.det(np.stack([np.gradient(mni, 4.0, axis=d) for d in range(3)], -1))
        assert jacobian.min() > 0.1


# sites -----------------------------------------------------------------------------------------------------------


def test_sites_differ_in_orientation_spacing_and_field_of_view(cohort: SimulateConfig) -> None:
    grids = {p.site: read_grid(t1w_path(cohort, p)) for p in design(cohort)}
    for site in SITES:
        grid = grids[site.name]
        assert grid.axcodes == site.axcodes
        np.testing.assert_allclose(grid.spacing, np.array(site.voxel) * cohort.spacing, rtol=1e-3)
        np.testing.assert_allclose(np.array(grid.shape) * grid.spacing, site.fov_mm, atol=cohort.spacing * 2)
    assert len({g.axcodes for g in grids.values()}) == len({g.shape for g in grids.values()}) == len(SITES)
    oblique = np.abs(grids["simC_1.5T"].affine[:3, :3] / grids["simC_1.5T"].spacing)
    assert oblique.max() < 1 and np.sort(oblique.ravel())[-4] > 0.1  # no axis along a world axis


def test_sites_differ_in_contrast_scale_and_noise(cohort: SimulateConfig, measured: pd.DataFrame) -> None:
    by_site = measured.groupby("site").gm_to_wm.median()
    assert by_site["simE_7T"] < by_site["simA_3T"] < by_site["simB_3T"] < by_site["simC_1.5T"]
    top = {p.site: float(read_volume(t1w_path(cohort, p)).data.max()) for p in design(cohort)}
    assert top["simC_1.5T"] < top["simA_3T"] < top["simB_3T"] < top["simD_1.5T"]


def test_the_same_anatomy_looks_different_at_each_site(cohort: SimulateConfig) -> None:
    look = Anatomy(design(cohort)[0], load_atlas()).look(grid_points(SITES[0].grid(4.0, np.zeros(3))))
    images = [tissue_signal(look, site, np.random.default_rng(0), head=False)[look.brain] for site in SITES]
    for i, a in enumerate(images):
        for b in images[i + 1 :]:
            assert np.abs(a - b).mean() > 0.01


def test_the_head_is_outside_the_brain_mask(cohort: SimulateConfig, tmp_path: Path) -> None:
    config = cohort.model_copy(update={"out": tmp_path, "head": True})
    person = next(p for p in design(config) if p.site == "simA_3T")
    simulate_participant(person, config)
    image = read_volume(t1w_path(config, person)).data
    folder = tmp_path / "derivatives" / "simulation" / person.participant_id / "anat"
    mask = read_volume(folder / f"{person.participant_id}_desc-brain_mask.nii.gz", labels=True).data > 0
    stripped = read_volume(t1w_path(cohort, person)).data
    np.testing.assert_array_equal(mask, stripped > 0)
    outside = image[~mask]
    assert (outside > 0.5 * np.median(image[mask])).mean() > 0.03  # a scalp
    assert np.median(outside) < 0.2 * np.median(image[mask])  # and air
    sidecar = json.loads((t1w_path(config, person).with_name(f"{person.participant_id}_T1w.json")).read_text())
    assert sidecar["SkullStripped"] is False


# design ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("participants", "sites"), [(72, 3), (60, 5), (36, 3)])
def test_sites_are_balanced_by_default(participants: int, sites: int) -> None:
    people = design(SimulateConfig(out=Path("x"), participants=participants, sites=sites))
    cells = pd.DataFrame([vars(p) for p in people]).groupby(["site", "sex", "diagnosis"])
    assert set(cells.size()) == {participants // sites // 4}
    ages = cells.age.agg(["min", "max"])
    assert (ages["min"] >= 55).all() and (ages["max"] <= 85).all()


@pytest.mark.parametrize("participants", [3, 4, 7, 10, 25])
def test_odd_numbers_are_balanced_as_far_as_they_go(participants: int) -> None:
    people = pd.DataFrame([vars(p) for p in design(SimulateConfig(out=Path("x"), participants=participants))])
    assert len(people) == participants and people.participant_id.is_unique
    assert people.site.value_counts().agg(np.ptp) <= 1
    for _, group in people.groupby("site"):
        assert abs((group.diagnosis == "AD").sum() - (group.diagnosis == "CN").sum()) <= 1


@pytest.mark.parametrize("confounded", ["diagnosis", "sex", "both"])
@pytest.mark.parametrize("confound", [0.0, 0.5, 1.0])
def test_confound_ties_site_to_the_chosen_variable(confounded: str, confound: float) -> None:
    config = SimulateConfig(out=Path("x"), confound=confound, confounded=confounded)
    people = pd.DataFrame([vars(p) for p in design(config)])
    for variable, value in (("diagnosis", "AD"), ("sex", "M")):
        share = (people[variable] == value).groupby(people.site).mean()
        reach = confound / 2 if confounded in (variable, "both") else 0
        np.testing.assert_allclose(share[[s.name for s in SITES[:3]]], [0.5 + reach, 0.5, 0.5 - reach], atol=0.05)


def test_ages_are_matched_unless_asked() -> None:
    def mean_age(matched: bool) -> pd.Series:
        people = design(SimulateConfig(out=Path("x"), participants=600, age_matched=matched))
        return pd.DataFrame([vars(p) for p in people]).groupby("diagnosis").age.mean()

    assert abs(mean_age(True)["AD"] - mean_age(True)["CN"]) < 2
    assert mean_age(False)["AD"] - mean_age(False)["CN"] > 12
    assert min(p.age for p in design(SimulateConfig(out=Path("x"), age_matched=False))) < 30


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"participants": 3, "sites": 5}, {"sites": 2}, {"confound": 1.5}, {"spacing": 0.1}, {"unknown": 1}):
        with pytest.raises(ConfigError):
            SimulateConfig.build({"out": "x", **wrong})


# repeating and resuming ------------------------------------------------------------------------------------------


def contents(out: Path) -> dict[str, bytes]:
    names = {"config.yaml", "status.json", "provenance.json"}
    return {
        str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file() and p.name not in names
    }


def test_another_seed_gives_other_data(cohort: SimulateConfig, tmp_path: Path) -> None:
    person = design(cohort)[0]
    for seed in (cohort.seed, cohort.seed + 1):
        config = cohort.model_copy(update={"seed": seed, "out": tmp_path / str(seed)})
        simulate_participant(Person(**{**vars(person), "seed": seed}), config)
    same, other = (
        read_volume(t1w_path(cohort.model_copy(update={"out": tmp_path / str(s)}), person)).data
        for s in (cohort.seed, cohort.seed + 1)
    )
    np.testing.assert_array_equal(same, read_volume(t1w_path(cohort, person)).data)
    assert same.shape == other.shape and (same != other).mean() > 0.05
    assert [vars(p) for p in design(cohort)] != [vars(p) for p in design(cohort.model_copy(update={"seed": 4}))]


def test_a_finished_dataset_is_left_alone_and_a_lost_scan_made_again(cohort: SimulateConfig) -> None:
    before = contents(cohort.out)
    times = {p: p.stat().st_mtime_ns for p in cohort.out.rglob("*") if p.is_file()}
    run_simulate(cohort)
    assert {p: p.stat().st_mtime_ns for p in times} == times
    t1w_path(cohort, design(cohort)[3]).unlink()
    run_simulate(cohort)
    assert contents(cohort.out) == before


def test_other_settings_do_not_mix_into_a_dataset(cohort: SimulateConfig) -> None:
    with pytest.raises(ConfigError, match="seed"):
        run_simulate(cohort.model_copy(update={"seed": 99}))


def test_a_killed_run_is_completed_to_the_same_files(tmp_path: Path) -> None:
    """kill -9 in the middle; the workers die with it; two workers then finish what one process would have made."""
    config = SimulateConfig(out=tmp_path / "killed", participants=8, spacing=4.0, workers=2)
    code = (
        "import sys\nfrom workbench.simulate.simulate import run_simulate\n"
        "from workbench.simulate.config import SimulateConfig\n"
        f"if __name__ == '__main__':\n    run_simulate(SimulateConfig.build({config.model_dump(mode='json')!r}))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, script], env={**os.environ, "PYTHONPATH": str(root)}, stderr=subprocess.DEVNULL
    )
    while not list(config.out.glob("sub-*/anat/*_T1w.nii.gz")):
        assert process.poll() is None, "the simulation ended before it could be killed"
        time.sleep(0.02)
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 30
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    assert Run(config.out).status["state"] == "killed"
    made = list(config.out.glob("sub-*/anat/*_T1w.nii.gz"))
    assert 1 <= len(made) < config.participants
    kept = {path: path.stat().st_mtime_ns for path in made}

    assert run_simulate(config).ok
    assert {path: path.stat().st_mtime_ns for path in made} == kept
    clean = config.model_copy(update={"out": tmp_path / "clean", "workers": 1})
    run_simulate(clean)
    assert contents(config.out) == contents(clean.out)


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.is_file() else []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_every_person_has_a_site_of_the_table(cohort: SimulateConfig) -> None:
    assert {site_by_name(p.site).name for p in design(cohort)} == {s.name for s in SITES}


# travelling heads and follow-ups ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def travellers(tmp_path_factory: pytest.TempPathFactory) -> SimulateConfig:
    config = SimulateConfig(
        out=tmp_path_factory.mktemp("travel") / "data",
        participants=3,
        spacing=6.0,
        workers=1,
        travelling=True,
        followups=1,
        years_between=10.0,
    )
    run_simulate(config)
    return config


def test_travelling_heads_are_the_same_anatomy_at_every_site_in_other_images(travellers: SimulateConfig) -> None:
    person = design(travellers)[0]
    first = [visit for visit in visits_of(person, travellers) if visit.person.age == person.age]
    assert [visit.person.site for visit in first] == [s.name for s in SITES[:3]]
    truths = {(v.person.left_hippocampus_mm3, v.person.icv_ml) for v in first}
    assert len(truths) == 1 and len({visit.session for visit in visits_of(person, travellers)}) == 6
    images = [read_volume(t1w_path(travellers, visit)) for visit in first]
    assert len({image.data.shape for image in images}) > 1
    brains = [float((image.data > 0).sum() * np.prod(image.spacing)) / 1000 for image in images]
    assert brains == pytest.approx([person.icv_ml] * 3, rel=0.06)


def test_followups_age_by_the_planted_slopes_and_nothing_else(travellers: SimulateConfig) -> None:
    for person in design(travellers):
        younger, older = (v.person for v in visits_of(person, travellers) if v.person.site == SITES[0].name)
        late = max(older.age - 55, 0) - max(younger.age - 55, 0)
        size = (person.icv_ml / effect.ICV_REFERENCE) ** effect.HIPPOCAMPUS_ICV_POWER
        assert older.age == younger.age + 10 and older.icv_ml == younger.icv_ml
        change = older.left_hippocampus_mm3 - younger.left_hippocampus_mm3
        assert change == pytest.approx(effect.HIPPOCAMPUS_PER_YEAR * late * size, abs=0.2)
        assert older.ventricles_ml > younger.ventricles_ml


def test_converters_fall_ill_by_the_planted_amount_and_the_job_of_years_finds_their_slope(tmp_path: Path) -> None:
    """From the design alone, measured with an error: how much more converters lose a year than the healthy."""
    settings: dict = {"out": tmp_path, "participants": 48, "followups": 2, "years_between": 2.0}
    config = SimulateConfig(**settings, converters=0.5)
    people = {p.participant_id: p for p in design(config) if p.diagnosis == "CN"}
    assert sum(p.converts for p in people.values()) == len(people) // 2 == 12
    plain = design(SimulateConfig(**settings))
    assert [{**vars(p), "converts": False} for p in design(config)] == [vars(p) for p in plain]
    visits = [(number, v.person) for p in people.values() for number, v in enumerate(visits_of(p, config))]
    ill = np.array([people[person.participant_id].converts for _, person in visits])
    labels = {(number, bool(one)): person.diagnosis for (number, person), one in zip(visits, ill, strict=True)}
    assert labels == {(n, c): "AD" if c and n == 2 else "CN" for n in range(3) for c in (False, True)}
    measured = np.random.default_rng(0).normal(0, 30, len(visits))
    measured += [person.left_hippocampus_mm3 for _, person in visits]
    years = np.array([2.0 * number for number, _ in visits])
    found = change_per_year(measured, years, np.array([p.participant_id for _, p in visits]), first=ill)
    assert found.low < effect.HIPPOCAMPUS_AD / 4 < found.high < 0  # over four years, at a head of the reference's size
    with pytest.raises(ValueError, match="without followups"):
        SimulateConfig(out=tmp_path, converters=0.5)


def test_the_cohort_room_reads_sessions_with_their_site_and_age(travellers: SimulateConfig, tmp_path: Path) -> None:
    run_cohort(CohortConfig(out=tmp_path / "cohort", sources=[travellers.out], workers=1))
    table = load_cohort(tmp_path / "cohort").table
    assert len(table) == 18 and table.participant.nunique() == 3 and table.seg_path.notna().all()
    assert (table.groupby("participant")["site"].nunique() == 3).all()
    assert (table.groupby("participant")["session"].nunique() == 6).all()
    ages = table.groupby("participant")["age"].agg(["min", "max", "nunique"])
    assert (ages["nunique"] == 2).all() and (ages["max"] - ages["min"]).to_numpy() == pytest.approx(10)
    assert (table.groupby("participant")["sex"].nunique() == 1).all()
