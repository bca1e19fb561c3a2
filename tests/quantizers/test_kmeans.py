"""K-means as a quantizer: parts side by side, stages one after the other, nothing learned."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers import KMeansQuantizer
from tokaudio.quantizers.search import nearest_exact


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_codes_are_the_nearest_centroids_of_each_part_and_of_what_is_left():
    quantizer = KMeansQuantizer(12, 9, parts=2, stages=2)
    latents = noise(2, 12, 20)
    codes = quantizer.encode(latents)
    assert codes.shape == (2, 4, 20) and quantizer.codebook_sizes == (9,) * 4
    for part in range(2):
        rows = latents[:, part * 6 : part * 6 + 6].transpose(1, 2).flatten(0, 1)
        for stage in range(2):
            table = quantizer.books[2 * part + stage].table
            index = nearest_exact(rows, table)
            assert torch.equal(codes[:, 2 * part + stage].flatten(), index)
            rows = rows - table[index]
    left = (latents - quantizer.decode(codes)).transpose(1, 2).flatten(0, 1)[:, 6:]
    assert_near(left, rows)


def test_codebooks_lie_in_the_space_of_the_latents_and_add_up_to_what_decode_gives():
    quantizer = KMeansQuantizer(12, 9, parts=3)
    codes = torch.tensor([[[4], [0], [8]]])
    total = sum(quantizer.codebook(index)[codes[0, index, 0]] for index in range(3))
    assert_near(quantizer.decode(codes)[0, :, 0], total)
    two = quantizer.decode(codes[:, :2])
    assert not two[0, 8:].any() and torch.equal(two[0, :8], quantizer.decode(codes)[0, :8])
    with pytest.raises(IndexError, match=r"0\.\.2, got 3"):
        quantizer.codebook(3)


def test_training_changes_nothing_and_items_may_have_depths_of_their_own():
    quantizer = KMeansQuantizer(6, 5, stages=3).train()
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    latents = noise(2, 6, 30, seed=1).requires_grad_()
    out = quantizer(latents, num_codebooks=torch.tensor([1, 3]))
    assert out.loss.item() == 0 and out.codes.shape == (2, 3, 30)
    assert_near(out.quantized[:1], quantizer.decode(out.codes[:1, :1]))
    assert_near(out.quantized[1:], quantizer.decode(out.codes[1:]))
    out.quantized.sum().backward()
    assert torch.equal(latents.grad, torch.ones_like(latents))
    assert all(torch.equal(before[name], value) for name, value in quantizer.state_dict().items())


@pytest.mark.parametrize("sizes", [(7, 5, 2, 1), (6, 0, 1, 1), (6, 5, 1, 0)])
def test_sizes_that_do_not_fit_are_refused(sizes: tuple[int, int, int, int]):
    dim, size, parts, stages = sizes
    with pytest.raises(ValueError, match="sizes must be positive, one per codebook, and parts divide dim"):
        KMeansQuantizer(dim, size, parts=parts, stages=stages)


def test_codebooks_may_be_of_different_sizes():
    quantizer = KMeansQuantizer(4, (3, 9), parts=2)
    assert [book.table.shape for book in quantizer.books] == [(3, 2), (9, 2)]
    codes = quantizer.encode(noise(1, 4, 200))
    assert codes.amax((0, 2)).tolist() == [2, 8]
    with pytest.raises(ValueError, match="one per codebook"):
        KMeansQuantizer(4, (3, 9), stages=3)


def test_vectors_are_float32_whatever_torch_makes_by_default():
    quantizer = KMeansQuantizer(8, 5, parts=2)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        assert quantizer.decode(torch.zeros(1, 2, 3, dtype=torch.int64)).dtype == torch.float32
    finally:
        torch.set_default_dtype(before)
