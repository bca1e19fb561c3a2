"""Lookup-free and spherical quantization against loops; losses; learning."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.quantizers import BinarySphericalQuantizer, LookupFreeQuantizer, make_quantizer

FAMILIES = [LookupFreeQuantizer, BinarySphericalQuantizer]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_every_code_of_a_large_codebook_comes_back_in_every_dtype(family: type, dtype: torch.dtype):
    bits = 18 if family is LookupFreeQuantizer else 12
    quantizer = family(bits).to(dtype)
    every = torch.arange(2**bits)
    corners = quantizer.decode(every[None, None]).to(dtype)
    assert torch.equal(quantizer.encode(corners)[0, 0], every)
    assert torch.equal(quantizer(corners[..., -999:]).codes[0, 0], every[-999:])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_equals_the_definition_over_all_codes(family: type):
    options = {"commitment": 0.3, "entropy_weight": 0.2, "diversity": 0.7, "inverse_temperature": 1.5}
    quantizer, latents = family(5, entropy_group=5, **options), normal(3, 5, 7)
    rows = latents.transpose(1, 2).reshape(-1, 5)
    if family is BinarySphericalQuantizer:
        rows = rows / rows.norm(dim=1, keepdim=True)
    corners = quantizer.corner * torch.tensor(list(itertools.product((-1.0, 1.0), repeat=5)))
    shares = torch.softmax(-1.5 * torch.cdist(rows, corners).square(), dim=1)
    sure = -(shares * shares.log()).sum(1).mean()
    mean = shares.mean(0)
    spread = -(mean * mean.log()).sum()
    nearest = corners[torch.cdist(rows, corners).argmin(1)]
    wanted = 0.3 * F.mse_loss(rows, nearest) + 0.2 * (sure - 0.7 * spread)
    out = quantizer(latents)
    assert_near(out.loss, wanted)
    assert_near(out.stats["code_entropy"], sure / torch.tensor(2.0).log())
    assert_near(out.stats["codebook_entropy"], spread / torch.tensor(2.0).log())


@pytest.mark.parametrize("family", FAMILIES)
def test_items_without_weight_add_nothing(family: type):
    quantizer, latents = family(6, commitment=0.5), normal(2, 6, 30)
    first = quantizer(latents[:1])
    both = quantizer(latents, weights=torch.tensor([1.0, 0.0]))
    one = 0.5 * F.mse_loss(quantizer.bound(latents[0].T), quantizer.decode(first.codes)[0].T)
    assert_near(both.loss, first.loss - one / 2)
    assert bool(torch.isfinite(quantizer(latents, weights=torch.zeros(2)).loss))


def test_the_gradient_equals_finite_differences_of_its_definition():
    quantizer, latents = LookupFreeQuantizer(4, entropy_weight=0.0), normal(1, 4, 3).requires_grad_()
    weights = normal(1, 4, 3, seed=1)
    (quantizer(latents).quantized * weights).sum().backward()
    assert torch.equal(latents.grad, weights), "straight through the signs"


@pytest.mark.parametrize("name", ["lfq", "bsq"])
def test_training_uses_the_codebook(name: str):
    torch.manual_seed(0)
    centres = normal(256, 16, seed=3)
    quantizer = make_quantizer(name, {"dim": 16, "bits": 6})
    optimizer = torch.optim.Adam(quantizer.parameters(), 5e-3)
    nn.init.constant_(quantizer.down.bias, 1.0)
    used = []
    for step in range(300):
        latents = centres[torch.randint(0, 256, (256,))].T[None] + 0.1 * normal(1, 16, 256, seed=step)
        out = quantizer(latents)
        optimizer.zero_grad()
        (F.mse_loss(out.quantized, latents) + out.loss).backward()
        optimizer.step()
        used.append(len(out.codes.unique()))
    assert used[0] < 32 and used[-1] >= 0.9 * 64
    assert float(out.stats["perplexity"]) > 32


def test_what_does_not_fit_is_refused():
    for options in ({"bits": 0}, {"bits": 31}, {"entropy_group": 0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            LookupFreeQuantizer(4, **options)
    with pytest.raises(IndexError, match="got 1"):
        LookupFreeQuantizer(4).codebook(1)
