"""Simulated people whose attention is planted at one place: found there, on its side, in both frames, nowhere else."""

import json

import nibabel as nib
import numpy as np
import pytest

from tests.analysis.group.planted import CORNER, RADIUS, SIZE, attend, make_store
from workbench.analysis.config import GroupConfig
from workbench.analysis.group.job import plan_group, run_group
from workbench.errors import ConfigError, WorkbenchError
from workbench.found import found_by
from workbench.prepare import open_store
from workbench.volumes import Volume, read_volume, write_volume


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("group"))


@pytest.fixture(scope="module")
def planted(store):
    return attend(store.parent / "planted", store)


@pytest.fixture(scope="module")
def nothing(store):
    return attend(store.parent / "nothing", store, planted=0, seed=7, init="random")


def config(out, attended, **changes):
    return GroupConfig(out=out, attend=attended.path, **{"permutations": 499, "draws": 200, **changes})


@pytest.fixture(scope="module")
def found(store, planted, nothing):
    return run_group(config(store.parent / "found", planted, by=("site", "diagnosis"), against=nothing.path))


def map_of(run, **wanted):
    rows = run.read_table("maps")
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    (file,) = rows["file"]
    return nib.load(run.path / file)


def near_the_corner(image, mask, size=SIZE):
    """Whether every voxel of a mask lies at the planted place, give or take a voxel of both grids."""
    mm = nib.affines.apply_affine(image.affine, np.argwhere(mask))
    return (np.linalg.norm(mm - (CORNER - 0.5) * size, axis=1) < RADIUS * size.max() + 4 + 3).all()


def test_what_is_planted_is_found_in_its_corner_and_nowhere_else(found):
    rows = found.read_table("differences").set_index(["by", "weights"])
    assert rows["estimable"].all() and (rows[["people", "people_other"]] == 10).all(axis=None)
    own, both = rows.loc[("site", "pretrained")], rows.loc[("site", "pretrained - random")]
    assert own["p_smallest"] <= 0.01 and own["found_ml"] > 0 and both["found_ml"] > 0
    assert own["p_over_pairs"] == own["p_smallest"]  # one pair
    assert rows.loc[("site", "random"), "found_ml"] == 0
    assert (rows.loc["diagnosis", "found_ml"] == 0).all() and (rows.loc["diagnosis", "p_smallest"] > 0.05).all()
    places = found.read_table("places")
    assert set(places["by"]) == {"site"} and set(places["weights"]) == {"pretrained", "pretrained - random"}
    assert (places["side"] == "left").all() and (places["octant"] == "left, front, top").all()
    assert (places["difference"] < 0).all() and (places["high"] < 0).all()  # A has less of it
    p = map_of(found, by="site", weights="pretrained", what="p_family")
    assert near_the_corner(p, np.asanyarray(p.dataobj) <= 0.05)


def test_maps_are_of_people_in_the_mean_box(found):
    facts = found.provenance
    low, high = (np.array(c) for c in facts["frame_mm"])
    assert -low == pytest.approx(high) and high - low == pytest.approx(SIZE, abs=6)
    brain, common = (nib.load(found.path / "volumes" / f"{n}.nii.gz") for n in ("brain", "common"))
    inside = common.get_fdata() >= 0.5
    assert nib.aff2axcodes(brain.affine) == tuple("RAS") and (brain.get_fdata()[~inside] == 0).all()
    mean = map_of(found, by="site", group="B", other="", weights="pretrained", what="mean")
    ends = [
        map_of(found, by="site", group="B", other="", weights="pretrained", what=w).get_fdata() for w in ("low", "high")
    ]
    assert mean.shape == brain.shape and mean.get_fdata()[inside].mean() == pytest.approx(1, abs=0.05)
    assert (ends[0] <= mean.get_fdata() + 1e-5).all() and (mean.get_fdata() <= ends[1] + 1e-5).all()
    peak = nib.affines.apply_affine(mean.affine, np.unravel_index(mean.get_fdata().argmax(), mean.shape))
    assert np.linalg.norm(peak - (CORNER - 0.5) * SIZE) < 7 and peak[0] < 0
    a, b = (map_of(found, by="site", group=g, other="", weights="pretrained", what="mean").get_fdata() for g in "AB")
    apart = map_of(found, by="site", other="B", weights="pretrained", what="difference").get_fdata()
    np.testing.assert_allclose(apart[inside], (a - b)[inside], atol=1e-5)
    sidecar = json.loads(
        (found.path / found.read_table("maps")["file"].iloc[0].replace(".nii.gz", ".json")).read_text()
    )
    assert (
        sidecar["unit"] == "times the brain's mean" and sidecar["simulated"] and "proportional box" in sidecar["frame"]
    )
    assert (
        facts["simulated"] and facts["weights"] == ["pretrained", "random"] and len(facts["participants"]["test"]) == 20
    )


def test_what_else_the_groups_differ_in_is_said_in_words(found):
    rows = found.read_table("confounds")
    wholly = rows[rows["kind"] == "wholly"]
    assert wholly[["by", "group", "other", "column"]].to_numpy().tolist() == [["site", "A", "B", "sex"]]
    assert wholly["words"].iloc[0] == (
        "no sex holds both A and B: a difference may as well be one of sex, and these scans cannot tell"
    )


