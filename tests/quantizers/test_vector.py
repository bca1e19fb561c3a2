"""One codebook: its codes against loops, its gradients against their definition, its training against collapse."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.quantizers import VectorQuantizer
from tokaudio.quantizers.vector import perplexity

VARIANTS = {
    "plain": {},
    "factorised": {"codebook_dim": 3},
    "cosine": {"metric": "cosine"},
    "gradient": {"learning": "gradient"},
    "DAC": {"codebook_dim": 3, "metric": "cosine", "learning": "gradient"},
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(**options: object) -> VectorQuantizer:
    torch.manual_seed(0)
    return VectorQuantizer(6, 16, **options)


def twin(quantizer: VectorQuantizer, latents: Tensor) -> tuple[list[list[int]], Tensor]:
    """Codes and vectors of every frame on its own, in float64 loops."""
    width = quantizer.book.dim
    down = quantizer.down.double() if isinstance(quantizer.down, torch.nn.Linear) else torch.nn.Identity()
    up = quantizer.up.double() if isinstance(quantizer.up, torch.nn.Linear) else torch.nn.Identity()
    table = quantizer.book.table.double()
    if quantizer.book.metric == "cosine":
        table = torch.stack([row / row.norm() for row in table])
    codes, vectors = [], torch.zeros(latents.shape, dtype=torch.float64)
    for item in range(len(latents)):
        codes.append([])
        for frame in range(latents.shape[2]):
            row = down(latents[item, :, frame].double())
            assert row.shape == (width,)
            if quantizer.book.metric == "cosine":
                row = row / row.norm()
            distances = [float(((row - word) ** 2).sum()) for word in table]
            codes[-1].append(distances.index(min(distances)))
            vectors[item, :, frame] = up(table[codes[-1][-1]])
    quantizer.float()
    return codes, vectors


@pytest.mark.parametrize("variant", VARIANTS)
def test_codes_and_vectors_equal_the_twin(variant: str):
    quantizer, latents = make(**VARIANTS[variant]), normal(2, 6, 30, seed=1)
    with torch.no_grad():
        codes, vectors = twin(quantizer, latents)
        assert quantizer.encode(latents)[:, 0].tolist() == codes
        torch.testing.assert_close(quantizer.decode(torch.tensor(codes)[:, None]).double(), vectors)
        torch.testing.assert_close(quantizer.eval()(latents).quantized.double(), vectors)


@pytest.mark.parametrize("variant", ["plain", "cosine", "gradient"])
def test_the_gradient_passes_straight_through(variant: str):
    quantizer = make(**VARIANTS[variant]).train()
    latents, weights = normal(2, 6, 10).requires_grad_(), normal(2, 6, 10, seed=1)
    (quantizer(latents).quantized * weights).sum().backward()
    assert torch.equal(latents.grad, weights)
    if variant == "gradient":
        assert quantizer.book.table.grad is None, "the table learns from its own loss, not from the decoder's"


def test_the_gradient_of_a_factorised_quantizer_is_that_of_its_projections():
    quantizer = make(codebook_dim=3).eval()
    latents, weights = normal(2, 6, 10).requires_grad_(), normal(2, 6, 10, seed=1)
    (quantizer(latents).quantized * weights).sum().backward()
    projection = quantizer.up.weight @ quantizer.down.weight
    torch.testing.assert_close(latents.grad, torch.einsum("oi,bot->bit", projection, weights))


@pytest.mark.parametrize("variant", VARIANTS)
def test_commitment_pulls_the_latents_to_their_words(variant: str):
    quantizer = make(**VARIANTS[variant], commitment=0.5).eval()
    latents = normal(2, 6, 10).requires_grad_()
    loss = quantizer(latents).loss
    rows = quantizer.down(latents.transpose(1, 2))
    if quantizer.book.metric == "cosine":
        rows = F.normalize(rows, dim=-1)
    words = quantizer.book.lookup(quantizer.encode(latents)[:, 0])
    terms = 0.5 * F.mse_loss(rows, words.detach())
    if quantizer.book.learning == "gradient":
        terms = terms + F.mse_loss(words, rows.detach())
    torch.testing.assert_close(loss, terms)
    loss.backward()
    step = latents.detach() - 0.1 * latents.grad
    assert float(quantizer(step).loss.detach()) < float(loss.detach())
    assert (quantizer.book.learning == "gradient") == (
        isinstance(quantizer.book.table, torch.nn.Parameter) and quantizer.book.table.grad is not None
    )


def test_items_of_weight_zero_add_no_loss_and_teach_nothing():
    quantizer = make().train()
    quantizer.initialise(normal(100, 6))
    before = quantizer.book.counts.clone()
    latents = normal(2, 6, 10)
    out = quantizer(latents, weights=torch.zeros(2))
    assert float(out.loss) == 0
    assert torch.equal(quantizer.book.counts, before)
    alone, both = make().train(), make().train()
    for one in (alone, both):
        one.initialise(normal(100, 6))
    alone(latents[:1])
    both(latents, weights=torch.tensor([1.0, 0.0]))
    assert torch.equal(alone.book.table, both.book.table)


def test_the_first_training_batch_sets_the_codebook_and_a_loaded_one_stays():
    quantizer, latents = make().train(), normal(4, 6, 50)
    before = quantizer.book.table.clone()
    quantizer(latents)
    assert bool(quantizer.book.ready)
    loaded = make().train()
    loaded.load_state_dict(quantizer.state_dict())
    loaded(latents)
    assert float((loaded.book.table - quantizer.book.table).abs().max()) < 0.1
    assert not torch.allclose(before, quantizer.book.table, atol=0.1)


def test_revival_does_not_break_the_gradient_of_a_learned_cosine_table():
    quantizer = make(**VARIANTS["DAC"]).train()
    quantizer(normal(2, 6, 30))
    quantizer.book.counts.zero_()
    out = quantizer(normal(2, 6, 30, seed=1).requires_grad_())
    assert float(out.stats["revived"]) > 0
    (out.loss + out.quantized.sum()).backward()
    assert bool(torch.isfinite(quantizer.book.table.grad).all())


def mixture(batch: int, centres: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    pick = torch.randint(0, len(centres), (batch,), generator=generator)
    return (centres[pick] + 0.1 * torch.randn(batch, centres.shape[1], generator=generator)).T[None]


def test_without_revival_and_with_a_bad_start_the_figures_show_the_collapse():
    centres = normal(32, 6, seed=5) * 2
    quantizer = VectorQuantizer(6, 32, revive_below=0.0).train()
    quantizer.book.initialise(normal(64, 6) + 50)
    for step in range(50):
        stats = quantizer(mixture(256, centres, step)).stats
    assert float(stats["perplexity"]) < 8
    assert float(stats["revived"]) == 0


def test_perplexity_counts_codes_in_effective_use():
    assert float(perplexity(torch.zeros(100, dtype=torch.int64), 16)) == 1
    assert float(perplexity(torch.arange(16).repeat(5), 16)) == 16
    assert float(perplexity(torch.tensor([0, 0, 0, 1]), 16)) == pytest.approx(1.7548, abs=1e-3)


def test_what_does_not_fit_is_refused():
    quantizer = make()
    with pytest.raises(TokensError, match=r"code 16 of codebook 0 \(item 0, frame 1\) is outside 0..15"):
        quantizer.decode(torch.tensor([[[3, 16]]]))
    with pytest.raises(TokensError, match=r"\[B, k, T\] with 1 <= k <= 1, got \[1, 2, 3\]"):
        quantizer.decode(torch.zeros(1, 2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="between 1 and 1, got 2"):
        quantizer(normal(1, 6, 3), num_codebooks=2)
    with pytest.raises(IndexError, match="got 1"):
        quantizer.codebook(1)
