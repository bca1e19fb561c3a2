"""Residual finite scalar, per-dimension scalar and random-projection quantization against loops."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers import RandomProjectionQuantizer, ResidualFiniteScalarQuantizer, ScalarQuantizer


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(2, 9), min_size=1, max_size=3), st.integers(1, 4), st.integers(0, 99))
def test_levels_round_what_is_left(levels: list[int], count: int, seed: int):
    quantizer = ResidualFiniteScalarQuantizer(len(levels), levels, num_codebooks=count)
    latents = normal(1, len(levels), 20, seed=seed)
    codes, vectors = quantizer.encode(latents), quantizer.decode(quantizer.encode(latents))
    for frame in range(20):
        wanted, sums = [0] * count, []
        for place, number in enumerate(levels):
            reach = number / (number - 1)
            left, total = reach * math.tanh(float(latents[0, place, frame]) / reach), 0.0
            for index in range(count):
                points = [(2 * digit / (number - 1) - 1) / number**index for digit in range(number)]
                digit = min(range(number), key=lambda d, points=points, left=left: abs(points[d] - left))
                wanted[index] += digit * math.prod(levels[:place])
                left, total = left - points[digit], total + points[digit]
            sums.append(total)
        assert codes[0, :, frame].tolist() == wanted
        assert_near(vectors[0, :, frame], torch.tensor(sums))


@pytest.mark.parametrize(("levels", "count"), [((7, 7), 3), ((2,), 12), ((5,), 4), ((16,), 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_cell_is_reached_and_counts_back(levels: tuple[int, ...], count: int, dtype: torch.dtype):
    quantizer = ResidualFiniteScalarQuantizer(len(levels), levels, num_codebooks=count).to(dtype)
    number = levels[0]
    cells = torch.arange(number**count)
    middle = (2 * cells + 1).double() / number**count - 1
    latents = (torch.atanh(middle) * number / (number - 1)).expand(len(levels), -1)[None]
    codes = quantizer.encode(latents.float())
    digits = codes[0] % number
    assert torch.equal(sum(digits[i] * number ** (count - 1 - i) for i in range(count)), cells)
    for index in range(count):
        book = quantizer.codebook(index)
        assert len(book.unique(dim=0)) == math.prod(levels)
        scale = Fraction(1, number**index)
        assert float(book.max()) == pytest.approx(float(scale)) and float(book.min()) == pytest.approx(-float(scale))


def test_gradients_pass_through_the_rounding_and_prefixes_hold():
    quantizer = ResidualFiniteScalarQuantizer(2, (5, 4), num_codebooks=3)
    latents, weights = normal(2, 2, 9).requires_grad_(), normal(2, 2, 9, seed=1)
    out = quantizer(latents, num_codebooks=torch.tensor([1, 3]))
    (out.quantized * weights).sum().backward()
    got, latents.grad = latents.grad, None
    (quantizer.bound(latents.transpose(1, 2)).transpose(1, 2) * weights).sum().backward()
    assert_near(got, latents.grad)
    assert_near(out.quantized[0], quantizer.decode(out.codes[:1, :1])[0])
    step = 1e-3
    moved = quantizer.bound((latents.detach() + step).transpose(1, 2))
    slope = (moved - quantizer.bound((latents.detach() - step).transpose(1, 2))) / (2 * step)
    assert_near(latents.grad, slope.transpose(1, 2) * weights, within=1e-2)


def test_numbers_that_are_none_have_a_code():
    latents = torch.tensor([torch.nan, torch.inf, -torch.inf]).view(1, 1, 3)
    codes = ResidualFiniteScalarQuantizer(1, (5,), num_codebooks=2).encode(latents)
    assert codes[0, :, 1].tolist() == [4, 4] and codes[0, :, 2].tolist() == [0, 0]
    assert codes[0, :, 0].tolist() == [0, 0]


@pytest.mark.parametrize("options", [{"levels": (1,)}, {"levels": ()}, {"num_codebooks": 0}, {"num_codebooks": 50}])
def test_impossible_levels_are_refused(options: dict[str, object]):
    with pytest.raises(ValueError, match="levels"):
        ResidualFiniteScalarQuantizer(1, **{"levels": (5,), "num_codebooks": 2, **options})


@pytest.mark.parametrize("size", [3, 4, 8, 19])
def test_every_dimension_has_a_codebook_of_its_own(size: int):
    quantizer, latents = ScalarQuantizer(3, size), normal(1, 3, 40)
    codes = quantizer.encode(latents)
    for place in range(3):
        offset = 0.0 if size % 2 else 0.5
        half = (size - 1) / 2
        for frame in range(40):
            shift = math.atanh(offset / half)
            bounded = half * math.tanh(float(latents[0, place, frame]) + shift) - offset
            levels = range(-(size // 2), size - size // 2)
            wanted = min(levels, key=lambda level, at=bounded: abs(level - at)) + size // 2
            assert int(codes[0, place, frame]) == wanted
    assert quantizer.codebook(1)[:, 1].unique().numel() == size and not bool(quantizer.codebook(1)[:, ::2].any())
    with pytest.raises(ValueError, match="at least 3, got 2"):
        ScalarQuantizer(3, 2)
    assert_near(quantizer.decode(codes), sum(quantizer.codebook(k)[codes[:, k]] for k in range(3)).transpose(1, 2))


def test_a_random_projection_gives_the_nearest_direction_and_its_words_come_back():
    quantizer = RandomProjectionQuantizer(12, 40, codebook_dim=4, num_codebooks=2, seed=3)
    data = 3 + 2 * normal(500, 12)
    quantizer.initialise(data)
    codes = quantizer.encode(data[:30].T[None])[0]
    rows = (data[:30] - data.mean(0)) / data.std(0, unbiased=False)
    for index in range(2):
        narrow = rows @ quantizer.projections[index]
        cosines = torch.cosine_similarity(narrow[:, None], quantizer.words[index][None], dim=-1)
        assert torch.equal(codes[index], cosines.argmax(1))
    every = torch.arange(40)[None, None]
    assert torch.equal(quantizer.encode(quantizer.decode(every), num_codebooks=1), every)
    assert not any(parameter.requires_grad for parameter in quantizer.parameters())
    again = RandomProjectionQuantizer(12, 40, codebook_dim=4, num_codebooks=2, seed=3)
    assert torch.equal(again.projections[1], quantizer.projections[1])
    with pytest.raises(ValueError, match="codebook_dim"):
        RandomProjectionQuantizer(4, 8, codebook_dim=5)
