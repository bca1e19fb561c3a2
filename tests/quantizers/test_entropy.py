"""Entropies of soft binary codes against the definition over all codes, and their memory."""

import itertools
import math
import resource

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers.entropy import bit_entropy, code_shares, codebook_entropy


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def twin(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Probabilities `[N, 2^d]` by the definition: a softmax of negative squared distances to all corners."""
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=logits.shape[1])), dtype=torch.float64)
    distances = (logits[:, None] / 4 - corners).square().sum(-1)
    return torch.softmax(-distances / temperature, dim=-1)


def entropy(shares: Tensor) -> Tensor:
    return -torch.xlogy(shares, shares).sum(-1)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 99))
def test_both_equal_sums_over_all_codes(bits: int, group: int, seed: int):
    logits = 3 * normal(20, bits, seed=seed)
    shares = twin(logits)
    assert_near(code_shares(logits), shares, within=1e-9)
    assert_near(bit_entropy(logits), entropy(shares).mean(), within=1e-9)
    exact, found = entropy(shares.mean(0)), codebook_entropy(logits, group=group)
    assert float(found) >= float(exact) - 1e-9, "groups of bits are an upper bound"
    if group >= bits:
        assert_near(found, exact, within=1e-9)


@pytest.mark.parametrize("group", [1, 2, 5])
def test_gradients_equal_finite_differences(group: int):
    logits = normal(6, 5).requires_grad_()
    assert torch.autograd.gradcheck(bit_entropy, logits)
    assert torch.autograd.gradcheck(lambda rows: codebook_entropy(rows, group=group), logits)


def test_certain_codes_have_entropies_without_a_nan():
    logits = torch.tensor([[400.0, -400.0], [-400.0, 400.0]]).requires_grad_()
    total = bit_entropy(logits) + codebook_entropy(logits, group=2)
    assert_near(total, torch.tensor(math.log(2)))
    total.backward()
    assert bool(torch.isfinite(logits.grad).all())


def test_the_mean_may_be_somebody_elses():
    logits, seen = normal(6, 5), []

    def mean(total: Tensor, count: int) -> Tensor:
        seen.append(count)
        return (total + 2 * total) / (3 * count)

    assert_near(bit_entropy(logits, mean=mean), bit_entropy(logits), within=1e-9)
    assert_near(codebook_entropy(logits, group=3, mean=mean), codebook_entropy(logits, group=3), within=1e-9)
    assert seen == [6, 6, 6]


def test_of_no_vectors_both_are_zero():
    nothing = torch.zeros(0, 5, requires_grad=True)
    total = bit_entropy(nothing) + codebook_entropy(nothing, group=3)
    assert_near(total, torch.zeros(()))
    total.backward()


def test_eighteen_bits_fit_in_memory():
    # All shares of these vectors would take 4 GB.
    logits = torch.randn(4000, 18, generator=torch.Generator().manual_seed(0)).requires_grad_()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    codebook_entropy(logits, group=18).backward()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 200, f"{grown:.0f} MiB more"
