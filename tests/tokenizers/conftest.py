"""A tiny codec: the shipped family with small networks, random weights, and codebooks that fit its latents."""

import pytest
import torch

from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers import SpectralCodec


def make_codec(sample_rate: int = 4_000) -> SpectralCodec:
    torch.manual_seed(0)
    sizes = {"latent_dim": 8, "encoder_dim": 8, "encoder_blocks": 1, "decoder_dim": 8, "decoder_blocks": 1}
    shape = SpectralCodecShape(hop_length=80, n_fft=160, **sizes)
    spec = TokenizerSpec("tiny", "compression", sample_rate, 80, (CodebookSpec(16),) * 3, chunking="exact")
    codec = SpectralCodec(spec, shape, "rvq", {"codebook_size": 16, "num_codebooks": 3})
    torch.nn.init.normal_(codec.encoder.stack.entry.bias)
    codec.quantizer.initialise(codec.features(0.3 * torch.randn(4, 1, 8_000)).transpose(1, 2).flatten(0, 1))
    return codec.eval().requires_grad_(False)


@pytest.fixture
def codec() -> SpectralCodec:
    return make_codec()


@pytest.fixture
def noise() -> torch.Tensor:
    """Two seconds `[S]` at the tiny codec's rate."""
    return 0.3 * torch.randn(8_000, generator=torch.Generator().manual_seed(5))
