"""Another contrast: the brain's places stay, its intensities go through a curve."""

import numpy as np
import torch

from workbench.engine.contrast import KNOTS, REACH, draw_curve, draw_tissues, remap
from workbench.engine.streams import Purpose, stream


def scans(count=3, seed=0):
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 1, 6, 7, 5)).astype(np.float32))
    x[:, :, :2] = 0  # outside the brain
    return x


def curves(count, strength):
    return torch.from_numpy(np.stack([draw_curve(stream(0, Purpose.CONTRAST, i), strength) for i in range(count)]))


def test_outside_stays_zero_and_the_brain_is_standardised():
    x = scans()
    y = remap(x, curves(3, 1.0))
    assert torch.equal(y == 0, x == 0)
    for one, there in zip(y, x != 0, strict=True):
        assert abs(one[there].mean()) < 1e-5 and abs(one[there].std(unbiased=False) - 1) < 1e-4


def test_it_is_a_function_of_the_intensity_that_interpolates_its_knots():
    x, curve = scans(1), curves(1, 1.0)
    y = remap(x, curve)
    inside = x != 0
    wanted = np.interp(x[inside].numpy(), np.linspace(-REACH, REACH, KNOTS), curve[0].numpy())
    wanted = (wanted - wanted.mean()) / wanted.std()
    np.testing.assert_allclose(y[inside].numpy(), wanted, atol=2e-5)


def test_without_strength_only_the_scale_changes_and_a_view_does_not_depend_on_its_neighbours():
    x = scans().clamp(-REACH, REACH)
    straight = remap(x, curves(3, 0.0))
    for one, was in zip(straight, x, strict=True):
        assert np.corrcoef(one[was != 0].numpy(), was[was != 0].numpy())[0, 1] > 0.99999
    drawn = curves(3, 1.0)
    torch.testing.assert_close(remap(x, drawn)[1:2], remap(x[1:2], drawn[1:2]))


def test_what_is_level_everywhere_is_no_number_gone_wrong():
    x = torch.zeros(2, 1, 4, 4, 4)
    x[1, 0, 1:3] = 1.5  # one tissue only
    y = remap(x, curves(2, 1.0))
    assert torch.isfinite(y).all() and (y[0] == 0).all()


def test_a_drawn_contrast_is_another_each_time_and_alike_on_both_sides():
    """Left and right of a structure are one kind: the same mean; background stays 0 and nothing else does."""
    labels = np.zeros((24, 24, 24), np.int16)
    labels[:12], labels[12:], labels[:, :4], labels[:, -4:] = 17, 53, 2, 99  # 99 has no name
    labels[:, :, 0] = 0
    kinds = np.zeros(60, np.int16)
    kinds[[17, 53, 2]] = 1, 1, 2
    brain = labels > 0
    contrasts = []
    for seed in range(20):
        x = draw_tissues(np.random.default_rng(seed), labels, kinds, brain)
        assert x.dtype == np.float32 and ((x == 0) == (labels == 0)).all()
        assert abs(x[brain].mean()) < 1e-3 and abs(x[brain].std() - 1) < 1e-3
        spread = max(float(x[labels == 17].std()), 0.05)
        assert abs(x[labels == 17].mean() - x[labels == 53].mean()) < 0.2 * spread
        contrasts.append(x[labels == 2].mean() - x[labels == 17].mean())
    assert min(contrasts) < 0 < max(contrasts)  # either is the brighter
    again = draw_tissues(np.random.default_rng(3), labels, kinds, brain)
    np.testing.assert_array_equal(again, draw_tissues(np.random.default_rng(3), labels, kinds, brain))
