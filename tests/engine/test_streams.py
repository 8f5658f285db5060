from workbench.engine.streams import Purpose, step_seed, stream


def test_draws_depend_on_all_of_seed_purpose_and_place_and_on_nothing_else():
    def first(*args):
        return stream(*args).integers(2**62)

    base = first(0, Purpose.VIEWS, 3, 1)
    assert base == first(0, Purpose.VIEWS, 3, 1)
    others = {
        first(1, Purpose.VIEWS, 3, 1),
        first(0, Purpose.MASKS, 3, 1),
        first(0, Purpose.VIEWS, 4, 1),
        first(0, Purpose.VIEWS, 3, 0),
        first(0, Purpose.VIEWS, 3),
    }
    assert len(others) == 5 and base not in others


def test_each_step_of_each_rank_has_its_own_seed():
    seeds = {step_seed(seed, step) for seed in range(4) for step in range(50)}
    assert len(seeds) == 200
