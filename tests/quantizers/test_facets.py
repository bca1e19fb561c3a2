"""Quantization of facets side by side against loops, prefixes, laws."""

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers.facets import FacetQuantizer
from tokaudio.testing.quantizers import check_quantizer


def make(counts: tuple[int, ...] = (1, 2, 3)) -> FacetQuantizer:
    torch.manual_seed(0)
    return FacetQuantizer(12, (16, 32, 64)[: len(counts)], counts=counts, codebook_dim=4)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("counts", [(1, 2, 3), (2, 1)])
def test_every_law_of_quantizers_holds(counts: tuple[int, ...]):
    check_quantizer(make(counts), residual=True)


@torch.no_grad()
def test_the_last_chain_quantizes_what_the_others_leave_and_they_quantize_the_latents():
    quantizer, latents = make(), normal(2, 12, 30)
    prosody, content, detail = quantizer.chains
    codes = quantizer.encode(latents)
    assert torch.equal(codes[:, :1], prosody.encode(latents))
    assert torch.equal(codes[:, 1:3], content.encode(latents))
    both = prosody.decode(codes[:, :1]) + content.decode(codes[:, 1:3])
    found = detail.encode(latents - both)
    # The sum of two is subtracted here, one after the other there: nearly equal residuals.
    assert (found == codes[:, 3:]).float().mean() > 0.98
    assert_near(quantizer.decode(codes), both + detail.decode(codes[:, 3:]))
    assert_near(quantizer.decode(codes[:, :2]), prosody.decode(codes[:, :1]) + content.decode(codes[:, 1:2]))


@torch.no_grad()
def test_tables_are_those_of_the_chains():
    quantizer = make()
    for index, (chain, level) in enumerate([(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]):
        assert torch.equal(quantizer.codebook(index), quantizer.chains[chain].codebook(level))


def test_items_may_use_fewer_codebooks_in_training():
    quantizer, latents = make().train(), normal(3, 12, 20).requires_grad_()
    out = quantizer(latents, num_codebooks=torch.tensor([1, 3, 6]))
    for item, depth in enumerate((1, 3, 6)):
        assert_near(out.quantized[item], quantizer.decode(out.codes[item : item + 1, :depth])[0])
    assert sorted(out.stats) == [f"perplexity_{number}" for number in range(6)]


def test_the_last_chain_teaches_the_latents_but_not_the_other_chains():
    quantizer, latents = make().train(), normal(1, 12, 20)
    out = quantizer(latents)
    left = latents - sum(chain(latents).quantized for chain in quantizer.chains[:2])
    wanted = torch.autograd.grad(quantizer.chains[2](left.detach()).loss, [quantizer.chains[2].levels[0].codebook])[0]
    found = torch.autograd.grad(out.loss, [quantizer.chains[2].levels[0].codebook], retain_graph=True)[0]
    assert_near(found, wanted / 2)


@pytest.mark.parametrize(("sizes", "counts"), [((8,), (1,)), ((8, 8), (1, 0)), ((8, 8), (1, 1, 1))])
def test_impossible_chains_are_refused(sizes: tuple[int, ...], counts: tuple[int, ...]):
    with pytest.raises(ValueError, match="counts from 1"):
        FacetQuantizer(4, sizes, counts=counts)
