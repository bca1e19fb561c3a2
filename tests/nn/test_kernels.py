"""One-pass kernels: as exact as PyTorch's several passes, and replaceable by them."""

from __future__ import annotations

import pytest
import torch

from tests.near import assert_near
from tokaudio.nn import kernels
from tokaudio.nn.activations import Snake


@pytest.fixture(params=["compiled", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(kernels, "compiled", lambda name: None)
    else:
        assert kernels.compiled("kernels") is not None
    return str(request.param)


@torch.no_grad()
@pytest.mark.parametrize("spread", [1e-3, 1.0, 30.0])
def test_snake_is_right_to_the_last_bits(way: str, spread: float) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 37, generator=generator) * spread
    alpha = torch.rand(37, generator=generator) * 3 + 0.1
    scale = (alpha + 1e-9).reciprocal()
    exact = x.double() + scale.double() * torch.sin(alpha.double() * x.double()).square()
    error = (kernels.snake(x, alpha, scale) - exact).abs() / exact.abs().clamp_min(1)
    assert error.max() < 3e-6


@torch.no_grad()
def test_snake_stage_equals_the_module(way: str) -> None:
    snake = Snake(5)
    snake.alpha.copy_(torch.tensor([0.0, 0.1, -1.0, 2.0, 50.0]))
    x = torch.randn(5, 200)
    assert_near(snake.stage()(x.T, last=True).T, snake(x[None])[0])


@torch.no_grad()
@pytest.mark.parametrize(("stride", "dilation", "bias"), [(1, 1, True), (1, 9, False), (3, 1, True), (2, 2, False)])
def test_depthwise_is_a_grouped_convolution(way: str, stride: int, dilation: int, bias: bool) -> None:
    x, weight = torch.randn(60, 6), torch.randn(6, 7)
    offset = torch.randn(6) if bias else None
    wanted = torch.nn.functional.conv1d(x.T[None], weight[:, None], offset, stride, 0, dilation, 6)[0].T
    got = kernels.depthwise(x, weight, offset, stride=stride, dilation=dilation, count=len(wanted))
    assert_near(got, wanted)


def test_gradients_pass_where_they_are_wanted() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    kernels.snake(x, torch.ones(3), torch.ones(3)).sum().backward()
    assert_near(x.grad, 1 + torch.sin(2 * x.detach()))
