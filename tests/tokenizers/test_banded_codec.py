import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tests.tokenizers.test_spectral_codec import whole_latents
from tokaudio import Tokenizer
from tokaudio.analysis.decoding.bands import band_attribution, codebook_spectrum
from tokaudio.errors import CheckpointError
from tokaudio.nn.banded_codec import BandedCodecShape, band_edges
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.banded_codec import BandedCodec

SIZES = {"encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1}
SHAPE = BandedCodecShape(hop_length=80, n_fft=160, latent_dim=8, bands=4, **SIZES)
SPEC = TokenizerSpec("tiny-bands", "compression", 4_000, 80, (CodebookSpec(16),) * 4, chunking="exact")


@pytest.fixture(scope="module")
def codec() -> BandedCodec:
    torch.manual_seed(0)
    made = BandedCodec(SPEC, SHAPE, "banded", {"codebook_size": 16, "bands": 4})
    for out in made.decoder.outs:
        torch.nn.init.normal_(out.weight, std=0.3)
    for stack in made.encoder.stacks:
        torch.nn.init.normal_(stack.entry.bias)
    made.quantizer.initialise(made.features(0.3 * torch.randn(4, 1, 8_000)).transpose(1, 2).flatten(0, 1))
    return made.eval().requires_grad_(False)


def noise(samples: int = 16_000) -> Tensor:
    return 0.3 * torch.randn(samples, generator=torch.Generator().manual_seed(5))


def band_noise(codec: BandedCodec, index: int) -> Tensor:
    """Noise in the middle half of one band."""
    low, high = codec.band_of(index)
    spectrum, hertz = torch.fft.rfft(noise()), torch.fft.rfftfreq(16_000, 1 / 4_000)
    margin = (high - low) / 4
    return torch.fft.irfft(spectrum * ((hertz > low + margin) & (hertz < high - margin)), 16_000)


def test_bands_cover_the_spectrum_and_grow():
    for bands, bins, rate in ((8, 321, 16_000), (4, 81, 4_000), (1, 33, 8_000)):
        edges = band_edges(bands, bins, rate)
        widths = [b - a for a, b in itertools.pairwise(edges)]
        assert edges[0] == 0 and edges[-1] == bins and len(widths) == bands and widths == sorted(widths)
    with pytest.raises(ValueError, match="fewer bands"):
        band_edges(40, 81, 16_000)


def test_every_codebook_acts_in_its_own_band(codec: BandedCodec):
    bands = [codec.band_of(index) for index in range(4)]
    shares = band_attribution(codec, codec.encode(noise()), bands)
    assert bool((shares.diagonal() > 0.8).all()), shares
    assert codebook_spectrum(codec, codec.encode(noise()), 0).sum() > 0


def test_a_tokenizer_without_bands_is_told_apart():
    codec = Tokenizer.from_pretrained("mini-codec")
    bands = [(1000.0 * band, 1000.0 * band + 1000) for band in range(8)]
    shares = band_attribution(codec, codec.encode(noise() * torch.linspace(-3, 0, 16_000).exp()), bands)
    assert shares.diagonal().max() < 0.5
    assert codebook_spectrum(codec, codec.encode(torch.zeros(0)), 0).sum() == 0


def test_a_codebook_that_changes_nothing_has_no_band(codec: BandedCodec):
    tokens = codec.encode(noise())
    constant = dataclasses.replace(tokens, codes=tokens.codes.clone())
    constant.codes[:, 1] = 3
    shares = band_attribution(codec, constant, [(0, 4_000), (4_000, 8_001)])
    assert np.isnan(shares).all(axis=1).tolist() == [False, True, False, False]


def test_a_sub_latent_hears_its_own_band_only(codec: BandedCodec):
    base = codec.features(noise())[0]
    for index in range(4):
        change = (codec.features(noise() + band_noise(codec, index))[0] - base).square().mean(1).unflatten(0, (4, 2))
        share = change.sum(1) / change.sum()
        assert float(share[index]) > 0.99


def test_tiles_equal_one_pass(codec: BandedCodec):
    samples = noise()[None]
    assert_near(codec.features(samples)[0], whole_latents(codec, samples))


def test_batches_and_streams_give_the_same_to_the_last_bit(codec: BandedCodec):
    tokens = codec.encode([noise(), noise(9_999)])
    assert (
        tokens[1] == codec.encode(noise(9_999)) and codec.encode_blocks(noise()[None].split(777, 1), 4_000) == tokens[0]
    )
    sound = codec.decode(tokens)
    assert torch.equal(torch.cat(list(codec.decode_blocks(tokens[0], block_frames=37)), dim=1), sound[0])
    assert torch.equal(codec.decode(tokens[1])[0], sound[1, :, :9_999])


def test_it_is_saved_and_opened(codec: BandedCodec, tmp_path):
    again = Tokenizer.from_pretrained(codec.save_pretrained(tmp_path))
    assert isinstance(again, BandedCodec) and again.fingerprint == codec.fingerprint and again.shape == codec.shape
    assert again.encode(noise()) == codec.encode(noise())


def test_parts_that_do_not_fit_are_refused():
    for name, options in (("rvq", {"num_codebooks": 4}), ("banded", {"bands": 2})):
        with pytest.raises(CheckpointError, match="'banded' with the 4"):
            BandedCodec(SPEC, SHAPE, name, {"codebook_size": 16, **options})
    odd = BandedCodecShape(hop_length=80, n_fft=160, latent_dim=9, bands=4, **SIZES)
    with pytest.raises(CheckpointError, match="multiple of bands"):
        BandedCodec(SPEC, odd, "banded", {"codebook_size": 16, "bands": 4})