def test_shares_of_structures_and_octants(found, store, planted):
    rows = found.read_table("structures")
    groups = rows[(rows["other"] == "") & (rows["by"] == "site")]
    octants = groups[(groups["kind"] == "octant") & (groups["weights"] == "pretrained")]
    assert octants.groupby("group")["share"].sum().to_numpy() == pytest.approx([100, 100], abs=1e-3)
    assert ((groups["share_low"] <= groups["share"]) & (groups["share"] <= groups["share_high"])).all()
    assert set(groups.loc[groups["kind"] == "structure", "structure"]) == {"left_hippocampus", "right_hippocampus"}
    pairs = rows[(rows["other"] == "B") & (rows["weights"] == "pretrained") & (rows["kind"] == "octant")]
    most = pairs.loc[pairs["p_holm"].idxmin()]
    assert most["structure"] == "left, front, top" and most["p_holm"] < 0.05 and most["share_high"] < 0
    # one scan against the definition, in its own space
    opened, shares = open_store(store), found.read_table("shares").query("weights == 'pretrained'")
    scan = shares["scan_id"].iloc[0]
    row = planted.read_table("attention").set_index("scan_id").loc[scan]
    seen = read_volume(planted.path / row["file"]).data
    seg = read_volume(opened.index.set_index("scan_id").loc[scan, "seg_path"], labels=True).data
    head = read_volume(opened.index.set_index("scan_id").loc[scan, "path"]).data > 0
    times = seen[seg == 2].mean() / seen[head].mean()
    mine = shares[(shares["scan_id"] == scan) & (shares["structure"] == "left_hippocampus")]
    assert mine["times"].iloc[0] == pytest.approx(times, rel=0.1)


def test_the_sentence_has_the_place_its_interval_and_n(found):
    told = found_by(found)
    assert told.words.startswith("attention of A − B (site) differs in ") and "(left): −" in told.words
    assert told.words.endswith("], where it is largest, n = 10 and 10 people") or "n = 10 and 10 people" in told.words
    assert any(line.startswith("random: 0 of ") for line in told.beside)
    assert any("no difference shown at any place" in line for line in told.beside)
    assert any("no sex holds both" in line for line in told.beside)


@pytest.mark.parametrize("own_template", [True, False])
def test_registered_brains_keep_left_and_right(store, planted, tmp_path, own_template):
    """To the cohort's own mean brain, and to a file that is stored from right to left."""
    pytest.importorskip("SimpleITK")
    size, more = SIZE, {}
    if not own_template:
        opened = open_store(store)
        scan = opened.scan_ids[1]
        data, grid = opened.read(scan).astype(np.float32), opened.grid(scan)
        data = np.where(data != 0, data + 5, 0)
        low, high = (grid.to_world(f(np.argwhere(data), axis=0)) for f in (np.min, np.max))
        size = high - low + grid.spacing
        affine = grid.affine.copy()
        affine[:3, 3] -= (low + high) / 2
        flipped = affine @ np.array([[-1, 0, 0, data.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        more = {"template": write_volume(tmp_path / "brain.nii.gz", Volume(data[::-1].copy(), flipped))}
    run = run_group(config(tmp_path / "run", planted, frame="affine", permutations=199, **more))
    ways = np.stack(run.read_table("scans")["to_scan"].to_list()).reshape(-1, 4, 4)
    assert (np.linalg.det(ways[:, :3, :3]) > 0).all() and (ways[:, 0, 0] > 0.7).all()
    assert np.abs(ways[:, :3, :3] - np.stack([np.diag(np.diag(w)) for w in ways[:, :3, :3]])).max() < 0.15
    scans = run.read_table("scans")
    assert (scans["information"] >= scans["information_of_box"] - 0.02).all()
    places = run.read_table("places")
    assert len(places) and (places["side"] == "left").all() and (places["difference"] < 0).all()
    p = map_of(run, what="p_family")
    assert near_the_corner(p, np.asanyarray(p.dataobj) <= 0.05, size)
    assert nib.aff2axcodes(p.affine) == tuple("RAS")


def test_few_people_are_not_estimable_and_a_plan_says_so(store, planted, tmp_path):
    settings = config(tmp_path / "run", planted, smallest_group=11)
    assert "n = 10" in plan_group(settings) and "not estimable" in plan_group(settings)
    run = run_group(settings)
    assert not len(run.read_table("differences")) and set(run.read_table("maps")["what"]) == {"mean"}
    assert "not estimable" in " ".join(run.read_table("notes")["note"])
    words = found_by(run).words
    assert "n = 10" in words and "no interval" in words


def test_within_takes_out_what_goes_with_it(store, planted, tmp_path):
    run = run_group(config(tmp_path / "run", planted, by=("diagnosis",), within="site", permutations=199))
    (row,) = run.read_table("differences").to_dict("records")
    assert row["test"] == "groups exchanged by person within site" and row["found_ml"] == 0 and row["people"] == 10


def test_what_cannot_be_is_refused_before_anything_is_written(store, planted, nothing, tmp_path):
    for error, changes in (
        ("there is no column 'colour'", {"by": ("colour",)}),
        ("'age' does not make groups", {"by": ("age",)}),
        ("no group 'C' in site", {"groups": ("A", "C")}),
        ("--groups are of one column", {"by": ("site", "sex"), "groups": ("A",)}),
        ("within 'site' there is one group alone", {"within": "site"}),
        ("--template belongs to --frame affine", {"template": tmp_path / "t.nii.gz"}),
    ):
        with pytest.raises(ConfigError, match=error):
            run_group(config(tmp_path / "run", planted, **changes))
    with pytest.raises(WorkbenchError, match="not an attend run"):
        run_group(GroupConfig(out=tmp_path / "run", attend=store))
    with pytest.raises(WorkbenchError, match="no maps of head '7'"):
        run_group(config(tmp_path / "run", planted, head="7"))
    assert not list(tmp_path.iterdir())
