"""Tokens between scans: a planted correspondence is found, and none where there is none."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from workbench.analysis.config import TokensConfig
from workbench.analysis.tokens.correspond import mirrored, weights_paired
from workbench.analysis.tokens.job import run_tokens
from workbench.analysis.tokens.rgb import Colours
from workbench.errors import WorkbenchError
from workbench.model import EncoderConfig
from workbench.model.vit import Encoder, Tokens
from workbench.predict import token_grid as module
from workbench.predict.query import region_mask
from workbench.prepare import open_store


def config(study, out, **changes):
    return TokensConfig(out=out, store=study.store, encoder=study.encoder_run, accelerator="cpu", **changes)


class Bright(Encoder):
    """Tokens that say how bright a patch's brightest voxel is and on which side it lies: hippocampi are lit up."""

    sides = True

    def forward(self, volume_B1XYZ, *, hidden=()):
        voxels, grid = volume_B1XYZ, tuple(n // 4 for n in volume_B1XYZ.shape[2:])
        most = torch.nn.functional.max_pool3d(voxels, 4)[0, 0].flatten()
        x = torch.linspace(-1, 1, grid[0]).repeat_interleave(grid[1] * grid[2])
        told = torch.stack([most.clamp(min=0) ** 2, 2 * x if self.sides else 0 * x, torch.ones_like(x)], 1)[None]
        all_ = torch.cat([torch.ones(1, 2, 3), told], 1)
        return Tokens(all_, 1, grid)


class Blind(Bright):
    """Tokens drawn at random, other ones in each scan."""

    def forward(self, volume_B1XYZ, *, hidden=()):
        tokens = super().forward(volume_B1XYZ)
        seed = int(volume_B1XYZ.abs().sum() * 1000)
        drawn = torch.randn(tokens.patches_BPD.shape, generator=torch.Generator().manual_seed(seed))
        return Tokens(torch.cat([torch.ones(1, 2, 3), drawn], 1), 1, tokens.grid_xyz)


def planted(kind):
    def opened(store, encoder, *, init, seed):
        from workbench.model import load_encoder

        card = load_encoder(encoder)[1]
        return open_store(store), kind(EncoderConfig(preset="micro", image_size=16, patch=4, registers=1)).eval(), card

    return opened


def test_a_planted_correspondence_is_found_and_none_where_none_is(study, tmp_path, monkeypatch):
    results = {}
    for kind in (Bright, Blind):
        monkeypatch.setattr("workbench.analysis.tokens.job.open_matching", planted(kind))
        run = run_tokens(config(study, tmp_path / kind.__name__, rgb=False, sanity=False))
        results[kind] = run.read_table("site_pairs")
    found, blind = results[Bright], results[Blind]
    assert len(found) == 2 * 2 * 2 and set(found["source_site"]) == {"A", "B"}  # structures × sites × sites
    assert (found["people"] == 6).all() and found["hit"].min() > 0.6 and found["above_chance_low"].min() > 0.1
    assert (blind["hit"] - blind["chance"]).abs().mean() < 0.2 and blind["hit"].mean() < 0.7
    assert found["hit"].mean() > blind["hit"].mean() + 0.2
    assert found["distance_mm"].mean() < blind["distance_mm"].mean()


def test_a_heat_map_is_hottest_where_the_query_is(study, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.analysis.tokens.job.open_matching", planted(Bright))
    store = open_store(study.store)
    source, target = store.scan_ids[:2]
    run = run_tokens(
        config(
            study,
            tmp_path / "x",
            source=source,
            scans=(target,),
            rgb=False,
            structures=(),
            query="region:left_hippocampus",
        )
    )
    row = run.read_table("maps").iloc[0]
    centre = store.grid(target).to_world(np.argwhere(region_mask(store, target, "left_hippocampus")).mean(0))
    assert np.abs(row[["x_mm", "y_mm", "z_mm"]].to_numpy(float) - centre).max() <= 4 * 3.0 + 3
    assert row["x_mm"] < 0  # the left one
    image = nib.load(run.path / row["file"])
    assert nib.aff2axcodes(image.affine) == tuple(store.index["axcodes"].iloc[1])
    assert image.get_fdata().max() == pytest.approx(row["largest"], abs=1e-4)
    sidecar = json.loads((run.path / row["file"].replace(".nii.gz", ".json")).read_text())
    assert sidecar["source"] == source and sidecar["simulated"]


def test_colours_are_a_volume_in_the_scans_own_space(study, tmp_path):
    scan = open_store(study.store).scan_ids[1]
    run = run_tokens(config(study, tmp_path / "x", scans=(scan,), structures=()))
    file = run.read_table("maps")["file"].iloc[0]
    image, own = nib.load(run.path / file), nib.load(open_store(study.store).index["path"].iloc[1])
    np.testing.assert_allclose(image.affine, own.affine, atol=1e-4)
    data = np.asanyarray(image.dataobj)
    assert data.shape == own.shape and data.dtype.names == ("R", "G", "B")
    assert all(len(np.unique(data[c])) > 5 for c in "RGB")
    assert run.read_table("colours")["variance_share"].is_monotonic_decreasing
    assert (run.path / "reference" / "colours.safetensors").is_file()


@pytest.mark.parametrize("kind", [Bright, Blind])
def test_colours_show_what_tokens_say_alike_in_every_scan(study, kind):
    """Tokens that say their side become a colour that goes from left to right, the same way in all scans, also those
    that the axes were not fitted on; of tokens drawn at random no colour does."""
    store, encoder, _ = planted(kind)(study.store, study.encoder_run, init="pretrained", seed=0)
    colours = Colours.fit(encoder, store, list(store.scan_ids[:4]), -1, 0)
    along = []
    for scan in store.scan_ids:
        grid = module.token_grid(encoder, store, scan)
        brain = np.flatnonzero(grid.brain >= module.BRAIN)
        x = grid.centre(brain)[:, 0]
        along.append([np.corrcoef(x, channel)[0, 1] for channel in colours.of(grid)[brain].T])
    strongest = np.array(along)[:, np.abs(along[0]).argmax()]
    if kind is Bright:
        assert np.abs(strongest).min() > 0.6 and len(set(np.sign(strongest))) == 1
    else:
        assert np.abs(along).max() < 0.4


def test_tokens_of_an_earlier_block_differ(study):
    from workbench.model import load_encoder

    store, encoder = open_store(study.store), load_encoder(study.encoder_run)[0]
    last, first = (module.token_grid(encoder, store, store.scan_ids[0], b) for b in (-1, 0))
    assert last.unit_PD.shape == first.unit_PD.shape and not np.allclose(last.unit_PD, first.unit_PD)
    np.testing.assert_allclose(np.linalg.norm(first.unit_PD, axis=1), 1, rtol=1e-5)
    assert mirrored("left_amygdala") == "right_amygdala" and mirrored("brain_stem") is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": "nobody"}, "nobody"),
        ({"rgb": False, "structures": ()}, "nothing to do"),
        ({"rgb": False, "structures": ("left_nothing",)}, "nothing can be compared"),
        ({"block": 6}, "choose 0 to 5"),
    ],
)
def test_refusals(study, tmp_path, changes, said):
    with pytest.raises(WorkbenchError, match=said):
        run_tokens(config(study, tmp_path / "x", **changes))


