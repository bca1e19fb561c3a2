"""Grouped finite scalar quantization against loops, and against the quantizer of one group."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.errors import TokensError
from tokaudio.quantizers import FiniteScalarQuantizer, GroupedFiniteScalarQuantizer
from tokaudio.quantizers.finite_scalar import Bounds


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bounded(value: float, count: int, bounds: Bounds) -> float:
    """One number squashed by the definition, in float64."""
    offset = 0.0 if count % 2 else 0.5
    if bounds == "outside":
        reach = (count - 1) / 2 * 1.001
        return math.tanh(value + math.atanh(offset / reach)) * reach - offset
    reach = (count - 1) / 2 * 0.999
    return math.tanh(value + math.tan(offset / reach)) * reach - offset


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(3, 12), min_size=1, max_size=4),
    st.integers(1, 3),
    st.sampled_from(["outside", "inside"]),
    st.integers(0, 99),
)
def test_codes_are_those_of_the_definition(levels: list[int], groups: int, bounds: Bounds, seed: int):
    latents = 2 * normal(1, groups * len(levels), 20, seed=seed)
    quantizer = GroupedFiniteScalarQuantizer(levels, num_codebooks=groups, bounds=bounds)
    codes = quantizer.encode(latents)[0]
    for frame in range(20):
        for group in range(groups):
            code, radix, tie = 0, 1, False
            for place, count in enumerate(levels):
                value = bounded(float(latents[0, group * len(levels) + place, frame]), count, bounds)
                tie |= abs(abs(value - round(value)) - 0.5) < 1e-4
                code += radix * (round(value) + count // 2)
                radix *= count
            assert tie or int(codes[group, frame]) == code


@pytest.mark.parametrize("bounds", ["outside", "inside"])
def test_latents_are_squashed_by_the_definition(bounds: Bounds):
    quantizer = GroupedFiniteScalarQuantizer((3, 4, 7, 8), bounds=bounds)
    rows = torch.linspace(-3, 3, 41).double()[:, None].expand(-1, 4)
    wanted = [[bounded(value, count, bounds) for value, count in zip(row, (3, 4, 7, 8), strict=True)] for row in rows]
    assert_near(quantizer.bound(rows), torch.tensor(wanted), within=1e-6)


def test_two_levels_can_be_told_apart_inside():
    quantizer = GroupedFiniteScalarQuantizer((2, 3), bounds="inside")
    codes = quantizer.encode(torch.tensor([[[-9.0, 9.0, -9.0, 9.0], [-9.0, -9.0, 9.0, 9.0]]]))
    assert codes[0, 0].tolist() == [0, 1, 4, 5]


def test_one_group_is_the_quantizer_without_groups():
    one, plain = GroupedFiniteScalarQuantizer((4,) * 8), FiniteScalarQuantizer(8, (4,) * 8)
    latents = 1.5 * normal(2, 8, 400)
    codes = one.encode(latents)
    assert torch.equal(codes, plain.encode(latents))
    assert torch.equal(one.decode(codes), plain.decode(codes))
    assert torch.equal(one.codebook(0)[::997], plain.codebook(0)[::997])


@pytest.mark.parametrize("bounds", ["outside", "inside"])
@pytest.mark.parametrize("levels", [(9, 8, 8, 7), (8, 7, 6, 6), (4,) * 8, (3, 5)])
def test_extreme_latents_reach_the_outermost_levels_and_no_more(levels: tuple[int, ...], bounds: Bounds):
    quantizer = GroupedFiniteScalarQuantizer(levels, num_codebooks=2, bounds=bounds)
    latents = torch.tensor([-1e30, -20.0, 20.0, 1e30]).expand(1, quantizer.dim, 4)
    highest = math.prod(levels) - 1
    assert quantizer.encode(latents)[0].tolist() == [[0, 0, highest, highest]] * 2


def test_groups_do_not_depend_on_each_other_and_missing_ones_are_zero():
    quantizer = GroupedFiniteScalarQuantizer((8, 7, 6, 6), num_codebooks=3, bounds="inside")
    latents = normal(2, 12, 50)
    codes = quantizer.encode(latents)
    assert torch.equal(quantizer.encode(latents, num_codebooks=2), codes[:, :2])
    vectors = quantizer.decode(codes[:, :2])
    assert torch.equal(vectors[:, :8], quantizer.decode(codes)[:, :8]) and not vectors[:, 8:].any()
    assert bool((quantizer.codebook(2) == 0).all(1).any()), "zero is a codeword"


def test_codewords_add_up_to_what_codes_decode_to():
    quantizer = GroupedFiniteScalarQuantizer((5, 4), num_codebooks=2)
    assert quantizer.codebook(1).tolist()[:2] == [[0, 0, -1, -1], [0, 0, -0.5, -1]]
    codes = torch.tensor([[[3, 19], [0, 7]]])
    total = quantizer.codebook(0)[codes[0, 0]] + quantizer.codebook(1)[codes[0, 1]]
    assert torch.equal(quantizer.decode(codes)[0].T, total)


def test_training_gives_the_codes_and_vectors_of_inference_and_a_gradient():
    quantizer = GroupedFiniteScalarQuantizer((5, 8), num_codebooks=2, bounds="inside")
    latents = normal(2, 4, 20).requires_grad_()
    out = quantizer(latents)
    assert torch.equal(out.codes, quantizer.encode(latents))
    assert_near(out.quantized, quantizer.decode(out.codes))
    out.quantized.sum().backward()
    assert latents.grad is not None
    assert bool((latents.grad > 0).all())
    some = quantizer(latents, num_codebooks=torch.tensor([1, 2])).quantized
    assert not some[0, 2:].any() and torch.equal(some[1], out.quantized[1])


def test_what_does_not_fit_is_refused():
    for levels in ((), (1, 5), (2**16, 2**16)):
        with pytest.raises(ValueError, match="levels"):
            GroupedFiniteScalarQuantizer(levels)
    for options in ({"num_codebooks": 0}, {"bounds": "above"}, {"margin": 0.25}, {"margin": -0.1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            GroupedFiniteScalarQuantizer((5, 5), **options)  # type: ignore[arg-type]
    quantizer = GroupedFiniteScalarQuantizer((3, 3), num_codebooks=2)
    with pytest.raises(TokensError, match=r"outside 0..8"):
        quantizer.decode(torch.tensor([[[9], [0]]]))
    with pytest.raises(ValueError, match="between 1 and 2"):
        quantizer.encode(torch.zeros(1, 4, 3), num_codebooks=3)
    with pytest.raises(IndexError, match="got 2"):
        quantizer.codebook(2)
