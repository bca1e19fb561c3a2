"""Bodies by name: they keep lengths, refuse what they do not know, and end up in tokenizers that say the same."""

from pathlib import Path

import pytest
import torch

from tests.near import assert_near
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError, UnknownNameError
from tokaudio.quantizers import make_quantizer
from tokaudio.training.bodies import About, QuantizerChoice, codebook_specs, list_bodies, make_body

SMALL = {
    "sample_rate": 4_000,
    "hop_length": 80,
    "n_fft": 160,
    "latent_dim": 8,
    "encoder_dim": 16,
    "encoder_blocks": 1,
    "decoder_dim": 16,
    "decoder_blocks": 1,
}
CHOICE = QuantizerChoice("rvq", {"codebook_size": 16, "num_codebooks": 3, "dropout": 0.3})


@pytest.fixture
def body():
    torch.manual_seed(0)
    return make_body("spectral", SMALL)


def test_lengths_are_those_of_the_contract(body):
    latents = body.encode(torch.randn(2, 20 * 80))
    assert latents.shape == (2, body.dim, 20)
    assert body.decode(latents).shape == (2, 20 * 80)
    assert (body.sample_rate, body.hop_length, body.dim) == (4_000, 80, 8)


def test_the_decoder_gives_float32_under_autocast(body):
    with torch.autocast("cpu", torch.bfloat16):
        assert body.decode(body.encode(torch.randn(1, 1600))).dtype == torch.float32


def test_a_tokenizer_has_the_weights_and_survives_saving(body, tmp_path: Path):
    quantizer = CHOICE.make(body.dim)
    about = About("tiny", kind="hybrid", licence="cc0-1.0", origin="a test")
    made = body.tokenizer(quantizer, CHOICE, about)
    made.save_pretrained(tmp_path / "tiny")
    loaded = Tokenizer.from_pretrained(tmp_path / "tiny")
    assert loaded.fingerprint == made.fingerprint
    spec = loaded.spec
    assert (spec.name, spec.kind, spec.licence, spec.origin) == ("tiny", "hybrid", "cc0-1.0", "a test")
    assert [book.role for book in spec.codebooks] == ["semantic", "acoustic", "acoustic"]
    # Within the signal, where no edge is in reach.
    signal = 0.1 * torch.randn(1, 100 * 80, generator=torch.Generator().manual_seed(1))
    features = loaded.features(signal[0], 4_000)[0]
    assert_near(features[:, 20:-20], body.encode(signal)[0, :, 20:-20], within=1e-4)
    vectors = torch.randn(1, 8, 100)
    codes = quantizer.encode(vectors)
    tokens = loaded.encode(signal[0], 4_000)
    assert torch.equal(tokens.codes[0, :, 20:-20], quantizer.encode(features[None])[0, :, 20:-20])
    assert torch.equal(loaded.quantizer.decode(codes), quantizer.decode(codes))


def test_a_tokenizer_is_a_copy(body):
    made = body.tokenizer(CHOICE.make(body.dim), CHOICE, About("tiny"))
    before = made.fingerprint
    with torch.no_grad():
        next(body.encoder.parameters()).add_(1.0)
    assert made.fingerprint == before and made.spec.kind == "compression"


def test_a_body_starts_from_a_tokenizer_of_its_sizes_only(body):
    other = make_body("spectral", SMALL)
    made = other.tokenizer(CHOICE.make(8), CHOICE, About("tiny"))
    body.start_from(made)
    signal = torch.randn(1, 1600)
    assert torch.equal(body.encode(signal), other.encode(signal))
    with pytest.raises(CheckpointError, match="tiny: its encoder has other sizes than the recipe's body; give"):
        make_body("spectral", SMALL | {"encoder_dim": 24}).start_from(made)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"latent_dims": 8}, "body 'spectral': it has no option 'latent_dims'; there are sample_rate, hop_length"),
        ({"hop_length": 321}, "body 'spectral': subframes must divide hop_length, got 2 and 321; change its sizes"),
        ({"n_fft": 320}, "body 'spectral': n_fft must be a multiple of hop_length and at least three times it"),
        ({"kernel_size": 4}, "body 'spectral': kernel_size must be odd"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, int], problem: str):
    with pytest.raises(CheckpointError) as caught:
        make_body("spectral", options)
    assert str(caught.value).startswith(problem) and "\n" not in str(caught.value)


def test_names_that_do_not_exist_are_refused_with_those_that_do():
    with pytest.raises(UnknownNameError, match=f"no body is called 'seanett'; there are {', '.join(list_bodies())}"):
        make_body("seanett", {})
    with pytest.raises(UnknownNameError, match="no quantizer is called 'pq'"):
        QuantizerChoice("pq").make(4)


def test_strides_that_do_not_fit_into_tiles_are_refused(body):
    choice = QuantizerChoice("factorized", {"codebook_size": 8, "num_codebooks": 2, "strides": [3, 1]})
    with pytest.raises(CheckpointError, match="a stride of 3 does not divide the 100 frames"):
        body.tokenizer(choice.make(8), choice, About("tiny"))


def test_facts_of_codebooks_come_from_the_quantizer():
    options = {"dim": 4, "codebook_size": 8, "num_codebooks": 2, "codebook_dim": 2, "strides": [2, 1]}
    books = codebook_specs(make_quantizer("factorized", options))
    assert [(book.size, book.stride, book.role) for book in books] == [(8, 2, "acoustic"), (8, 1, "acoustic")]
