from __future__ import annotations

import numpy as np

from workbench.cohort.pictures import VALUES, Pictures
from workbench.volumes.thumbnail import alike_pairs


def test_pictures_come_back_in_the_order_chosen(tmp_path):
    rows = np.random.default_rng(0).normal(size=(6, VALUES)).astype(np.float16)
    with Pictures(tmp_path) as pictures:
        places = [pictures.add(row.tobytes()) for row in rows]
        pictures.choose([places[4], places[0], places[5]])
        assert len(pictures) == 3
        np.testing.assert_array_equal(pictures[np.array([2, 0])], rows[[5, 4]])
        pictures.add(rows[3].tobytes())  # reading in between does not move where the next one goes
        pictures.choose([6, 5])
        np.testing.assert_array_equal(pictures[np.arange(2)], rows[[3, 5]])
    assert not list(tmp_path.iterdir())


class Counted:
    """Pictures that know how many were asked for at a time."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.most = rows, 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: np.ndarray) -> np.ndarray:
        self.most = max(self.most, len(which))
        return self.rows[which]


def test_alike_pairs_are_the_same_in_blocks_and_need_few_pictures_at_a_time():
    draw = np.random.default_rng(1)
    people = draw.normal(size=(25, VALUES))
    rows = np.concatenate([people, people[::3] + 0.05 * draw.normal(size=people[::3].shape)])[draw.permutation(34)]
    every = np.arange(len(rows))
    counted = Counted(rows)
    found = {(i, j) for i, j, _ in alike_pairs(counted, every, every, once=True, rows=4)}
    assert counted.most == 8 and len(found) == 9
    both = {(i, j) for i, j, _ in alike_pairs(rows, every, every) if i != j}
    assert both == found | {(j, i) for i, j in found}
