"""The same place in two views: geometry on phantoms, and what is a positive and a negative."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engine.bend import Placement
from workbench.pretrain.config import ViewSettings
from workbench.pretrain.draw_views import draw_view
from workbench.pretrain.objectives.tokens import (
    brain_tokens,
    inside,
    match,
    match_other_view,
    match_same_view,
    places_elsewhere,
    sample_map,
    token_numbers,
)

SHAPE = (40, 48, 36)


def two_views(seed: int, size, bend: float = 0.0) -> Placement:
    settings = ViewSettings(scale=(0.2, 0.9), rotation=30, flip=0.5, bend=bend)
    views = [draw_view(np.random.default_rng([seed, v]), settings, SHAPE, size) for v in range(2)]
    knots = torch.tensor(np.stack([v.bend.knots for v in views]), dtype=torch.float64)[:, None] if bend else None
    shapes = torch.tensor(SHAPE, dtype=torch.float64).expand(2, 1, 3)
    return Placement(torch.tensor(np.stack([v.matrix for v in views]))[:, None], shapes, knots)


@pytest.mark.parametrize("patch", [(8, 8, 8), (4, 8, 16)], ids=["cubes", "anisotropic"])
@pytest.mark.parametrize("bend", [0.0, 0.03], ids=["straight", "bent"])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_token_s_place_in_the_other_view_shows_the_same_point_of_the_scan(seed, patch, bend):
    """Flips, rotations, zooms, patches that are no cubes: both places are the same point of the head."""
    size = (32, 32, 32)
    grid = tuple(n // p for n, p in zip(size, patch, strict=True))
    where = two_views(seed, size, bend)
    there = places_elsewhere(where, grid, patch)  # (2, 1, P, 3)
    edge = torch.tensor(patch, dtype=torch.float64)
    own = where.flat().to_scan(((token_numbers(grid, where.matrices) + 0.5) * edge - 0.5).expand(2, -1, -1))
    other = where.other_view().flat().to_scan((there.flatten(0, 1) + 0.5) * edge - 0.5)
    torch.testing.assert_close(own, other, atol=0.02, rtol=0)


def test_places_outside_the_other_view_do_not_count():
    grid = (4, 4, 4)
    shift = torch.eye(3, 4, dtype=torch.float64)
    moved = shift.clone()
    moved[0, 3] = 16.0  # the second view lies two tokens to the right
    where = Placement(torch.stack([shift, moved])[:, None], torch.full((2, 1, 3), 64.0, dtype=torch.float64))
    there = places_elsewhere(where, grid, (8, 8, 8))
    counted = inside(there.flatten(0, 1), grid).view(2, *grid)
    assert counted[0].any(-1).any(-1).tolist() == [False, False, True, True]
    assert counted[1].any(-1).any(-1).tolist() == [True, True, False, False]
    torch.testing.assert_close(there[0, 0].view(*grid, 3)[3, 1, 2], torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64))


def test_a_view_of_itself_has_its_tokens_where_they_are():
    grid, one = (5, 4, 3), torch.eye(3, 4, dtype=torch.float64)
    where = Placement(torch.stack([one, one])[:, None], torch.full((2, 1, 3), 40.0, dtype=torch.float64))
    there = places_elsewhere(where, grid, (8, 8, 8))
    torch.testing.assert_close(there[0, 0], token_numbers(grid, there))
    tokens = torch.randn(1, 60, 7, dtype=torch.float64)
    torch.testing.assert_close(sample_map(tokens, there[0], grid), tokens)


def test_halfway_between_tokens_is_their_mean():
    tokens = torch.randn(1, 8, 5, dtype=torch.float64)
    at = torch.tensor([[[0.5, 0.0, 1.0]]], dtype=torch.float64)
    grid = tokens.view(2, 2, 2, 5)
    torch.testing.assert_close(sample_map(tokens, at, (2, 2, 2))[0, 0], (grid[0, 0, 1] + grid[1, 0, 1]) / 2)


def test_the_loss_is_the_definition():
    """Written out token by token, from eq. 4 of arXiv 1807.03748: negatives within the scan, brain only."""
    torch.manual_seed(0)
    student, teacher = (torch.nn.functional.normalize(torch.randn(2, 6, 4), dim=-1) for _ in range(2))
    brain = torch.tensor([[True, True, True, False, True, False], [True, False, True, True, False, False]])
    found = match_same_view(student, teacher, brain, brain, 0.1)
    each = []
    for b in range(2):
        keys = brain[b].nonzero().squeeze(1).tolist()
        for p in keys:
            scores = torch.stack([student[b, p] @ teacher[b, q] / 0.1 for q in keys])
            each.append(float(scores.logsumexp(0) - scores[keys.index(p)]))
    assert float(found.loss) == pytest.approx(np.mean(each), rel=1e-5)
    assert float(found.chance) == pytest.approx((4 / 4 + 3 / 3) / 7)


def test_another_scan_is_never_a_negative():
    """What one scan's tokens are changes nothing for another scan's."""
    torch.manual_seed(0)
    student, teacher = (torch.nn.functional.normalize(torch.randn(2, 5, 4), dim=-1) for _ in range(2))
    first = torch.tensor([[True] * 5, [False] * 5])
    everybody = torch.ones(2, 5, dtype=torch.bool)
    before = match_same_view(student, teacher, first, everybody, 0.1).loss
    teacher[1] = teacher[1].flip(0)
    assert torch.equal(before, match_same_view(student, teacher, first, everybody, 0.1).loss)


def test_tokens_near_the_place_are_no_negatives():
    grid = (4, 1, 1)
    at = torch.tensor([[[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0], [9.0, 0, 0]]])
    student = torch.nn.functional.normalize(torch.randn(1, 4, 3), dim=-1)
    everything = torch.ones(1, 4, dtype=torch.bool)
    near = match_other_view(student, student, at, grid, everything, everything, 1.5, 0.1)
    # three tokens lie inside; of the four of the other view those 2 and more away are left: 2, 1 and 1
    assert float(near.chance) == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    assert float(near.part) == pytest.approx(3 / 4)


def test_nothing_in_common_is_no_loss_and_no_error():
    student = torch.nn.functional.normalize(torch.randn(1, 4, 3), dim=-1).requires_grad_()
    nobody = torch.zeros(1, 4, dtype=torch.bool)
    found = match(student.sum(-1), student @ student.transpose(1, 2), nobody, 0.1)
    assert float(found.loss.detach()) == 0
    found.loss.backward()
    assert torch.isfinite(student.grad).all()


def test_brain_tokens_hold_more_than_their_share():
    volume = torch.zeros(1, 1, 8, 8, 8)
    volume[..., :4, :4, :2] = 1.0  # half of the first token
    volume[..., 4:, 4:, 7:] = 1.0  # a quarter of the last
    assert brain_tokens(volume, (4, 4, 4), 0.3)[0].tolist() == [True, *[False] * 7]
    assert int(brain_tokens(volume, (4, 4, 4), 0.2).sum()) == 2


def test_a_perfect_student_has_almost_no_loss():
    tokens = torch.eye(6)[None]
    everything = torch.ones(1, 6, dtype=torch.bool)
    found = match_same_view(tokens, tokens, everything, everything, 0.1)
    assert float(found.loss) == pytest.approx(math.log(1 + 5 * math.exp(-10)), rel=1e-3) and float(found.top1) == 1