def test_weights_are_compared_within_people_who_have_both():
    rows = [
        {
            "participant": f"p{i}",
            "structure": structure,
            "source_site": source,
            "target_site": "A",
            "weights": weights,
            "hit": i / 10 + (0.2 if weights == "pretrained" and source == "A" else 0),
        }
        for i in range(5)
        for structure in ("left", "right")
        for source in "AB"
        for weights in ("pretrained", "random beside")
    ]
    rows.append({**rows[0], "participant": "alone", "hit": 1.0})  # without the other weights: no pair
    table = weights_paired(pd.DataFrame(rows), "pretrained", "random beside", 0)
    table = table.set_index(["structure", "source_site", "target_site"])
    assert len(table) == 2 * 2 + 2 + 2 and (table["people"] == 5).all()
    planted = table.loc[("left", "A", "A")]  # people differ by 0.4, the arms by 0.2 in each: no width is left
    assert planted[["difference", "low", "high"]].to_numpy(float) == pytest.approx([0.2] * 3)
    assert table.loc[("all", "within", "within"), "difference"] == pytest.approx(0.2)
    assert table.loc[("all", "between", "between"), "difference"] == 0
    assert planted["p_sign_flip"] == 2 / 2**5
    assert weights_paired(pd.DataFrame(rows).query("weights == 'pretrained'"), "pretrained", "random beside", 0).empty
