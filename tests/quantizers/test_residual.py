"""Residual quantization against loops; gradients, dropout and resuming."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.quantizers import ResidualVectorQuantizer


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(**options: object) -> ResidualVectorQuantizer:
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(6, 16, num_codebooks=4, **options)
    quantizer.initialise(normal(500, 6))
    return quantizer


def test_codes_and_vectors_equal_the_twin():
    quantizer, latents = make(), normal(2, 6, 40, seed=1)
    codes = quantizer.encode(latents)
    for item in range(2):
        for frame in range(40):
            rest, total = latents[item, :, frame].clone(), torch.zeros(6)
            for k in range(4):
                table = quantizer.codebook(k)
                distances = [float(((rest.double() - word.double()) ** 2).sum()) for word in table]
                code = distances.index(min(distances))
                assert int(codes[item, k, frame]) == code
                rest, total = rest - table[code], total + table[code]
            assert torch.equal(quantizer.decode(codes)[item, :, frame], total)


def test_initialising_fits_each_level_to_what_is_left():
    quantizer, latents = make(), normal(1, 6, 500).contiguous()
    errors = [
        float(F.mse_loss(quantizer.decode(quantizer.encode(latents, num_codebooks=k)), latents)) for k in range(1, 5)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.3 * errors[0]


def test_the_first_training_batch_initialises_every_level():
    torch.manual_seed(0)
    quantizer = ResidualVectorQuantizer(6, 16, num_codebooks=4).train()
    latents = normal(4, 6, 100)
    quantizer(latents)
    assert all(bool(level.book.ready) for level in quantizer.levels)
    assert float(F.mse_loss(quantizer.decode(quantizer.encode(latents)), latents)) < 0.1


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("learning", ["ema", "gradient"])
def test_the_gradient_is_the_identity_to_the_last_bit(training: bool, learning: str):
    quantizer = make(learning=learning, dropout=0.5).train(training)
    latents, weights = normal(8, 6, 10).requires_grad_(), normal(8, 6, 10, seed=1)
    for depth in (None, 2, torch.tensor([1, 2, 3, 4, 4, 3, 2, 1])):
        latents.grad = None
        (quantizer(latents, num_codebooks=depth).quantized * weights).sum().backward()
        assert torch.equal(latents.grad, weights)


def test_the_gradient_equals_finite_differences_of_its_definition():
    quantizer = make().eval()
    latents = normal(1, 6, 4).requires_grad_()
    weights = normal(1, 6, 4, seed=1)
    (quantizer(latents).quantized * weights).sum().backward()
    words = quantizer(latents).quantized.detach()

    def straight_through(moved: Tensor) -> Tensor:
        return ((moved + (words - latents.detach())) * weights).sum()

    for place in range(24):
        step = torch.zeros(24).scatter(0, torch.tensor([place]), 1e-2).view(1, 6, 4)
        slope = (straight_through(latents.detach() + step) - straight_through(latents.detach() - step)) / 2e-2
        assert float(slope) == pytest.approx(float(latents.grad.flatten()[place]), abs=1e-3)


@pytest.mark.parametrize("options", [{}, {"codebook_dim": 3}, {"metric": "cosine"}])
def test_commitment_of_every_level_reaches_the_latents(options: dict[str, object]):
    quantizer = make(**options).eval()
    latents = normal(2, 6, 10).requires_grad_()
    gradients = []
    for depth in (1, 4):
        latents.grad = None
        quantizer(latents, num_codebooks=depth).loss.backward()
        gradients.append(latents.grad.clone())
    assert bool(gradients[0].any())
    assert not torch.allclose(gradients[0], gradients[1])


def test_the_loss_is_the_mean_of_what_each_level_commits_to():
    quantizer, latents = make(commitment=0.5).eval(), normal(3, 6, 10)
    codes, rest, losses = quantizer.encode(latents), latents, []
    for k in range(4):
        words = quantizer.codebook(k)[codes[:, k]].transpose(1, 2)
        losses.append(0.5 * F.mse_loss(rest, words))
        rest = rest - words
    torch.testing.assert_close(quantizer(latents).loss, torch.stack(losses).mean())


def test_items_with_fewer_codebooks_are_quantized_with_those():
    quantizer, latents = make().eval(), normal(3, 6, 20)
    out = quantizer(latents, num_codebooks=torch.tensor([1, 4, 2]))
    for item, depth in enumerate((1, 4, 2)):
        alone = quantizer.decode(quantizer.encode(latents[item : item + 1], num_codebooks=depth))
        assert torch.equal(out.quantized[item], alone[0])
    assert torch.equal(out.codes, quantizer.encode(latents))


def test_items_with_fewer_codebooks_teach_only_those():
    quantizer = make().train()
    before = copy.deepcopy(quantizer)
    quantizer(normal(2, 6, 50), num_codebooks=torch.tensor([2, 2]))
    moved = [
        not torch.equal(a.book.counts, b.book.counts) for a, b in zip(quantizer.levels, before.levels, strict=True)
    ]
    assert moved == [True, True, False, False]


def test_dropout_is_for_training_and_takes_its_share():
    quantizer, latents = make(dropout=0.5), normal(400, 6, 1)
    full = quantizer.eval()(latents).quantized
    assert torch.equal(full, quantizer.decode(quantizer.encode(latents)))
    torch.manual_seed(1)
    depths = quantizer.train().draw_depth(400, None, dropout=quantizer.dropout)
    assert 0.3 < float((depths < 4).float().mean()) < 0.45, "half the items, of which a quarter draws all codebooks"
    assert set(depths.tolist()) == {1, 2, 3, 4}
    assert quantizer.draw_depth(400, 3, dropout=quantizer.dropout).tolist() == [3] * 400


@pytest.mark.parametrize("depth", [0, 5, torch.tensor([0, 1]), torch.tensor([1, 5])])
def test_numbers_of_codebooks_that_do_not_exist_are_refused(depth: int | Tensor):
    with pytest.raises(ValueError, match="between 1 and 4"):
        make()(normal(2, 6, 5), num_codebooks=depth)


def test_codes_that_do_not_exist_are_refused():
    codes = make().encode(normal(2, 6, 5))
    codes[1, 2, 3] = 16
    with pytest.raises(TokensError, match=r"code 16 of codebook 2 \(item 1, frame 3\)"):
        make().decode(codes)
    with pytest.raises(IndexError, match=r"in 0\.\.3, got 4"):
        make().codebook(4)


@pytest.mark.parametrize("options", [{}, {"codebook_dim": 3, "metric": "cosine", "learning": "gradient"}])
def test_resuming_equals_going_on(options: dict[str, object]):
    def new() -> tuple[ResidualVectorQuantizer, torch.optim.Optimizer]:
        quantizer = make(dropout=0.3, revive_below=0.3, **options).train()
        # EMA quantizers have nothing to optimise; a stand-in keeps one loop for both.
        learning = [*quantizer.parameters()] or [torch.nn.Parameter(torch.zeros(1))]
        return quantizer, torch.optim.Adam(learning, 1e-2)

    def train(quantizer: ResidualVectorQuantizer, optimizer: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            torch.manual_seed(step)
            latents = normal(4, 6, 30, seed=step)
            out = quantizer(latents)
            if out.loss.requires_grad:
                optimizer.zero_grad()
                (out.loss + F.mse_loss(out.quantized, latents)).backward()
                optimizer.step()

    whole, half, resumed = new(), new(), new()
    train(*whole, range(20))
    train(*half, range(10))
    resumed[0].load_state_dict(copy.deepcopy(half[0].state_dict()))
    resumed[1].load_state_dict(copy.deepcopy(half[1].state_dict()))
    for to, level in zip(resumed[0].levels, half[0].levels, strict=True):
        to.book.load_learning_state(copy.deepcopy(level.book.learning_state()))
    train(*resumed, range(10, 20))
    for a, b in zip(
        [*whole[0].buffers(), *whole[0].parameters()], [*resumed[0].buffers(), *resumed[0].parameters()], strict=True
    ):
        assert torch.equal(a, b)


def test_training_fills_every_level():
    quantizer = make(decay=0.9, revive_below=0.1).train()
    for step in range(60):
        out = quantizer(normal(4, 6, 100, seed=step))
    used = [len(row.unique()) for row in out.codes.transpose(0, 1).flatten(1)]
    assert min(used) >= 0.9 * 16
    assert all(float(out.stats[f"perplexity_{k}"]) >= 8 for k in range(4))


def test_one_bad_frame_spoils_no_level():
    quantizer = make().train()
    latents = normal(2, 6, 30)
    latents[0, 0, 4] = torch.nan
    quantizer(latents)
    assert all(bool(torch.isfinite(value).all()) for value in quantizer.buffers())
    assert bool(torch.isfinite(quantizer(normal(2, 6, 30)).loss))
