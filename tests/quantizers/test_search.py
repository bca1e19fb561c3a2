"""The fast search equals the slow and obvious one, also where float32 cannot tell two codewords apart."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tokaudio.quantizers.search import nearest, nearest_exact, two_least


def by_loops(vectors: Tensor, codebook: Tensor) -> list[int]:
    """Plain Python over float64 numbers."""
    table = codebook.double().numpy()
    found = []
    for vector in vectors.double().numpy():
        best, least = 0, float("inf")
        for index, row in enumerate(table):
            distance = float(np.sum((vector - row) ** 2))
            if distance < least:
                best, least = index, distance
        found.append(best)
    return found


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 30), st.integers(1, 20), st.sampled_from([0.0, 1.0, 300.0]), st.integers(0, 99)
)
def test_fast_equals_obvious(count: int, size: int, dim: int, offset: float, seed: int):
    vectors, codebook = normal(count, dim, seed=seed) + offset, normal(size, dim, seed=seed + 1) + offset
    wanted = by_loops(vectors, codebook)
    assert nearest(vectors, codebook).tolist() == wanted
    assert nearest_exact(vectors, codebook).tolist() == wanted


@pytest.mark.parametrize("gap", [1e-5, 1e-6, 0.0])
def test_rounding_of_the_product_never_decides(gap: float):
    # Far from the origin the product loses what separates the rows; plain differences do not.
    codebook = normal(64, 16) + 100
    codebook[32:] = codebook[:32] + gap * normal(32, 16, seed=1) * 100
    vectors = codebook.repeat(4, 1) + 1e-4 * normal(256, 16, seed=2)
    assert nearest(vectors, codebook).tolist() == nearest_exact(vectors, codebook).tolist()


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 60), st.integers(0, 99))
def test_a_vector_finds_the_same_in_any_company(count: int, seed: int):
    codebook = normal(48, 12, seed=seed)
    codebook[24:] = codebook[:24] * (1 + 1e-7)
    vectors = normal(count, 12, seed=seed + 1)
    whole = nearest(vectors, codebook)
    alone = torch.cat([nearest(vector[None], codebook) for vector in vectors])
    assert torch.equal(whole, alone)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(nearest(vectors[order], codebook), whole[order])


@pytest.mark.parametrize("search", [nearest, nearest_exact])
def test_the_lowest_of_equal_rows_wins(search):
    codebook = normal(10, 5).repeat(3, 1)
    assert int(search(normal(500, 5, seed=1), codebook).max()) < 10
    assert search(codebook, codebook).tolist() == [*range(10)] * 3


@pytest.mark.parametrize("search", [nearest, nearest_exact])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_lower_of_two_rows_wins_half_way_between_them(search, scale: float):
    offsets = torch.tensor([[3.0, 4.0], [-3.0, 4.0], [3.0, -4.0], [-3.0, -4.0]]) * scale
    assert search(torch.zeros(3, 2), offsets).tolist() == [0, 0, 0]
    assert search(torch.tensor([[0.0, scale], [scale, 0.0], [-scale, 0.0]]), offsets).tolist() == [0, 0, 1]


def test_extreme_vectors_give_an_index():
    codebook = normal(8, 4)
    codebook[5] = 1e30
    assert nearest(torch.full((1, 4), 1e30), codebook).tolist() == [5]
    assert nearest(torch.full((1, 4), 1e-40), codebook).tolist() == nearest_exact(torch.zeros(1, 4), codebook).tolist()
    odd = nearest(torch.tensor([[torch.nan] * 4, [torch.inf] * 4]), codebook)
    assert bool(((odd >= 0) & (odd < 8)).all())


def test_no_vectors_give_no_index():
    assert nearest(torch.zeros(0, 4), normal(8, 4)).shape == (0,)


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 3), st.integers(0, 99))
def test_two_least_of_many_ties(size: int, count: int, most: int, seed: int):
    scores = torch.randint(0, most + 1, (size, count), generator=torch.Generator().manual_seed(seed)).float()
    best, second, index = two_least(scores)
    ordered = torch.cat([scores, torch.full((1, count), torch.inf)]).sort(0)
    assert torch.equal(best, ordered.values[0])
    assert torch.equal(second, ordered.values[1])
    assert index.tolist() == [column.index(min(column)) for column in scores.T.tolist()]
