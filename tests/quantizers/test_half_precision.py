"""Half precision, as weights or by autocast: indices and searches must not feel it."""

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.quantizers import FiniteScalarQuantizer, Quantizer, SimVectorQuantizer, VectorQuantizer

VARIANTS = {
    "vq": lambda: VectorQuantizer(16, 2048),
    "cosine": lambda: VectorQuantizer(16, 2048, metric="cosine"),
    "gradient": lambda: VectorQuantizer(16, 2048, learning="gradient"),
    "simvq": lambda: SimVectorQuantizer(16, 2048),
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_every_code_is_reached_from_its_own_codeword(name: str, dtype: torch.dtype):
    quantizer = VARIANTS[name]().to(dtype)
    words, codes = quantizer.codebook(0).T[None], torch.arange(2048)
    assert torch.equal(quantizer.decode(codes[None, None]), words)
    assert words.dtype == dtype
    assert torch.equal(quantizer.encode(quantizer.codebook(0).float().T[None])[0, 0], codes)
    # Codewords of SimVQ are made in float32 and rounded only on their way out; neighbours of 2,048 are far enough.
    assert torch.equal(quantizer.encode(words)[0, 0], codes)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_code_is_reached_in_training_under_autocast(name: str):
    quantizer = VARIANTS[name]().eval()
    words = quantizer.codebook(0).detach().T[None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = quantizer(words)
        assert torch.equal(quantizer.encode(words)[0, 0], torch.arange(2048))
    assert torch.equal(out.codes[0, 0], torch.arange(2048))
    assert_near(out.quantized, words, within=1e-6)


@torch.no_grad()
def test_all_65536_codes_of_scalar_levels_survive_half_precision():
    quantizer = FiniteScalarQuantizer(8, (4,) * 8).bfloat16()
    levels = torch.cartesian_prod(*[torch.tensor([-6.0, -0.7, 0.0, 6.0])] * 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = quantizer.encode(levels.bfloat16().T[None])
        assert torch.equal(quantizer(levels.bfloat16().T[None]).codes, codes)
    assert torch.equal(codes[0, 0].sort().values, torch.arange(65536))


@pytest.mark.parametrize(
    "quantizer",
    [
        VectorQuantizer(8, 64, codebook_dim=4),
        SimVectorQuantizer(8, 64, codebook_dim=4),
        FiniteScalarQuantizer(8, (5, 5, 5)),
    ],
    ids=["vq", "simvq", "fsq"],
)
def test_training_finds_the_codes_of_encoding_whatever_the_precision(quantizer: Quantizer):
    latents = normal(2, 8, 300)
    for half in (quantizer.eval(), quantizer.bfloat16()):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half is quantizer):
            for given in (latents, latents.bfloat16()):
                assert torch.equal(half(given).codes, half.encode(given))


def test_averages_are_kept_in_full_precision():
    quantizer = VectorQuantizer(8, 64).bfloat16().train()
    for step in range(300):
        quantizer(normal(2, 8, 100, seed=step).bfloat16())
    book = quantizer.book
    assert (book.counts.dtype, book.sums.dtype, book.table.dtype) == (torch.float32, torch.float32, torch.bfloat16)
    # In bfloat16 an average of about 3 could not be moved by hundredths of what is missing.
    assert float(book.counts.sum()) == pytest.approx(200, rel=0.05)
    assert_near(book.table.float(), book.sums / book.counts[:, None], within=0.01)
