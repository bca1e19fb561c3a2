"""Factorised quantization against loops written from the paper; strides, gradients, dropout."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.near import assert_near
from tokaudio.errors import TokensError
from tokaudio.quantizers import FactorizedVectorQuantizer


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(**options: object) -> FactorizedVectorQuantizer:
    torch.manual_seed(0)
    return FactorizedVectorQuantizer(12, 32, **({"num_codebooks": 3, "codebook_dim": 4} | options))


def twin(quantizer: FactorizedVectorQuantizer, latents: Tensor) -> tuple[Tensor, Tensor]:
    """One item `[D, T]`, one span at a time, in float64: codes `[K, T]` and vectors `[D, T]`."""
    rest, codes = latents.double().clone(), []
    for level, stride in zip(quantizer.levels, quantizer.strides, strict=True):
        level = level.double()
        row = []
        for start in range(0, latents.shape[1], stride):
            span = rest[:, start : start + stride]
            narrow = level.in_proj.weight @ span.mean(1) + level.in_proj.bias
            scores = [float(narrow @ word / word.norm()) for word in level.codebook]
            code = scores.index(max(scores))
            row += [code] * span.shape[1]
            span -= (level.out_proj.weight @ level.codebook[code] + level.out_proj.bias)[:, None]
        codes.append(row)
        level.float()
    return torch.tensor(codes), latents - rest


@pytest.mark.parametrize("strides", [None, (4, 2, 1), (8, 1, 2), (3, 3, 1)])
@pytest.mark.parametrize("frames", [24, 23, 1])
@torch.no_grad()
def test_codes_and_vectors_equal_the_twin(strides: tuple[int, ...] | None, frames: int):
    quantizer, latents = make(strides=strides), normal(2, 12, frames, seed=1)
    codes = quantizer.encode(latents)
    for item in range(2):
        wanted, vectors = twin(quantizer, latents[item])
        assert torch.equal(codes[item], wanted)
        assert_near(quantizer.decode(codes)[item].double(), vectors)
    assert torch.equal(quantizer(latents).codes, codes)
    assert_near(quantizer(latents).quantized, quantizer.decode(codes))


def test_only_the_direction_is_searched_but_the_codeword_keeps_its_length():
    quantizer, latents = make(), normal(1, 12, 50)
    codes, words = quantizer.encode(latents), quantizer.codebook(0)
    with torch.no_grad():
        level = quantizer.levels[0]
        level.codebook.mul_(torch.linspace(0.5, 2.0, 32)[:, None])
    assert torch.equal(quantizer.encode(latents)[:, 0], codes[:, 0])
    assert not torch.allclose(quantizer.codebook(0), words)


def test_of_equal_codewords_the_first_wins_whatever_their_length():
    quantizer = make(num_codebooks=1)
    with torch.no_grad():
        quantizer.levels[0].codebook[16:] = 4 * quantizer.levels[0].codebook[:16]
    assert int(quantizer.encode(normal(2, 12, 300)).max()) < 16


def test_pieces_cut_at_the_period_have_the_codes_of_the_whole():
    quantizer, latents = make(strides=(4, 2, 1)), normal(1, 12, 40)
    assert quantizer.period == 4
    pieces = torch.cat([quantizer.encode(piece) for piece in latents.split(12, dim=2)], dim=2)
    assert torch.equal(pieces, quantizer.encode(latents))


@pytest.mark.parametrize("strides", [(2, 1), (2, 1, 0), ()])
def test_strides_that_do_not_fit_are_refused(strides: tuple[int, ...]):
    with pytest.raises(ValueError, match="3 numbers of at least 1"):
        make(strides=strides)


def test_codes_and_numbers_that_do_not_exist_are_refused():
    quantizer = make()
    codes = quantizer.encode(normal(2, 12, 5))
    codes[1, 2, 3] = 32
    with pytest.raises(TokensError, match=r"code 32 of codebook 2 \(item 1, frame 3\)"):
        quantizer.decode(codes)
    with pytest.raises(IndexError, match=r"in 0\.\.2, got 3"):
        quantizer.codebook(3)
    with pytest.raises(ValueError, match="between 1 and 3"):
        quantizer(normal(2, 12, 5), num_codebooks=torch.tensor([0, 1]))


def test_the_loss_pulls_codewords_and_vectors_together_at_their_own_length():
    quantizer, latents = make(commitment=0.5).eval(), normal(3, 12, 10)
    rest, losses = latents.transpose(1, 2), []
    for level, codes in zip(quantizer.levels, quantizer.encode(latents).unbind(1), strict=True):
        losses.append(1.5 * F.mse_loss(level.in_proj(rest), level.codebook[codes]))
        rest = rest - level.lookup(codes)
    torch.testing.assert_close(quantizer(latents).loss, torch.stack(losses).mean())


def test_items_with_fewer_codebooks_are_quantized_and_teach_with_those():
    quantizer, latents = make().train(), normal(3, 12, 20)
    out = quantizer(latents, num_codebooks=torch.tensor([1, 2, 1]))
    for item, depth in enumerate((1, 2, 1)):
        alone = quantizer.decode(quantizer.encode(latents[item : item + 1], num_codebooks=depth))
        torch.testing.assert_close(out.quantized[item], alone[0])
    (out.loss + out.quantized.square().mean()).backward()
    taught = [bool(level.codebook.grad.any()) for level in quantizer.levels]
    assert taught == [True, True, False]


def test_dropout_is_for_training_and_takes_its_share():
    quantizer = make(dropout=0.5)
    assert quantizer.eval().draw_depth(400, None, dropout=quantizer.dropout).tolist() == [3] * 400
    torch.manual_seed(1)
    depths = quantizer.train().draw_depth(400, None, dropout=quantizer.dropout)
    assert 0.25 < float((depths < 3).float().mean()) < 0.42, "half the items, of which a third draws all codebooks"
    assert set(depths.tolist()) == {1, 2, 3}


@pytest.mark.parametrize("strides", [None, (4, 2, 1)])
def test_training_brings_the_vectors_nearer(strides: tuple[int, ...] | None):
    quantizer = make(strides=strides).train()
    latents = normal(4, 12, 64).cumsum(2) / 4
    optimizer = torch.optim.Adam(quantizer.parameters(), 1e-2)
    errors = []
    for _ in range(150):
        out = quantizer(latents)
        errors.append(F.mse_loss(out.quantized, latents))
        optimizer.zero_grad()
        (errors[-1] + out.loss).backward()
        optimizer.step()
    assert float(errors[-1].detach()) < 0.3 * float(errors[0].detach())
    assert float(out.stats["perplexity_0"]) > 4
