"""How long is left."""

from workbench.study.cells.estimate import minutes_left, told


def test_what_is_left_is_estimated_from_the_nearest_kind_that_has_ended():
    done = [
        ({"stage": "test", "task": "t", "arm": "a", "kind": "segment"}, 60.0),
        ({"stage": "test", "task": "t", "arm": "b", "kind": "segment"}, 180.0),
    ]
    same, near = {**done[0][0], "fold": 3}, {**done[0][0], "arm": "c"}
    assert minutes_left(done, [same, same], 1) == (2.0, 0)
    assert minutes_left(done, [near], 2) == (1.0, 0)  # the mean of the task's other arms, on two processes
    assert minutes_left(done, [near, {"stage": "pretrain", "data": "d", "arm": "a"}], 1) == (2.0, 1)
    assert "not known" in told(0, 5, *minutes_left([], [same] * 5, 1)) and "nothing is left" in told(2, 0, 0.0, 0)
