"""Finite scalar quantization against loops, to 2^16 codes and beyond the levels that bfloat16 can count."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.quantizers import FiniteScalarQuantizer

LARGE = [(16,) * 4, (8, 8, 8, 5, 5, 5), (256, 256), (65536,), (1003, 3), (2,) * 16]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reach(quantizer: FiniteScalarQuantizer) -> Tensor:
    """Return latents `[1, D, V]` that should be quantized to codes 0 .. V - 1: the inverse of `bound`, in float64."""
    codes = torch.arange(quantizer.codebook_sizes[0])
    columns = []
    for levels in quantizer.levels:
        digits = (codes % levels).double()
        codes = codes // levels
        half = (levels - 1) / 2 + min((levels - 1) * 1e-3 / 2, 0.25)
        offset = 0.0 if levels % 2 else 0.5
        columns.append(torch.atanh((digits - levels // 2 + offset) / half) - math.atanh(offset / half))
    return torch.stack(columns)[None].float()


def twin(latents: Tensor, levels: tuple[int, ...]) -> list[int]:
    """Codes of vectors `[D, T]` by the definition: bound, pick the nearest level, count in mixed radix."""
    codes = []
    for frame in latents.double().T.tolist():
        code, radix = 0, 1
        for value, count in zip(frame, levels, strict=True):
            half = (count - 1) / 2 + min((count - 1) * 1e-3 / 2, 0.25)
            offset = 0.0 if count % 2 else 0.5
            bounded = math.tanh(value + math.atanh(offset / half)) * half - offset
            choices = range(-(count // 2), count - count // 2)
            nearest = min(choices, key=lambda level: abs(level - bounded))
            code += radix * (nearest + count // 2)
            radix *= count
        codes.append(code)
    return codes


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(2, 12), min_size=1, max_size=4), st.integers(0, 99))
def test_codes_equal_the_twin(levels: list[int], seed: int):
    latents = 2 * normal(1, len(levels), 30, seed=seed)
    quantizer = FiniteScalarQuantizer(len(levels), levels)
    codes = quantizer.encode(latents)
    assert codes[0, 0].tolist() == twin(latents[0], tuple(levels))
    assert torch.equal(quantizer(latents).codes, codes)


@pytest.mark.parametrize("levels", [*LARGE, (2,), (3, 4), (5,)])
def test_every_code_can_be_reached_and_counts_back(levels: tuple[int, ...]):
    quantizer = FiniteScalarQuantizer(len(levels), levels)
    latents = reach(quantizer)
    every = torch.arange(math.prod(levels))
    assert torch.equal(quantizer.encode(latents)[0, 0], every)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(quantizer.encode(latents)[0, 0], every)
    assert torch.equal(quantizer.bfloat16().encode(latents)[0, 0], every)
    words = quantizer.decode(every[None, None])
    assert len(words[0].T.unique(dim=0)) == len(every)
    assert float(words.min()) == -1.0 and float(words.max()) <= 1.0


@pytest.mark.parametrize("levels", LARGE)
def test_extreme_latents_stay_in_range(levels: tuple[int, ...]):
    quantizer = FiniteScalarQuantizer(len(levels), levels)
    latents = torch.tensor([-1e30, -100.0, 100.0, 1e30]).expand(1, len(levels), 4)
    lowest, highest = 0, math.prod(levels) - 1
    assert quantizer.encode(latents)[0, 0].tolist() == [lowest, lowest, highest, highest]
    quantizer.decode(quantizer(latents).codes)


def test_half_way_between_two_levels_the_lower_one_wins(monkeypatch: pytest.MonkeyPatch):
    quantizer = FiniteScalarQuantizer(1, (5,))
    monkeypatch.setattr(quantizer, "bound", lambda rows: rows)
    halves = torch.tensor([[[-1.5, -0.5, 0.5, 1.5, -0.49999997, 0.50000006, 1e-9]]])
    assert quantizer.encode(halves)[0, 0].tolist() == [0, 1, 2, 3, 2, 3, 2]
    assert quantizer(halves).codes[0, 0].tolist() == [0, 1, 2, 3, 2, 3, 2]


def test_zero_maps_to_a_zero_vector():
    quantizer = FiniteScalarQuantizer(4, (2, 3, 8, 5))
    zero = quantizer.encode(torch.zeros(1, 4, 1))
    assert not bool(quantizer.decode(zero).any())


def test_the_first_dimension_runs_fastest():
    words = FiniteScalarQuantizer(2, (3, 2)).codebook(0)
    assert words.tolist() == [[-1, -1], [0, -1], [1, -1], [-1, 0], [0, 0], [1, 0]]


def test_the_gradient_passes_through_the_rounding():
    quantizer = FiniteScalarQuantizer(2, (5, 8))
    latents, weights = normal(1, 2, 20).requires_grad_(), normal(1, 2, 20, seed=1)
    (quantizer(latents).quantized * weights).sum().backward()
    got, latents.grad = latents.grad, None
    half = torch.tensor([2.0, 4.0])
    smooth = quantizer.bound(latents.transpose(1, 2)) / half
    (smooth.transpose(1, 2) * weights).sum().backward()
    torch.testing.assert_close(got, latents.grad)


def test_projections_serve_wider_latents():
    torch.manual_seed(0)
    quantizer = FiniteScalarQuantizer(12, (5, 5, 5))
    latents = normal(2, 12, 9)
    assert quantizer.codebook(0).shape == (125, 12)
    out = quantizer(latents)
    torch.testing.assert_close(out.quantized, quantizer.decode(out.codes))
    out.quantized.sum().backward()
    assert quantizer.down.weight.grad is not None and quantizer.up.weight.grad is not None
    assert float(out.loss) == 0 and not out.stats


def test_what_does_not_fit_is_refused():
    for levels in ((), (1, 5), (2**16, 2**16)):
        with pytest.raises(ValueError, match="levels"):
            FiniteScalarQuantizer(3, levels)
    quantizer = FiniteScalarQuantizer(2, (3, 3))
    with pytest.raises(TokensError, match=r"outside 0..8"):
        quantizer.decode(torch.tensor([[[9]]]))
    with pytest.raises(ValueError, match="between 1 and 1"):
        quantizer.encode(torch.zeros(1, 2, 3), num_codebooks=2)
    with pytest.raises(IndexError, match="got -1"):
        quantizer.codebook(-1)
