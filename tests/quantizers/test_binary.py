"""Binary spherical quantization: codes are the signs, read as a binary number."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.errors import TokensError
from tokaudio.quantizers.binary import BinarySphericalQuantizer
from tokaudio.testing import check_quantizer


def noise(*shape: int, seed: int = 0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_promise_holds():
    check_quantizer(BinarySphericalQuantizer(6))


@given(st.integers(1, 30), st.integers(0, 99))
def test_codes_are_binary_numbers(dim: int, seed: int):
    latents = noise(2, dim, 5, seed=seed)
    codes = BinarySphericalQuantizer(dim).encode(latents)
    for item, rows in zip(codes, latents, strict=True):
        assert [f"{code:0{dim}b}" for code in item[0].tolist()] == [
            "".join("1" if value > 0 else "0" for value in frame) for frame in rows.T.tolist()
        ]


def test_vectors_are_corners_on_the_sphere_and_come_back():
    quantizer = BinarySphericalQuantizer(13)
    book = quantizer.codebook(0)
    assert book.shape == (8192, 13)
    assert (book.norm(dim=1) - 1).abs().max() < 1e-6
    assert torch.equal(quantizer.encode(book.T[None])[0, 0], torch.arange(8192))
    assert torch.equal(book[0], -book[-1]) and (book[1] > 0).nonzero().flatten().tolist() == [12]


def test_the_code_is_the_nearest_corner_and_zero_is_below():
    quantizer, latents = BinarySphericalQuantizer(5), noise(1, 5, 200)
    nearest = torch.cdist(latents[0].T, quantizer.codebook(0)).argmin(1)
    assert torch.equal(quantizer.encode(latents)[0, 0], nearest)
    assert quantizer.encode(torch.zeros(1, 5, 1)).item() == 0


def test_gradients_pass_through_the_signs():
    quantizer, latents = BinarySphericalQuantizer(4, entropy_weight=0.0), noise(2, 4, 3).requires_grad_(True)
    out = quantizer(latents)
    assert torch.equal(out.codes, quantizer.encode(latents)) and out.loss == 0
    assert (out.quantized - quantizer.decode(out.codes)).abs().max() < 1e-6
    (out.quantized * noise(2, 4, 3, seed=1)).sum().backward()
    assert latents.grad is not None and latents.grad.abs().min() > 0


def test_what_cannot_be_is_refused():
    for dim in (0, 31):
        with pytest.raises(ValueError, match="dim"):
            BinarySphericalQuantizer(dim)
    quantizer = BinarySphericalQuantizer(3)
    with pytest.raises(TokensError, match="outside"):
        quantizer.decode(torch.tensor([[[8]]]))
    with pytest.raises(IndexError):
        quantizer.codebook(1)
    with pytest.raises(ValueError, match="num_codebooks"):
        quantizer.encode(torch.zeros(1, 3, 1), num_codebooks=2)
