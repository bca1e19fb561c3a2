"""SnakeBeta at twice the rate: the filter, the bend, both ends, any cutting, compiled and plain."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn import alias_free
from tokaudio.nn.alias_free import AliasFreeSnake, bend, kaiser_sinc


@pytest.fixture(params=["compiled", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(alias_free, "compiled", lambda name: None)
    else:
        assert alias_free.compiled("alias_free") is not None
    return str(request.param)


def make(channels: int, seed: int = 0) -> AliasFreeSnake:
    generator = torch.Generator().manual_seed(seed)
    snake = AliasFreeSnake(channels).requires_grad_(False)
    snake.alpha.copy_(torch.rand(channels, generator=generator) - 0.5)
    snake.beta.copy_(torch.rand(channels, generator=generator) - 0.5)
    return snake


def noise(steps: int, channels: int, seed: int = 1) -> Tensor:
    return torch.randn(steps, channels, generator=torch.Generator().manual_seed(seed))


def by_hand(x: list[float], alpha: float, beta: float) -> list[float]:
    """The definition, one sum after the other: clamp, double, bend, clamp, halve."""
    taps, n = kaiser_sinc().double().tolist(), len(x)
    doubled = []
    for at in range(2 * n):
        value = 0.0
        for tap in range(12):
            # Tap k of the doubled signal's sample m meets input (m + 5 - k) / 2.
            if (at + 5 - tap) % 2 == 0:
                value += 2 * taps[tap] * x[min(max((at + 5 - tap) // 2, 0), n - 1)]
        doubled.append(value + math.sin(math.exp(alpha) * value) ** 2 / (math.exp(beta) + 1e-9))
    return [sum(taps[k] * doubled[min(max(2 * t + k - 5, 0), 2 * n - 1)] for k in range(12)) for t in range(n)]


def test_the_filter_is_symmetric_and_stops_at_a_quarter_of_the_rate():
    taps = kaiser_sinc()
    assert torch.allclose(taps, taps.flip(0)) and float(taps.sum()) == pytest.approx(1, abs=1e-6)
    response = torch.fft.rfft(torch.nn.functional.pad(taps, (0, 500 - 12))).abs()
    assert float(response[0]) == pytest.approx(1, abs=1e-6)
    assert float(response[125]) == pytest.approx(0.5, abs=0.01)
    assert bool((response[:50] > 0.9).all()) and bool((response[240:] < 0.05).all())


def test_a_steep_slope_has_no_window():
    # Kaiser's rule: little attenuation can be had of twelve taps on a steep slope, so that the window is flat.
    plain = torch.sinc(0.5 * (torch.arange(12) - 5.5))
    torch.testing.assert_close(kaiser_sinc(half_width=0.05), plain / plain.sum())
    assert float((kaiser_sinc() - plain / plain.sum()).abs().max()) > 0.01


def test_a_wide_transition_has_the_window_of_high_attenuation():
    attenuation = 2.285 * 5 * math.pi * 4 * 0.4 + 7.95
    assert attenuation > 50
    window = torch.kaiser_window(12, periodic=False, beta=0.1102 * (attenuation - 8.7))
    wanted = window * torch.sinc(0.5 * (torch.arange(12) - 5.5))
    torch.testing.assert_close(kaiser_sinc(half_width=0.4), wanted / wanted.sum())


@torch.no_grad()
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6, 11, 40])
def test_every_way_is_the_definition(way: str, steps: int):
    snake, x = make(3), noise(steps, 3)
    columns = zip(x.T.tolist(), snake.alpha.tolist(), snake.beta.tolist(), strict=True)
    wanted = torch.tensor([by_hand(*column) for column in columns]).T
    assert_near(snake.stage()(x, last=True), wanted)
    assert_near(snake(x.T[None])[0].T, wanted)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 47, 48, 49, 100])
@pytest.mark.parametrize("steps", [47, 48, 49, 97, 200])
def test_widths_and_lengths_around_the_tiles_of_the_kernel(channels: int, steps: int):
    snake, x = make(channels), noise(steps, channels)
    assert_near(snake.stage()(x, last=True).T, snake(x.T[None])[0])


@settings(max_examples=40, deadline=None)
@given(cuts=pieces(180), channels=st.sampled_from([2, 50]))
def test_pieces_give_the_same_bits(cuts: list[int], channels: int):
    with torch.no_grad():
        snake, x = make(channels), noise(sum(cuts), channels)
        assert torch.equal(in_pieces(snake.stage(), x, cuts), snake.stage()(x, last=True))


def test_with_gradients_the_stage_runs_by_torch_and_agrees():
    snake, x = make(4).requires_grad_(True), noise(60, 4)
    slow = in_pieces(snake.stage(), x, [20, 3, 37])
    slow.square().sum().backward()
    assert snake.alpha.grad is not None and bool(snake.alpha.grad.abs().min() > 0)
    assert snake.beta.grad is not None and bool(snake.beta.grad.abs().min() > 0)
    with torch.no_grad():
        assert_near(snake.stage()(x, last=True), slow)


@torch.no_grad()
def test_what_is_far_away_does_not_matter(way: str):
    snake, x = make(2), noise(60, 2)
    changed = x.clone()
    changed[30] += 1
    moved = (snake.stage()(x, last=True) != snake.stage()(changed, last=True)).any(1).nonzero().flatten()
    assert (int(moved[0]), int(moved[-1])) == (30 - alias_free.REACH, 30 + alias_free.REACH)


@torch.no_grad()
def test_large_values_bend_as_exactly_as_small_ones():
    x = noise(300, 5) * 40
    alpha, scale = torch.linspace(0.1, 8, 5), torch.linspace(0.2, 3, 5)
    exact = bend(x.double(), 5, 290, alpha.double(), scale.double())
    assert float((bend(x, 5, 290, alpha, scale) - exact).abs().max()) < 40 * 8 * 2e-6


@torch.no_grad()
def test_steps_that_are_no_block_of_memory_are_taken_too():
    x = noise(6, 90).T
    alpha, scale = torch.ones(12)[::2], torch.ones(6)
    wanted = bend(x.contiguous(), 0, 90, alpha.contiguous(), scale)
    assert torch.equal(bend(x, 0, 90, alpha, scale), wanted)


@torch.no_grad()
def test_empty_signals_stay_empty():
    snake = make(3)
    assert snake(torch.zeros(2, 3, 0)).shape == (2, 3, 0)
    assert snake.stage()(torch.zeros(0, 3), last=True).shape == (0, 3)


@torch.no_grad()
def test_another_default_type_changes_nothing():
    snake, x = make(3), noise(50, 3)
    wanted = snake.stage()(x, last=True)
    alias_free._taps.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(snake.stage()(x, last=True), wanted)
    finally:
        torch.set_default_dtype(torch.float32)


@torch.no_grad()
def test_other_floats_are_bent_in_their_own_type():
    snake, x = make(3), noise(50, 3)
    exact = snake.double().stage()(x.double(), last=True)
    assert exact.dtype == torch.float64
    assert_near(make(3).stage()(x, last=True).double(), exact)


def test_a_constant_is_bent_as_a_single_value():
    value = torch.full((1, 1, 30), 0.7)
    wanted = 0.7 + math.sin(0.7) ** 2
    assert_near(AliasFreeSnake(1)(value), torch.full((1, 1, 30), wanted))


def test_the_filter_made_in_inference_mode_serves_training():
    alias_free._taps.cache_clear()
    snake = AliasFreeSnake(2)
    with torch.inference_mode():
        snake(torch.zeros(1, 2, 8))
    snake(torch.randn(1, 2, 8)).sum().backward()
    assert snake.alpha.grad is not None
