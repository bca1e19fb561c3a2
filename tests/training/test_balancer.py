"""The balancer: shares of gradients as the formula has them, and independence of the sizes of losses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.training import balancer as module
from tokaudio.training.balancer import GradientBalancer


def output_of(seed: int = 0) -> Tensor:
    return torch.randn(2, 8, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def losses_of(output: Tensor, *, scale: float = 1.0) -> dict[str, Tensor]:
    return {"square": scale * output.square().mean(), "cosine": output.cos().sum()}


@settings(max_examples=25, deadline=None)
@given(
    weights=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
    sizes=st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)),
    scale=st.floats(0.1, 10),
)
def test_the_first_gradient_is_that_of_the_formula(weights, sizes, scale):
    output = output_of()
    wanted = torch.zeros_like(output)
    for weight, loss in zip(weights, losses_of(output).values(), strict=True):
        gradient = torch.autograd.grad(loss, output, retain_graph=True)[0]
        wanted += scale * weight / sum(weights) * gradient / gradient.norm()
    named = dict(zip(("square", "cosine"), weights, strict=True))
    sized = {name: size * loss for size, (name, loss) in zip(sizes, losses_of(output).items(), strict=True)}
    assert_near(GradientBalancer(named, scale=scale).gradient(sized, output), wanted)


def test_the_norms_are_averaged_over_steps():
    balancer, output = GradientBalancer({"a": 1.0}, decay=0.75), torch.zeros(1, requires_grad=True)
    for size in (2.0, 4.0, 6.0, 8.0, 16.0):
        found = balancer.gradient({"a": size * output.sum()}, output)
    # The mean of the first four is 5; then 0.75 * 5 + 0.25 * 16.
    assert balancer.norms["a"] == pytest.approx(7.75)
    assert_near(found, torch.tensor([16 / 7.75]))


def test_a_lone_loss_has_all_and_an_absent_one_no_share():
    balancer, output = GradientBalancer({"square": 1.0, "cosine": 3.0}), output_of()
    found = balancer.gradient({"square": losses_of(output)["square"]}, output)
    assert_near(found.norm(), torch.tensor(1.0))


def test_a_weight_of_zero_and_a_gradient_of_zero_change_nothing():
    output = output_of()
    balancer = GradientBalancer({"square": 1.0, "cosine": 0.0, "flat": 1.0})
    found = balancer.gradient({**losses_of(output), "flat": 0 * output.sum()}, output)
    alone = torch.autograd.grad(output.square().sum(), output)[0]
    assert_near(found, 0.5 * alone / alone.norm())
    assert "cosine" not in balancer.norms


def test_a_gradient_that_is_not_finite_is_left_out():
    output = output_of()
    balancer = GradientBalancer({"square": 1.0, "cosine": 1.0})
    losses = losses_of(output)
    found = balancer.gradient({**losses, "cosine": losses["cosine"] * torch.nan}, output)
    assert bool(torch.isfinite(found).all()) and bool(found.any()) and "cosine" not in balancer.norms


def test_it_goes_back_into_the_network_with_what_is_not_balanced():
    torch.manual_seed(0)
    net, inputs = nn.Linear(4, 8), torch.randn(2, 4)
    output, besides = net(inputs), net.bias.square().sum()
    balanced = GradientBalancer({"square": 1.0, "cosine": 1.0}).gradient(losses_of(output), output)
    wanted = torch.autograd.grad((output * balanced).sum() + besides, list(net.parameters()))
    output, besides = net(inputs), net.bias.square().sum()
    figures = GradientBalancer({"square": 1.0, "cosine": 1.0}).backward(losses_of(output), output, besides=besides)
    for parameter, gradient in zip(net.parameters(), wanted, strict=True):
        assert_near(parameter.grad, gradient)
    assert set(figures) == {"norm_square", "norm_cosine"} and min(figures.values()) > 0


def test_training_does_not_depend_on_the_size_of_a_loss():
    ends = []
    for scale in (1.0, 1e4):
        torch.manual_seed(0)
        net, inputs = nn.Linear(4, 8), torch.randn(2, 4)
        optimizer, balancer = (
            torch.optim.SGD(net.parameters(), lr=0.1),
            GradientBalancer({"square": 1.0, "cosine": 1.0}),
        )
        for _ in range(5):
            optimizer.zero_grad()
            output = net(inputs)
            balancer.backward(losses_of(output, scale=scale), output)
            optimizer.step()
        ends.append(net.weight)
    assert_near(*ends, within=1e-4)


def test_resuming_equals_going_on():
    output, first, second = output_of(), *(GradientBalancer({"square": 1.0, "cosine": 2.0}) for _ in range(2))
    first.gradient(losses_of(output), output)
    second.load_state(first.state())
    later = output_of(1)
    assert torch.equal(first.gradient(losses_of(later), later), second.gradient(losses_of(later), later))
    assert first.norms == second.norms


def test_what_cannot_be_balanced_is_refused():
    output = output_of()
    with pytest.raises(ValueError, match="cosine: is a loss without a weight"):
        GradientBalancer({"square": 1.0}).gradient(losses_of(output), output)
    for wrong in ({}, {"a": 0.0}, {"a": 1.0, "b": -1.0}):
        with pytest.raises(ValueError, match="weights are"):
            GradientBalancer(wrong)
    with pytest.raises(ValueError, match="decay is 1"):
        GradientBalancer({"a": 1.0}, decay=1)


def test_several_processes_share_the_norms(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "add_up", lambda norm: norm + 3.0)
    monkeypatch.setattr(module, "process_count", lambda: 2)
    output, mine = torch.zeros(1, requires_grad=True), GradientBalancer({"a": 1.0})
    found = mine.gradient({"a": 5 * output.sum()}, output)
    assert mine.norms["a"] == pytest.approx(4.0)
    assert_near(found, torch.tensor([5 / 4]))
