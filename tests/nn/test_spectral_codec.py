"""The networks of the spectral codecs see as far as they say, and no farther."""

import pytest
import torch
import torch.nn.functional as F

from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralDecoder, SpectralEncoder, pad_context

SMALL = {"latent_dim": 8, "encoder_dim": 8, "decoder_dim": 8, "decoder_blocks": 2}
SHAPES = [
    SpectralCodecShape(**SMALL),
    SpectralCodecShape(hop_length=40, subframes=1, n_fft=160, encoder_blocks=1, kernel_size=3, **SMALL),
    SpectralCodecShape(hop_length=60, subframes=3, n_fft=60, encoder_blocks=2, kernel_size=5, **SMALL),
    SpectralCodecShape(encoder_blocks=2, mels=20, **SMALL),
]
FRAMES = 41


def make(shape: SpectralCodecShape) -> SpectralEncoder:
    """An encoder whose filters, if it has any, overlap a little."""
    places = torch.linspace(0, 20, shape.n_fft // 2 + 1) - torch.arange(20)[:, None]
    return SpectralEncoder(shape, (1 - places.abs()).clamp_min(0) if shape.mels else None)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", ["first", "last"])
def test_the_encoder_sees_its_reach_and_context(shape: SpectralCodecShape, place: str):
    encoder, hop = make(shape).eval(), shape.hop_length
    signal, sample = torch.zeros(1, FRAMES * hop), 20 * hop + (0 if place == "first" else hop - 1)
    signal[0, sample] = torch.nan
    with torch.no_grad():
        latents = encoder(pad_context(signal, encoder.context))
    assert latents.shape == (1, shape.latent_dim, FRAMES)
    dependent = latents[0].isnan().any(0).nonzero().squeeze(1).tolist()
    edge = encoder.reach * hop + encoder.context
    allowed = [t for t in range(FRAMES) if t * hop - edge <= sample < (t + 1) * hop + edge]
    assert set(dependent) <= set(allowed)
    assert len(allowed) - len(dependent) <= 2, "the declared field is hardly wider than the true one"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_decoder_reaches_as_far_as_it_says(shape: SpectralCodecShape):
    decoder, hop = SpectralDecoder(shape).eval(), shape.hop_length
    vectors = torch.zeros(1, shape.latent_dim, FRAMES)
    vectors[0, :, 20] = torch.nan
    with torch.no_grad():
        signal = decoder(vectors)
    assert signal.shape == (1, FRAMES * hop + 2 * decoder.context)
    samples = signal[0].isnan().nonzero().squeeze(1) - decoder.context
    frames = samples.div(hop, rounding_mode="floor")
    assert int(frames.min()) == 20 - decoder.reach
    assert int(frames.max()) == 20 + decoder.reach


def test_an_encoder_of_mel_energies_hears_no_phases():
    encoder = make(SpectralCodecShape(encoder_blocks=1, mels=20, **SMALL)).eval()
    signal = torch.randn(1, 10 * 320 + 2 * encoder.context, generator=torch.Generator().manual_seed(0))
    assert torch.equal(encoder(signal), encoder(-signal))
    assert "filters" not in "".join(encoder.state_dict())


def test_frames_hold_their_subframes_in_order():
    shape = SHAPES[2]
    encoder = SpectralEncoder(shape)
    signal = torch.randn(1, 4 * 60 + 2 * encoder.context, generator=torch.Generator().manual_seed(0))
    grouped = []
    encoder.stack.register_forward_pre_hook(lambda _, inputs: grouped.append(inputs[0]))
    encoder(signal)
    spectra = encoder.spectrum(signal)
    assert spectra.shape[1] == 12
    torch.testing.assert_close(grouped[0][0, 1], spectra[0, 3:6].flatten())


@pytest.mark.parametrize(("mels", "filters"), [(20, None), (0, torch.ones(20, 321))])
def test_filters_are_needed_for_mel_energies_only(mels: int, filters: torch.Tensor | None):
    with pytest.raises(ValueError, match=f"and only there; mels={mels}"):
        SpectralEncoder(SpectralCodecShape(mels=mels, **SMALL), filters)


def test_padding_surrounds_with_zeros():
    assert torch.equal(pad_context(torch.ones(2, 3), 2), F.pad(torch.ones(2, 3), (2, 2)))


def test_default_sizes_are_the_shipped_ones():
    assert sum(p.numel() for p in SpectralEncoder(SpectralCodecShape()).parameters()) < 2_000_000
    assert sum(p.numel() for p in SpectralDecoder(SpectralCodecShape()).parameters()) < 2_500_000
