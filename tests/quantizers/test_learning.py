"""What training promises: codebooks that are used, codes that come back for good, and runs that can be cut anywhere.

The long version of the first law (1,024 Gaussians, 2,000 steps) is `benchmarks/quantizers.py --part usage`.
"""

import io
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.quantizers import (
    FactorizedVectorQuantizer,
    Quantizer,
    ResidualVectorQuantizer,
    SimVectorQuantizer,
    VectorQuantizer,
)
from tokaudio.quantizers.vector import perplexity

DIM, SIZE = 6, 64
FAST = {"decay": 0.9, "revive_below": 0.2}
DAC = {"codebook_dim": 4, "metric": "cosine", "learning": "gradient"}
LEARNED: dict[str, Callable[[], Quantizer]] = {
    "averages": lambda: VectorQuantizer(DIM, SIZE, **FAST),
    "averages, rotation": lambda: VectorQuantizer(DIM, SIZE, gradient="rotation", **FAST),
    "gradient": lambda: VectorQuantizer(DIM, SIZE, learning="gradient", **FAST),
    "cosine": lambda: VectorQuantizer(DIM, SIZE, metric="cosine", **FAST),
    "DAC": lambda: VectorQuantizer(DIM, SIZE, **DAC, **FAST),
    "simvq": lambda: SimVectorQuantizer(DIM, SIZE),
    "rvq": lambda: ResidualVectorQuantizer(DIM, SIZE, num_codebooks=2, **FAST),
    "factorized": lambda: FactorizedVectorQuantizer(DIM, SIZE, num_codebooks=2, codebook_dim=4),
}


def made(name: str) -> Quantizer:
    torch.manual_seed(0)
    return LEARNED[name]().train()


def optimizer_of(quantizer: Quantizer) -> torch.optim.Optimizer | None:
    learned = list(quantizer.parameters())
    return torch.optim.Adam(learned, 3e-3) if learned else None


def step(quantizer: Quantizer, optimizer: torch.optim.Optimizer | None, latents: Tensor) -> None:
    out = quantizer(latents)
    if optimizer is not None:
        optimizer.zero_grad()
        (out.loss + F.mse_loss(out.quantized, latents)).backward()
        optimizer.step()


def mixture(count: int, seed: int) -> Tensor:
    """Vectors `[1, D, count]` of 64 Gaussians whose centres fill 4 of the 6 dimensions."""
    fixed = torch.Generator().manual_seed(7)
    centres = torch.randn(SIZE, 4, generator=fixed) @ torch.linalg.qr(torch.randn(DIM, 4, generator=fixed))[0].T
    generator = torch.Generator().manual_seed(seed)
    pick = torch.randint(0, SIZE, (count,), generator=generator)
    return (centres[pick] + 0.3 * torch.randn(count, DIM, generator=generator)).T[None]


@pytest.mark.parametrize("name", LEARNED)
def test_a_mixture_uses_nine_codes_of_ten(name: str):
    quantizer = made(name)
    quantizer.initialise(mixture(512, 5000)[0].T)
    optimizer = optimizer_of(quantizer)
    for number in range(200):
        step(quantizer, optimizer, mixture(128, number))
    codes = quantizer.encode(mixture(4096, 9999))
    for book in codes.unbind(1):
        assert len(book.unique()) >= 0.9 * SIZE
        assert float(perplexity(book, SIZE)) >= 0.5 * SIZE


@pytest.mark.parametrize("name", ["averages", "cosine", "gradient", "DAC"])
def test_revived_codes_keep_their_use(name: str):
    quantizer = made(name)
    quantizer.initialise(mixture(512, 5000)[0].T)
    book, optimizer = quantizer.book, optimizer_of(quantizer)
    killed = torch.arange(SIZE) % 4 > 0
    with torch.no_grad():
        book.table[killed] = -50 * torch.ones(book.dim) if book.metric == "euclidean" else book.table[:1].clone()
        book.sums.copy_(book.table)
        book.counts[killed] = 0.0
        book.sums[killed] = 0.0
    assert not killed[quantizer.encode(mixture(2048, 1)).unique()].any(), "they are dead"
    for number in range(50):
        step(quantizer, optimizer, mixture(128, number))
    used = torch.zeros(SIZE, dtype=torch.bool)
    used[quantizer.encode(mixture(2048, 2)).unique()] = True
    assert int(used[killed].sum()) >= 0.9 * int(killed.sum())
    assert bool((book.counts[killed] > 0).all()) and float(book.counts[killed].mean()) > 0.5


@pytest.mark.parametrize("name", LEARNED)
def test_a_hundred_steps_are_fifty_and_fifty(name: str):
    def run(quantizer: Quantizer, optimizer: torch.optim.Optimizer | None, numbers: range) -> None:
        for number in numbers:
            step(quantizer, optimizer, mixture(96, number) + number / 50)

    whole, half = made(name), made(name)
    optimizers = [optimizer_of(whole), optimizer_of(half)]
    run(whole, optimizers[0], range(100))
    run(half, optimizers[1], range(50))
    file = io.BytesIO()
    kept = {"weights": half.state_dict(), "learning": half.learning_state()}
    torch.save(kept | {"optimizer": optimizers[1].state_dict() if optimizers[1] else None}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    torch.manual_seed(99)
    resumed = LEARNED[name]().train()
    resumed.load_state_dict(saved["weights"])
    resumed.load_learning_state(saved["learning"])
    optimizer = optimizer_of(resumed)
    if optimizer is not None:
        optimizer.load_state_dict(saved["optimizer"])
    run(resumed, optimizer, range(50, 100))
    for kind in ("named_parameters", "named_buffers"):
        wanted = dict(getattr(whole, kind)())
        for key, value in getattr(resumed, kind)():
            assert torch.equal(value, wanted[key]), key
    assert repr(whole.learning_state()) == repr(resumed.learning_state())
