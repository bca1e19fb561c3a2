"""Noise that depends on a seed, a level and a position, and on nothing else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn.noise import NoiseBlock, noise_at


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, 20_000), count=st.integers(0, 9_000), seed=st.integers(-5, 2**64), level=st.integers(0, 3))
def test_a_position_has_one_value(start: int, count: int, seed: int, level: int) -> None:
    got = noise_at(start, count, seed=seed, level=level)
    first = start // 2
    more = noise_at(first, start - first + count + 5, seed=seed, level=level)
    assert got.shape == (count,) and torch.equal(got, more[start - first : start - first + count])


def test_seeds_levels_and_stretches_differ() -> None:
    rows = [noise_at(0, 5000, seed=seed, level=level) for seed in range(5) for level in range(4)]
    rows += [noise_at(4096 * n, 5000, seed=0) for n in range(1, 5)]
    correlations = torch.corrcoef(torch.stack(rows)) - torch.eye(len(rows))
    assert float(correlations.abs().max()) < 0.1


def test_it_is_standard_normal() -> None:
    values = noise_at(100, 200_000, seed=7)
    assert abs(float(values.mean())) < 0.01 and abs(float(values.std()) - 1) < 0.01
    assert 2.5 < float((values**4).mean()) < 3.5
    neighbours = torch.corrcoef(torch.stack([values[:-1], values[1:]]))[0, 1]
    assert abs(float(neighbours)) < 0.01


def block(channels: int = 4) -> NoiseBlock:
    torch.manual_seed(0)
    return NoiseBlock(channels, level=2).eval().requires_grad_(False)


@settings(max_examples=30, deadline=None)
@given(cuts=pieces(90), seed=st.integers(0, 9))
def test_blocks_equal_the_whole(cuts: list[int], seed: int) -> None:
    noise = block()
    noise.seed = seed
    x = torch.randn(sum(cuts), 4)
    assert_near(in_pieces(noise.stage(), x, cuts), noise(x.T[None])[0].T)


def test_one_value_per_step_scales_what_the_mixture_makes_of_it() -> None:
    noise = block()
    x = torch.randn(2, 4, 30)
    scale = noise_at(0, 30, seed=0, level=2)
    assert_near(noise(x), x + scale * noise.mix(x))


@pytest.mark.parametrize("way", ["module", "stage"])
def test_no_seed_no_noise(way: str) -> None:
    noise = block()
    noise.seed = None
    x = torch.randn(20, 4)
    got = noise(x.T[None])[0].T if way == "module" else noise.stage()(x, True)
    assert torch.equal(got, x)


def test_a_stage_keeps_its_seed_and_its_input() -> None:
    noise = block()
    stage, x = noise.stage(), torch.randn(20, 4)
    before, wanted = x.clone(), noise(x.T[None])[0].T
    noise.seed = 9
    assert torch.allclose(stage(x, True), wanted, atol=1e-6) and torch.equal(x, before)


def test_training_draws_afresh() -> None:
    noise = block().train()
    x = torch.randn(2, 4, 30)
    assert not torch.equal(noise(x), noise(x))
