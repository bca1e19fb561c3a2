"""SimVQ: codes against loops, what moves and what does not, and what the first vectors set."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers import ResidualVectorQuantizer, SimVectorQuantizer
from tokaudio.quantizers.simvq import MappedCodebook


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def twin(quantizer: SimVectorQuantizer, latents: Tensor) -> tuple[list[list[int]], Tensor]:
    """Codes and vectors of every frame by itself, in float64 loops."""
    book, codes, vectors = quantizer.book, [], torch.zeros(latents.shape, dtype=torch.float64)
    weight, bias = book.map.weight.double(), book.map.bias.double()
    words = [weight @ row + bias for row in book.frozen.double()]
    for item in range(len(latents)):
        codes.append([])
        for frame in range(latents.shape[2]):
            distances = [float((latents[item, :, frame].double() - word).square().sum()) for word in words]
            codes[-1].append(distances.index(min(distances)))
            vectors[item, :, frame] = words[codes[-1][-1]]
    return codes, vectors


@torch.no_grad()
def test_codes_and_vectors_equal_the_twin():
    quantizer, latents = SimVectorQuantizer(6, 16, seed=3), normal(2, 6, 30)
    quantizer.initialise(normal(200, 6) + 1)
    codes, vectors = twin(quantizer, latents)
    assert quantizer.encode(latents)[:, 0].tolist() == codes
    assert_near(quantizer.decode(quantizer.encode(latents)).double(), vectors)
    assert_near(quantizer.eval()(latents).quantized.double(), vectors)
    assert_near(quantizer.codebook(0)[codes[0]].T, vectors[0].float())


def test_the_first_vectors_set_mean_and_covariance_of_the_codewords():
    book = MappedCodebook(20_000, 3)
    vectors = normal(5000, 3) @ torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.3, 1.0]]) + 4
    vectors[7, 1] = torch.nan
    book.initialise(vectors)
    usable = vectors[vectors.isfinite().all(1)]
    words = book.words().detach()
    assert_near(words.mean(0), usable.mean(0), within=0.02)
    assert_near(words.T.cov(), usable.T.cov(), within=0.05)
    empty = MappedCodebook(8, 3)
    empty.initialise(torch.full((5, 3), torch.inf))
    assert not bool(empty.ready) and bool(empty.map.weight.isfinite().all())


def test_only_the_map_is_learned_and_it_moves_codewords_that_nothing_chose():
    quantizer = SimVectorQuantizer(4, 32).train()
    quantizer(normal(2, 4, 50))
    assert bool(quantizer.book.ready)
    assert [name for name, _ in quantizer.named_parameters()] == ["book.map.weight", "book.map.bias"]
    before, frozen = quantizer.codebook(0).detach().clone(), quantizer.book.frozen.clone()
    latents = normal(1, 4, 1, seed=1)
    quantizer(latents).loss.backward()
    torch.optim.SGD(quantizer.parameters(), 0.1).step()
    assert torch.equal(quantizer.book.frozen, frozen)
    assert bool((quantizer.codebook(0) != before).any(1).all()), "one vector moves all codewords"
    assert quantizer.learning_state() == {}


def test_the_loss_is_the_published_one():
    quantizer, latents = SimVectorQuantizer(4, 32, commitment=0.5).eval(), normal(2, 4, 9).requires_grad_()
    words = quantizer.decode(quantizer.encode(latents))
    wanted = F.mse_loss(words, latents.detach()) + 0.5 * F.mse_loss(latents, words.detach())
    found = quantizer(latents).loss
    assert_near(found, wanted)
    for inputs in (latents, quantizer.book.map.weight):
        both = [torch.autograd.grad(loss, inputs, retain_graph=True)[0] for loss in (found, wanted)]
        assert_near(*both)


def test_a_search_sees_every_change_of_the_map():
    quantizer, latents = SimVectorQuantizer(4, 32), normal(2, 4, 60)
    for change in (
        lambda: quantizer.book.map.weight.detach().neg_(),
        lambda: quantizer.book.map.bias.detach().add_(1),
        lambda: quantizer.book.frozen.neg_(),
        lambda: quantizer.load_state_dict(SimVectorQuantizer(4, 32, seed=5).state_dict()),
        lambda: quantizer.initialise(normal(100, 4, seed=4)),
    ):
        before = quantizer.encode(latents)
        change()
        after = quantizer.encode(latents)
        assert not torch.equal(before, after)
        with torch.no_grad():
            assert after[:, 0].tolist() == twin(quantizer, latents)[0]
        assert torch.equal(quantizer.train(False)(latents).codes, after)
        assert torch.equal(copy.deepcopy(quantizer).encode(latents), after)


def test_a_loaded_map_is_not_set_again():
    quantizer = SimVectorQuantizer(4, 16, seed=3)
    quantizer.initialise(normal(100, 4))
    fresh = SimVectorQuantizer(4, 16).train()
    fresh.load_state_dict(quantizer.state_dict())
    fresh(normal(2, 4, 50, seed=1) + 9)
    assert torch.equal(fresh.codebook(0), quantizer.codebook(0))


@pytest.mark.parametrize("options", [{}, {"gradient": "rotation"}])
def test_training_follows_vectors_that_move_away(options: dict[str, object]):
    torch.manual_seed(0)
    quantizer = SimVectorQuantizer(4, 64, **options).train()
    quantizer(normal(4, 4, 64))
    optimizer = torch.optim.Adam(quantizer.parameters(), 3e-2)
    for step in range(80):
        latents = 2 * normal(4, 4, 64, seed=step) + 3
        out = quantizer(latents)
        optimizer.zero_grad()
        (out.loss + F.mse_loss(out.quantized, latents)).backward()
        optimizer.step()
    latents = 2 * normal(4, 4, 64, seed=999) + 3
    assert float(F.mse_loss(quantizer.eval()(latents).quantized, latents).detach()) < 0.4 * float(latents.var())
    assert len(quantizer.encode(latents).unique()) > 32


def test_it_is_a_level_like_any_other_one():
    quantizer = SimVectorQuantizer(4, 16).train()
    quantizer.initialise(normal(100, 4))
    out = quantizer(normal(2, 4, 5), weights=torch.tensor([1.0, 0.0]), anchor=normal(2, 4, 5))
    assert_near(out.loss, quantizer(normal(2, 4, 5)[:1]).loss / 2)
    assert isinstance(ResidualVectorQuantizer(4, 16, num_codebooks=2).levels[0], SimVectorQuantizer.__bases__[0])
