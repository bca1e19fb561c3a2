"""Two residual quantizers side by side: against loops, and each blind to the other."""

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers import SplitResidualVectorQuantizer


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(**options: object) -> SplitResidualVectorQuantizer:
    torch.manual_seed(0)
    quantizer = SplitResidualVectorQuantizer(12, 32, **({"num_codebooks": 5, "codebook_dim": 4} | options))
    return quantizer.eval()


def twin(quantizer: SplitResidualVectorQuantizer, frame: Tensor) -> tuple[list[int], Tensor]:
    """One frame `[D]` in float64, one codeword at a time: codes and the vector that they stand for."""
    codes, total = [], torch.zeros_like(frame, dtype=torch.float64)
    for side in (quantizer.semantic, quantizer.acoustic):
        projected = isinstance(side.inward, torch.nn.Linear)
        rest = side.inward.weight.double() @ frame.double() if projected else frame.double()
        found = torch.zeros_like(rest)
        for level in side.chain.levels:
            table = level.book.table.double()
            distances = [float((rest - word).square().sum()) for word in table]
            codes.append(distances.index(min(distances)))
            rest, found = rest - table[codes[-1]], found + table[codes[-1]]
        total += side.outward.weight.double() @ found if projected else found
    return codes, total


@pytest.mark.parametrize("num_semantic", [1, 2, 4])
@pytest.mark.parametrize("codebook_dim", [4, None])
@torch.no_grad()
def test_codes_and_vectors_equal_the_twin(num_semantic: int, codebook_dim: int | None):
    quantizer, latents = make(num_semantic=num_semantic, codebook_dim=codebook_dim), normal(2, 12, 15, seed=1)
    codes = quantizer.encode(latents)
    vectors = quantizer.decode(codes)
    for item in range(2):
        for frame in range(15):
            wanted, vector = twin(quantizer, latents[item, :, frame])
            assert codes[item, :, frame].tolist() == wanted
            assert_near(vectors[item, :, frame].double(), vector)


@torch.no_grad()
def test_the_sides_do_not_see_each_other():
    quantizer, latents = make(), normal(1, 12, 60)
    before, words = quantizer.encode(latents), quantizer.decode(quantizer.encode(latents, num_codebooks=1))
    quantizer.semantic.chain.levels[0].book.table.neg_()
    after = quantizer.encode(latents)
    assert torch.equal(after[:, 1:], before[:, 1:]), "acoustic codes are no residual of the semantic one"
    assert not torch.equal(after[:, :1], before[:, :1])
    quantizer.semantic.chain.levels[0].book.table.neg_()
    assert torch.equal(quantizer.decode(quantizer.encode(latents)[:, :1]), words)


@torch.no_grad()
def test_codebooks_add_up_to_what_is_decoded():
    quantizer, latents = make(num_semantic=2), normal(1, 12, 9)
    codes = quantizer.encode(latents)
    total = sum(quantizer.codebook(k)[codes[0, k]] for k in range(5))
    assert_near(quantizer.decode(codes)[0].T, total)


def test_items_without_acoustic_codebooks_get_the_semantic_vectors():
    quantizer, latents = make(), normal(3, 12, 9)
    out = quantizer(latents, num_codebooks=torch.tensor([1, 3, 5]))
    for item, count in enumerate((1, 3, 5)):
        wanted = quantizer.decode(quantizer.encode(latents[item][None], num_codebooks=count))
        assert_near(out.quantized[item][None], wanted)


def test_both_sides_learn_and_report_under_their_own_numbers():
    quantizer = make(num_semantic=2, dropout=0.5).train()
    before = [quantizer.codebook(k).detach().clone() for k in range(5)]
    out = quantizer(normal(4, 12, 80))
    assert all(not torch.equal(quantizer.codebook(k), before[k]) for k in range(5))
    assert {f"perplexity_{k}" for k in range(5)} <= set(out.stats)
    out.loss.backward()
    for side in (quantizer.semantic, quantizer.acoustic):
        assert float(side.inward.weight.grad.abs().sum()) > 0


@pytest.mark.parametrize("num_semantic", [0, 5])
def test_a_side_without_codebooks_is_refused(num_semantic: int):
    with pytest.raises(ValueError, match="num_semantic must be from 1 to 4"):
        make(num_semantic=num_semantic)
