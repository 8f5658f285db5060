import itertools

import pytest
import torch

from workbench.errors import ConfigError
from workbench.finetune.config import ClassifyConfig
from workbench.finetune.loop import _set_rates, fit, parameter_groups
from workbench.model.classifier import Classifier
from workbench.model.config import EncoderConfig
from workbench.model.export import fresh_encoder
from workbench.runs import start_run

TINY = EncoderConfig(preset="micro", image_size=8, patch=8, registers=1)


def config(out, **changes):
    return ClassifyConfig.build(
        {
            "out": out,
            "store": "s",
            "split": "p",
            "encoder": "e",
            "mode": "full",
            "learning_rate": 1e-2,
            "checkpoint_minutes": 0.0,
            **changes,
        }
    )


def trained(out, steps=6, fail_at=None, frozen=None, **changes):
    """Weights after some steps on noise, whether or not a failure on the way made it start again."""
    c = config(out, **changes)

    def once(fail):
        torch.manual_seed(0)
        encoder = fresh_encoder(TINY, 0)
        model, seconds = Classifier(encoder, 2), []

        def backward(step):
            # no gradients to pay for, and no drop path
            still = c.freeze or step < (c.freeze_steps if frozen is None else frozen)
            assert encoder.training != still
            assert all(p.requires_grad != still for p in encoder.parameters())
            if fail is not None and step == fail:
                raise RuntimeError("the power went")
            volume = torch.randn(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(step))
            loss = torch.nn.functional.cross_entropy(model(volume), torch.tensor([0, 1]))
            loss.backward()
            return float(loss.detach())

        with start_run(c) as run:
            fit(model, encoder, backward, steps, c, run, after=lambda step, s: seconds.append((step, s)))
        return {k: v.clone() for k, v in model.state_dict().items()}, seconds

    if fail_at is not None:
        with pytest.raises(RuntimeError):
            once(fail_at)
    return once(None)


def moved(weights, prefix):
    before = Classifier(fresh_encoder(TINY, 0), 2).state_dict()
    return sum(float((weights[k] - before[k]).abs().sum()) for k in before if k.startswith(prefix))


def test_the_encoder_is_frozen_first_and_then_trained(tmp_path):
    still, _ = trained(tmp_path / "a", steps=3, freeze_steps=3)
    later, _ = trained(tmp_path / "b", steps=8, freeze_steps=3)
    assert moved(still, "encoder.") == 0 and moved(still, "linear.") > 0
    assert moved(later, "encoder.blocks") > 0


@pytest.mark.parametrize("changes", [{}, {"freeze_steps": 4}, {"freeze": True}, {"layer_decay": 0.6}])
def test_a_training_that_broke_off_ends_in_the_same_weights(tmp_path, changes):
    whole, one = trained(tmp_path / "whole", **changes)
    again, two = trained(tmp_path / "again", fail_at=3, **changes)
    assert all((whole[k] == again[k]).all() for k in whole)
    assert [s for s, _ in one] == [1, 2, 3, 4, 5, 6] and [s for s, _ in two] == [4, 5, 6]
    assert all(a < b for (_, a), (_, b) in itertools.pairwise(one)) and two[0][1] > 0


def test_an_unfrozen_encoder_rises_to_its_rate(tmp_path):
    """Its first step after the freeze is a small one: AdamW's first steps are all of the rate's size."""
    encoder = fresh_encoder(TINY, 0)
    c = config(tmp_path, freeze_steps=20, layer_decay=1.0)
    optimiser = torch.optim.AdamW(parameter_groups(Classifier(encoder, 2), encoder, c), lr=0.0)
    ratios = []
    for step in range(100):
        rate = _set_rates(optimiser, step, 100, c)
        inside, outside = ({g["lr"] for g in optimiser.param_groups if g["encoder"] == e} for e in (True, False))
        assert outside == {rate}
        ratios.append(inside.pop() / rate if rate else 1.0)
    assert ratios[:20] == [0.0] * 20 and ratios[20] == pytest.approx(0.1) and ratios[29:] == [1.0] * 71
    assert ratios[19:30] == sorted(ratios[19:30])


def test_warm_up_trains_the_head_then_everything_with_a_rise_each_and_goes_down_to_nothing(tmp_path):
    c = config(tmp_path / "c", schedule="warm_up", warm_up=0.25)
    optimiser = torch.optim.AdamW(parameter_groups(Classifier(fresh_encoder(TINY, 0), 2), None, c), lr=0.0)
    rates = [_set_rates(optimiser, step, 40, c) for step in range(40)]
    assert rates[:10] == rates[10:20] == sorted(rates[:10]) and rates[9] == rates[20] == c.learning_rate
    assert rates[20:] == sorted(rates[20:], reverse=True) and 0 < rates[-1] < 0.1 * c.learning_rate
    assert rates[30] == pytest.approx(c.learning_rate * 0.5**0.9)
    still, _ = trained(tmp_path / "still", steps=2, frozen=1, schedule="warm_up", warm_up=0.4)
    assert moved(still, "encoder.") > 0 and moved(still, "linear.") > 0
    for wrong, said in (
        ({"warm_up": 0.2}, "only with schedule"),
        ({"schedule": "warm_up", "freeze_steps": 2}, "by itself"),
    ):
        with pytest.raises(ConfigError, match=said):
            config(tmp_path, **wrong)


def test_layer_decay_lowers_the_rate_block_by_block(tmp_path):
    encoder = fresh_encoder(TINY, 0)
    model = Classifier(encoder, 2)
    shares = {
        id(p): g["share"]
        for g in parameter_groups(model, encoder, config(tmp_path, layer_decay=0.5))
        for p in g["params"]
    }
    assert shares[id(model.linear.weight)] == shares[id(encoder.norm.weight)] == 1
    assert [shares[id(b.norm1.weight)] for b in encoder.blocks] == [0.5 ** (6 - i) for i in range(6)]
    assert shares[id(encoder.embed.weight)] == shares[id(encoder.cls)] == 0.5**7
    assert len(shares) == len(list(model.parameters()))
    even, _ = trained(tmp_path / "even", steps=2)
    lower, _ = trained(tmp_path / "lower", steps=2, layer_decay=0.5)
    assert moved(lower, "encoder.blocks.0") < 0.1 * moved(even, "encoder.blocks.0")


def test_biases_and_norms_do_not_decay(tmp_path):
    encoder = fresh_encoder(TINY, 0)
    groups = parameter_groups(Classifier(encoder, 2), encoder, config(tmp_path, weight_decay=0.3))
    for group in groups:
        assert all(group["weight_decay"] == (0.3 if p.ndim > 1 else 0.0) for p in group["params"])
