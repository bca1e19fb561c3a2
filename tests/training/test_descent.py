"""Gradient descent with averaged weights."""

import torch
from torch import nn

from tests.near import assert_near
from tokaudio.training.descent import Descent, averaged_weights


def steps(descent: Descent, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        inputs = torch.randn(16, 3, generator=torch.Generator().manual_seed(number))
        loss = (descent.net(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        descent.step(loss, rate=0.05, step=number)


def make() -> Descent:
    torch.manual_seed(0)
    return Descent(nn.Linear(3, 1), average=0.9)


def test_it_learns_and_the_average_follows():
    descent = make()
    steps(descent, 60)
    assert_near(descent.net.weight, torch.ones(1, 3), within=0.1)
    assert_near(descent.averaged["weight"], torch.ones(1, 3), within=0.1)


def test_resuming_equals_going_on():
    whole, first, second = make(), make(), make()
    steps(whole, 7)
    steps(first, 4)
    second.load_state(first.state())
    steps(second, 3, first=4)
    for name, value in whole.averaged.items():
        assert torch.equal(value, second.averaged[name])
    assert torch.equal(whole.net.weight, second.net.weight)
    assert not torch.equal(whole.net.weight, first.net.weight)


def test_a_step_that_is_not_finite_is_left_out():
    descent = make()
    steps(descent, 2)
    before, average = descent.net.weight.clone(), descent.averaged["weight"].clone()
    descent.step(descent.net(torch.full((1, 3), torch.nan)).sum(), rate=1.0, step=2)
    assert torch.equal(descent.net.weight, before) and torch.equal(descent.averaged["weight"], average)


def test_gradients_are_limited():
    descent = Descent(nn.Linear(1, 1), clip_norm=2.0)
    descent.step(1e6 * descent.net(torch.ones(1, 1)).sum(), rate=0.0, step=0)
    norm = torch.stack([value.grad.square().sum() for value in descent.net.parameters()]).sum().sqrt()
    assert_near(norm, torch.tensor(2.0), within=1e-4)


def test_what_is_kept_is_averaged_and_buffers_as_they_are():
    net = nn.BatchNorm1d(2)
    descent = Descent(net)
    descent.averaged["weight"] = torch.full((2,), 7.0)
    kept = averaged_weights(descent.state())
    assert kept["weight"].tolist() == [7.0, 7.0] and set(kept) == set(net.state_dict())
