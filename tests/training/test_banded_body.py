import pytest
import torch

from tests.near import assert_near
from tokaudio.errors import CheckpointError
from tokaudio.tokenizers.banded_codec import BandedCodec
from tokaudio.training.bodies import About, QuantizerChoice, make_body

SIZES = {"sample_rate": 4_000, "hop_length": 80, "n_fft": 160, "latent_dim": 8, "bands": 4}
SMALL = {"encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1}


def test_a_body_becomes_a_tokenizer_of_the_same_networks():
    torch.manual_seed(0)
    body, choice = make_body("banded", {**SIZES, **SMALL}), QuantizerChoice("banded", {"codebook_size": 16, "bands": 4})
    signal = 0.3 * torch.randn(1, 4_000)
    quantizer = choice.make(body.dim)
    quantizer.initialise(body.encode(signal).detach()[0].T)
    codec = body.tokenizer(quantizer.eval(), choice, About("toy-bands"))
    assert isinstance(codec, BandedCodec) and codec.spec.name == "toy-bands"
    latents = body.encode(signal).detach()
    inner = slice(codec.encoder.reach, 50 - codec.encoder.reach)
    assert_near(codec.features(signal)[0][:, inner], latents[0][:, inner])
    # Both hear and speak the same, but at the ends: training pads hidden frames, the tokenizer sound.
    edge = (codec.encoder.reach + codec.decoder.reach) * 80
    decoded = body.decode(quantizer.decode(quantizer.encode(latents))).detach()
    sound = codec.decode(codec.encode(signal))[:, 0]
    assert_near(sound[:, edge:-edge], decoded[:, edge:-edge], within=1e-4)


def test_all_parts_learn():
    torch.manual_seed(0)
    body, choice = make_body("banded", {**SIZES, **SMALL}), QuantizerChoice("banded", {"codebook_size": 16, "bands": 4})
    quantizer = choice.make(body.dim).train()
    signal = 0.3 * torch.randn(2, 1_600)
    out = quantizer(body.encode(signal))
    (body.decode(out.quantized) - signal).square().mean().backward()
    assert all(value.grad is not None and bool(torch.isfinite(value.grad).all()) for value in body.parameters())


@pytest.mark.parametrize("wrong", [{"latent_dim": 9}, {"bands": 60, "latent_dim": 60}, {"subframes": 3}])
def test_sizes_that_do_not_fit_are_refused(wrong: dict[str, int]):
    with pytest.raises(CheckpointError, match="change its sizes"):
        make_body("banded", {**SIZES, **SMALL, **wrong})
