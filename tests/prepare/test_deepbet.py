"""The brain of a whole head: what lies around the network is tested with a network that knows the phantom."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.prepare.test_mask import head
from workbench.errors import ConfigError, ScanError
from workbench.prepare import deepbet, mask
from workbench.prepare.config import PrepareConfig
from workbench.prepare.scan import ScanFiles, prepare_scan
from workbench.volumes import Volume, canonical, write_volume


@pytest.fixture
def network(monkeypatch):
    """In place of the weights: the brain is what is brightest. ``seen`` holds the shapes that it was given."""
    seen: list[tuple[int, ...]] = []

    def bright(volume):
        seen.append(tuple(volume.shape))
        share = (volume > volume.min() + 0.85 * (volume.max() - volume.min())).float()
        return torch.cat([1 - share, share], dim=1)

    monkeypatch.setattr(deepbet, "_network", lambda name: bright)
    monkeypatch.setattr(deepbet, "require", lambda *_, **__: None)
    for module in (mask, deepbet):
        monkeypatch.setattr(module, "is_installed", lambda: True)
    return seen


def brain_share(found: Volume) -> tuple[float, float]:
    """Share of the brain of ``head`` that a mask holds, and share of the mask beyond it."""
    radius = np.linalg.norm(found.grid.to_world(np.argwhere(np.ones(found.data.shape))) - 117.5, axis=1)
    inside, held = radius < 62, found.data.ravel()
    return float(held[inside].mean()), float(held[radius > 74].sum() / held.sum())


def turned(scan: Volume) -> Volume:
    """The same head, stored back to front and from the top."""
    affine = scan.affine.copy()
    n = scan.data.shape[1] - 1
    affine[:, 3] += scan.affine[:, 1] * n
    affine[:, 1] *= -1
    return Volume(scan.data[:, ::-1].transpose(2, 1, 0).copy(), affine[:, [2, 1, 0, 3]])


def test_the_brain_lies_where_it_is_however_the_scan_is_stored(network):
    scan = head()
    found, other = deepbet.brain_of_head(scan), deepbet.brain_of_head(turned(scan))
    assert network[:2] == [(1, 1, 128, 128, 128), (1, 1, 256, 256, 256)]
    held, beyond = brain_share(found)
    assert held > 0.97 and beyond < 0.01 and other.data.shape == turned(scan).data.shape
    assert np.array_equal(canonical(other).data, canonical(found).data)


def test_auto_takes_it_for_a_whole_head_and_for_nothing_else(network):
    assert mask.find_mask(head(), "auto", None)[1] == "deepbet"
    stripped = head(noise=0.0)
    stripped.data[stripped.data < 90] = 0
    assert mask.find_mask(stripped, "auto", None)[1] == "nonzero" and len(network) == 2


def test_a_head_without_a_brain_is_said(network, monkeypatch):
    monkeypatch.setattr(deepbet, "BRAIN_ML", (5000.0, 6000.0))
    found, kind = mask.find_mask(head(), "auto", None)
    assert kind == "no_brain" and "finds no brain" in mask.KINDS[kind] and found.data.mean() > 0.1
    with pytest.raises(ScanError, match="no brain found"):
        mask.find_mask(head(), "deepbet", None)


def test_a_scan_is_made_again_where_it_was_installed_since(network, tmp_path, monkeypatch):
    from workbench.prepare import scan as scan_room

    path = write_volume(tmp_path / "head.nii.gz", head())
    config = PrepareConfig(out=tmp_path / "out", cohort=tmp_path, spacing=8.0)
    source = ScanFiles("a", str(path))
    monkeypatch.setattr(mask, "is_installed", lambda: False)
    monkeypatch.setattr(scan_room, "is_installed", lambda: False)
    before = prepare_scan(source, config, tmp_path)
    assert before.sidecar["mask"] == "head" and prepare_scan(source, config, tmp_path).kept
    for module in (mask, scan_room):
        monkeypatch.setattr(module, "is_installed", lambda: True)
    after = prepare_scan(source, config, tmp_path)
    assert after.sidecar["mask"] == "deepbet" and after.sidecar["key"] != before.sidecar["key"] and not after.kept
    assert prepare_scan(source, config, tmp_path).kept


def test_weights_of_other_content_are_not_loaded(tmp_path, monkeypatch):
    package = tmp_path / "deepbet"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('the package itself is never imported')")
    models = tmp_path / "data" / "models"
    models.mkdir(parents=True)
    (models / "model.pt").write_bytes(b"a program")
    monkeypatch.syspath_prepend(tmp_path)
    deepbet._network.cache_clear()
    for name in deepbet.DIGESTS:  # one of other content, one that is not there
        with pytest.raises(ConfigError, match="not the weights of deepbet"):
            deepbet._network(name)
