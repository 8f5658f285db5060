import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from workbench.analysis.attention.job import run_attend
from workbench.analysis.attention.sanity import mass_summary, norm_facts, region_mass
from workbench.analysis.config import AttendConfig
from workbench.errors import ConfigError, WorkbenchError
from workbench.model import Encoder, EncoderConfig, load_encoder
from workbench.model.attention import Look, attention_rows
from workbench.model.encode import padded_box
from workbench.predict import passes
from workbench.predict.passes import Reading, boxes, importance, scan_maps
from workbench.predict.query import Query, parse_query, region_mask, token_weights
from workbench.prepare import open_store

CLS = Query("cls")


def config(study, out, **changes):
    return AttendConfig(out=out, store=study.store, encoder=study.encoder_run, accelerator="cpu", **changes)


@pytest.fixture(scope="module")
def attended(study, tmp_path_factory):
    return run_attend(config(study, tmp_path_factory.mktemp("attend") / "run"))


@pytest.fixture(scope="module")
def opened(study):
    return open_store(study.store), load_encoder(study.encoder_run)[0]


def self_looking(encoder, volume, weights_QN, *, block):
    """In place of attention: a query looks at its own tokens, so a map shows where the query is."""
    grid = tuple(n // p for n, p in zip(volume.shape[2:], encoder.config.patch_xyz, strict=True))
    rows = weights_QN[None, None].expand(1, 3, -1, -1)
    return Look(rows, torch.ones(1, weights_QN.shape[1], 192), grid)


def test_what_was_looked_at_lies_in_the_same_place_of_the_scan(study, opened, tmp_path, monkeypatch):
    """RAS, LAS and PSR scans: attention on the patch around a world point is written around that world point, whatever
    the way of reading."""
    monkeypatch.setattr(passes, "look", self_looking)
    store, _ = opened
    assert set(store.index["axcodes"]) == {"RAS", "LAS", "PSR"}
    ways = ({}, {"shifts": 2}, {"field": "windows"})
    for scan, way in zip(store.index.drop_duplicates("axcodes").itertuples(), ways, strict=True):
        target = np.argwhere(region_mask(store, scan.scan_id, "left_hippocampus"))[0]
        world = store.grid(scan.scan_id).to_world(target)
        query = "voxel:" + ",".join(f"{v:.3f}" for v in world)
        run = run_attend(
            config(study, tmp_path / scan.axcodes, scans=(scan.scan_id,), query=query, sanity=False, heads=False, **way)
        )
        image = nib.load(run.path / f"volumes/{scan.scan_id}_desc-attnmean_map.nii.gz")
        data = np.asanyarray(image.dataobj)
        assert nib.aff2axcodes(image.affine) == tuple(scan.axcodes)
        inside = nib.affines.apply_affine(np.linalg.inv(image.affine), world).round().astype(int)
        assert data[tuple(inside)] > 0
        if way.get("field") != "windows":
            assert data[tuple(inside)] > 0.99 * data.max()
        lit = nib.affines.apply_affine(image.affine, np.argwhere(data > 0))
        assert np.abs(lit - world).max() < 8 * 3.0 + 3.0  # nothing further away than one patch of 8 voxels of 3 mm
        assert (lit.mean(0) - world)[0] < 24 and lit[:, 0].mean() < 12  # the left stays on the left


def test_shifted_grids_make_finer_maps(opened, monkeypatch):
    """With n shifts, a map that points at one token changes in steps of a patch / n."""
    monkeypatch.setattr(passes, "look", self_looking)
    store, encoder = opened
    scan = store.scan_ids[0]
    query = Query("voxel", mm=tuple(store.grid(scan).to_world(np.array(store.shape(scan)) // 2)))
    lit = [(scan_maps(encoder, store, scan, query, Reading(shifts=n)).values[0] > 0.9 * 4**3).sum() for n in (1, 4)]
    one, four = (scan_maps(encoder, store, scan, query, Reading(shifts=n)).values[0] for n in (1, 4))
    assert len(np.unique(one)) == 2 and len(np.unique(four)) > 20
    assert (four > 0.99 * four.max()).sum() < (one > 0).sum() / 8 and lit[0] >= lit[1]


@pytest.mark.parametrize(
    "reading", [Reading(), Reading(shifts=3), Reading(field="windows"), Reading(field="windows", overlap=0.0, shifts=2)]
)
def test_boxes_cover_the_scan_and_keep_to_patches(reading):
    for shape in ((16, 16, 16), (17, 30, 9), (40, 16, 25)):
        covered = np.zeros(shape, int)
        for low, high in boxes(shape, (8, 4, 8), (16, 16, 16), reading):
            assert not ((high - low) % (8, 4, 8)).any()
            covered[tuple(slice(max(a, 0), b) for a, b in zip(low, high, strict=True))] += 1
        assert covered.min() >= reading.shifts**3 if reading.shifts < 3 else covered.min() >= 1


def test_windows_that_are_the_whole_scan_say_the_same(opened):
    """A scan that fits into one window is read alike in both ways, and merging keeps a constant constant."""
    store, _ = opened
    scan = store.scan_ids[0]
    torch.manual_seed(0)
    edge = tuple(-(-n // 8) * 8 for n in store.shape(scan))
    encoder = Encoder(EncoderConfig(preset="micro", image_size=edge, patch=8)).eval()
    whole, window = (scan_maps(encoder, store, scan, CLS, Reading(field=f)) for f in ("whole", "windows"))
    np.testing.assert_allclose(whole.values, window.values, rtol=1e-4)
    assert importance((8, 8, 8), "gaussian").max() == 1 and importance((8, 8, 8), "gaussian").min() < 0.01


def test_a_map_for_each_head_and_their_mean(attended, study):
    table = attended.read_table("attention")
    assert len(table) == 12 * 4 and set(table["head"]) == {"mean", "1", "2", "3"}
    one = table[table["scan_id"] == table["scan_id"].iloc[0]].set_index("head")
    maps = {h: nib.load(attended.path / f).get_fdata() for h, f in one["file"].items()}
    np.testing.assert_allclose(maps["mean"], (maps["1"] + maps["2"] + maps["3"]) / 3, atol=1e-5)
    sidecar = json.loads((attended.path / one.loc["2", "file"].replace(".nii.gz", ".json")).read_text())
    assert sidecar["head"] == "2" and sidecar["unit"] == "times uniform" and sidecar["simulated"]
    assert sidecar["query"] == "CLS" and sidecar["interpolation"] == "nearest" and sidecar["block"] == 5
    assert "interpolated" in sidecar["field_of_view"] and table["outside_brain"].between(0, 1).all()
    store, scan = open_store(study.store), table["scan_id"].iloc[0]
    low, high = padded_box(store.shape(scan), (8, 8, 8))
    even = 1 - store.read_brain(scan).sum() / np.prod(high - low)
    assert one["outside_if_even"].tolist() == pytest.approx([even] * 4) and 0 < even < 1


def test_what_a_map_is_held_against_is_there(attended):
    random, norms, summary = (attended.read_table(n) for n in ("attention_random", "token_norms", "region_summary"))
    own = attended.read_table("attention").query("head == 'mean'")
    assert list(random["scan_id"]) == list(norms["scan_id"]) == list(own["scan_id"])
    a, b = (nib.load(attended.path / t["file"].iloc[0]).get_fdata() for t in (own, random))
    assert a.shape == b.shape and not np.allclose(a, b)
    assert (
        set(summary["weights"]) == {"pretrained", "random beside", "pretrained - random beside"}
        and (summary["people"] == 12).all()
    )
    assert ((summary["rank_low"] <= summary["rank"]) & (summary["rank"] <= summary["rank_high"])).all()
    assert (norms["outliers"] <= norms["tokens"]).all() and (attended.path / norms["file"].iloc[0]).is_file()
    assert not (attended.path / "parts").exists()
    outside = attended.read_table("outside_summary").set_index(["site", "weights"])
    assert set(outside.index.get_level_values("site")) == {"all", "A", "B"}
    everybody = outside.loc["all"]
    assert (everybody["people"] == 12).all() and (outside.loc["A", "people"] == 6).all()
    assert everybody.loc["pretrained", "outside_brain"] == pytest.approx(own["outside_brain"].mean())
    change = own["outside_brain"].mean() - random["outside_brain"].mean()
    difference = everybody.loc["pretrained - random beside"]
    assert difference["outside_brain"] == pytest.approx(change)
    assert difference["outside_brain_low"] <= change <= difference["outside_brain_high"]


def test_the_unit_is_multiples_of_uniform_attention(opened):
    """Each voxel has its patch's attention times the number of patches."""
    store, encoder = opened
    scan = store.scan_ids[0]
    maps = scan_maps(encoder, store, scan, CLS, Reading())
    low, high = padded_box(store.shape(scan), (8, 8, 8))
    volume = torch.from_numpy(store.read(scan, low, high).astype(np.float32))[None, None]
    row, grid = attention_rows(encoder, volume, [0])[:, :, 0, encoder.first_patch :], encoder.tokenise(volume)[1]
    centre = np.array(store.shape(scan)) // 2
    token = np.ravel_multi_index(tuple((centre - low) // 8), grid)
    np.testing.assert_allclose(maps.values[(slice(None), *centre)], row[0, :, token] * row.shape[2], rtol=1e-4)
    assert len(np.unique(maps.values[0])) <= row.shape[2]  # nearest: tokens look like tokens
    linear = scan_maps(encoder, store, scan, CLS, Reading(interpolation="linear")).values
    assert np.abs(np.diff(linear, axis=1)).max() < np.abs(np.diff(maps.values, axis=1)).max()


def test_attention_on_padding_counts_as_outside_the_brain(opened, monkeypatch):
    """Looking at every token alike, the share outside is the share of the padded box that is not brain."""

    def uniform(encoder, volume, weights_QN, *, block):
        seen = self_looking(encoder, volume, weights_QN, block=block)
        seen.rows_BHQN = torch.ones_like(seen.rows_BHQN) / seen.rows_BHQN.shape[-1]
        return seen

    monkeypatch.setattr(passes, "look", uniform)
    store, encoder = opened
    scan = store.scan_ids[0]
    low, high = padded_box(store.shape(scan), (8, 8, 8))
    maps = scan_maps(encoder, store, scan, CLS, Reading())
    assert maps.outside_brain == pytest.approx(1 - store.read_brain(scan).sum() / np.prod(high - low))
    np.testing.assert_allclose(maps.values, maps.values.flat[0], rtol=1e-5)
    for merge in ("gaussian", "constant"):  # windows that overlap and shifted grids: what is alike stays alike
        merged = scan_maps(encoder, store, scan, CLS, Reading(field="windows", merge=merge, shifts=2))
        assert merged.passes > 8  # of 8 patches each, beside CLS and a register
        np.testing.assert_allclose(merged.values, 8 / 10, rtol=1e-4)
        # whatever the passes are, a look that is even is told as one
        assert merged.outside_brain == pytest.approx(merged.outside_if_even) and 0 < merged.outside_if_even < 1


def test_where_windows_overlap_a_voxel_is_their_weighted_mean(opened, monkeypatch):
    """Each window says a number of its own; a voxel must have the mean of those that hold it, by the stated weights."""
    store, encoder = opened
    scan, reading = store.scan_ids[0], Reading(field="windows", overlap=0.5, merge="gaussian", shifts=2)
    said = []

    def numbered(encoder, volume, weights_QN, *, block):
        seen = self_looking(encoder, volume, weights_QN, block=block)
        said.append(float(len(said) + 1))
        seen.rows_BHQN = torch.full(seen.rows_BHQN.shape, said[-1] / np.prod(seen.grid_xyz))
        return seen

    monkeypatch.setattr(passes, "look", numbered)
    values = scan_maps(encoder, store, scan, CLS, reading).values[0]
    shape = store.shape(scan)
    total, weight = np.zeros(shape), np.zeros(shape)
    numbers = iter(said)
    for low, high in boxes(shape, (8, 8, 8), encoder.config.size_xyz, reading):
        if not store.read(scan, low, high).any():
            continue
        number = next(numbers)
        for voxel in np.ndindex(*(high - low)):  # by hand: exp(-d²/2σ²), σ an eighth of the window's edge
            place = low + voxel
            if (place >= 0).all() and (place < shape).all():
                away = (np.array(voxel) - (high - low - 1) / 2) / (0.125 * (high - low))
                here = max(np.exp(-0.5 * (away**2).sum()) / np.exp(-0.5 * 3 * (0.5 / (0.125 * 16)) ** 2), 1e-3)
                total[tuple(place)] += number * here
                weight[tuple(place)] += here
    assert len(said) > 8
    held = weight > 0
    np.testing.assert_allclose(values[held], (total[held] / weight[held]), rtol=1e-3)


@pytest.mark.parametrize("query", ["register:1", "region:left_hippocampus"])
def test_whoever_looks_has_a_map_of_its_own(study, opened, attended, tmp_path, query):
    scan = opened[0].scan_ids[0]
    run = run_attend(config(study, tmp_path / "x", scans=(scan,), query=query, sanity=False, heads=False))
    name = f"volumes/{scan}_desc-attnmean_map"
    own, cls = (nib.load(r.path / f"{name}.nii.gz").get_fdata() for r in (run, attended))
    assert not np.allclose(own, cls, rtol=1e-3)
    sidecar, other = (json.loads((r.path / f"{name}.json").read_text()) for r in (run, attended))
    assert sidecar["query"] == query and sidecar["encoder_digest"] == other["encoder_digest"]
    assert run.read_table("outside_summary")["weights"].tolist() == ["pretrained"] * 2  # all, and the scan's site


def test_queries_in_words(opened):
    store, _ = opened
    scan = store.scan_ids[0]
    low, high = padded_box(store.shape(scan), (8, 8, 8))
    weights, held = token_weights(parse_query("region:right_hippocampus"), store, scan, low, high, (8, 8, 8), 1)
    assert held == 1 and weights.sum() == pytest.approx(1) and not weights[:2].any()
    centre = np.argwhere(region_mask(store, scan, "right_hippocampus")).mean(0).round().astype(int)
    token = 2 + np.ravel_multi_index(tuple((centre - low) // 8), tuple((high - low) // 8))
    assert weights[token] > 0
    assert token_weights(parse_query("register:1"), store, scan, low, high, (8, 8, 8), 1)[0].argmax() == 1
    for wrong in ("", "clss", "voxel:1,2", "voxel:a,b,c", "voxel:nan,0,0", "register:0", "region:", "cls:1"):
        with pytest.raises(ConfigError, match="not understood"):
            parse_query(wrong)


def test_a_region_that_draws_attention_is_found_and_one_that_does_not_is_not():
    rng = np.random.default_rng(0)
    brain = ((np.indices((40, 44, 38)).transpose(1, 2, 3, 0) - 20) ** 2).sum(-1) < 17**2
    region = np.zeros_like(brain)
    region[12:16, 20:28, 18:22] = True
    flat, planted = rng.random(brain.shape), rng.random(brain.shape)
    planted[region] += 1
    rows = []
    for person in range(8):
        noise = rng.random(brain.shape) * 0.2
        mixed = rng.permutation(flat.ravel()).reshape(brain.shape)
        for weights, values in (("planted", planted), ("random beside", mixed)):
            mass = region_mass(values + noise, region, brain, 100, np.random.default_rng(person))
            assert mass["placed"] == 100
            rows.append({"scan_id": str(person), "region": "r", "weights": weights, **mass})
    summary = mass_summary(pd.DataFrame(rows), {str(i): str(i) for i in range(8)}, 0).set_index("weights")
    assert summary.loc["planted", "rank_low"] > 0.95 and summary.loc["planted", "ratio_low"] > 2
    assert summary.loc["random beside", "rank_low"] < 0.5 < summary.loc["random beside", "rank_high"]
    assert abs(summary.loc["random beside", "ratio"] - 1) < 0.1
    assert summary.loc["planted - random beside", "rank_low"] > 0.1


def test_an_outlier_in_the_background_is_told():
    norms, brain = np.random.default_rng(0).normal(10, 1, 200), np.ones(200)
    norms[7], brain[7] = 90, 0
    norms[100:], brain[100:], norms[7] = 2.0, 0, 90  # half of all tokens are empty and alike
    facts = norm_facts(norms, brain)
    assert facts["outliers"] == facts["outliers_in_background"] == 1 and facts["norm_largest"] == 90


def test_a_stopped_run_goes_on_and_does_no_scan_twice(study, tmp_path, monkeypatch):
    from workbench.analysis.attention import job as attention

    seen = []

    def stopping(encoder, store, scan, query, reading):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(scan)
        return scan_maps(encoder, store, scan, query, reading)

    asked = config(study, tmp_path / "run", sanity=False, heads=False)
    monkeypatch.setattr(attention, "scan_maps", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_attend(asked)
    monkeypatch.setattr(attention, "scan_maps", lambda *a: (seen.append(a[2]), scan_maps(*a))[1])
    run = run_attend(asked)
    assert len(seen) == len(set(seen)) == 12 and list(run.read_table("attention")["scan_id"]) == seen
    monkeypatch.setattr(attention, "scan_maps", None)  # a second look computes nothing
    assert run_attend(asked).ok


def test_rollout_has_one_map_and_says_so(study, tmp_path):
    scan = open_store(study.store).scan_ids[0]
    run = run_attend(config(study, tmp_path / "x", scans=(scan,), block="rollout", sanity=False))
    table = run.read_table("attention")
    assert list(table["head"]) == ["mean"] and list(table["block"]) == ["rollout"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scans": ("nobody",)}, "nobody"),
        ({"block": 99}, "choose 0 to 5"),
        ({"query": "register:9"}, "encoder has 1"),
        ({"query": "who"}, "not understood"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_written(study, tmp_path, changes, said):
    with pytest.raises(WorkbenchError, match=said):
        run_attend(config(study, tmp_path / "x", **changes))
    assert not (tmp_path / "x").exists()


def test_a_scan_without_the_place_is_set_aside(study, tmp_path):
    with pytest.raises(WorkbenchError, match="no scan could be used"):
        run_attend(config(study, tmp_path / "x", query="voxel:500,0,0", sanity=False))
