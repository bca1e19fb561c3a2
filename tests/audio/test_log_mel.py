"""The log-mel spectrogram: its definition in float64, block by block, and its scale."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tokaudio.audio.log_mel import SHORTEST, LogMel, scaled
from tokaudio.audio.mel import slaney_filterbank

MEL = LogMel(80)


def noise(length: int, *, seed: int = 0) -> Tensor:
    return 0.3 * torch.randn(length, generator=torch.Generator().manual_seed(seed))


def by_definition(samples: Tensor) -> Tensor:
    """Return the spectrogram `[m, 80]` in float64: every window by itself, a Fourier sum by a matrix."""
    x = samples.double()
    mirrored = torch.cat([x[1:201].flip(0), x, x[-201:-1].flip(0)])
    at = torch.arange(400, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * at / 400)
    phases = 2 * math.pi * torch.outer(torch.arange(201, dtype=torch.float64), at) / 400
    rows = torch.stack([mirrored[160 * i : 160 * i + 400] * window for i in range(len(x) // 160)])
    power = (rows @ phases.cos().T) ** 2 + (rows @ phases.sin().T) ** 2
    logs = (power @ torch.tensor(slaney_filterbank(16_000, 400, 80).copy()).T).clamp(min=1e-10).log10()
    return (logs.clamp(min=float(logs.max()) - 8) + 4) / 4


@pytest.mark.parametrize("length", [201, 320, 1000, 4321])
def test_it_is_its_definition(length: int):
    got = MEL(noise(length)[None])[0]
    torch.testing.assert_close(got.double(), by_definition(noise(length)), rtol=0, atol=1e-5)


@given(st.integers(SHORTEST, 3000), st.lists(st.integers(0, 900), max_size=5), st.integers(0, 3))
def test_blocks_give_the_whole(first: int, more: list[int], seed: int):
    sizes = [first, *more]
    samples = noise(sum(sizes), seed=seed)
    stage = MEL.stage()
    parts = [stage(p[:, None], i == len(more)) for i, p in enumerate(samples.split(sizes))]
    raw = torch.cat(parts)
    assert raw.shape == (len(samples) // 160, 80)
    torch.testing.assert_close(scaled(raw, raw.max()), MEL(samples[None])[0], rtol=0, atol=1e-5)


def test_what_is_80_db_below_the_loudest_counts_as_80_db_below():
    sound = noise(3200)
    sound[1600:] = 0
    got = MEL(sound[None])[0]
    assert float(got.max() - got.min()) == pytest.approx(2.0, abs=1e-6)
    assert torch.equal(got[-1], got.min().expand(80))


def test_silence_is_flat():
    assert torch.equal(MEL(torch.zeros(2, 800)), torch.full((2, 5, 80), -1.5))


def test_items_of_a_batch_have_scales_of_their_own():
    batch = torch.stack([noise(1600), 1e-3 * noise(1600, seed=1)])
    torch.testing.assert_close(MEL(batch)[1], MEL(batch[1:])[0], rtol=0, atol=0)
