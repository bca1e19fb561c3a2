"""The body of the small spectral codecs: a compressed spectrum in, ConvNeXt at the frame rate, a spectrum out."""

from __future__ import annotations

from tokaudio.errors import CheckpointError, one_line
from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralDecoder, SpectralEncoder
from tokaudio.spec import CodebookSpec
from tokaudio.tokenizers.spectral_codec import TILE, SpectralCodec, spectral_encoder
from tokaudio.training.bodies import About, QuantizerChoice
from tokaudio.training.framewise_body import FramewiseBody


class SpectralBody(FramewiseBody):
    """Encoder and decoder of a [`SpectralCodec`][tokaudio.tokenizers.spectral_codec.SpectralCodec].

    Its options are `sample_rate` (16 kHz unless told otherwise) and the fields of `SpectralCodecShape`.

    Example:
        >>> import torch
        >>> body = SpectralBody.from_options({"latent_dim": 16})
        >>> latents = body.encode(torch.zeros(2, 3200))
        >>> latents.shape, body.decode(latents).shape
        (torch.Size([2, 16, 10]), torch.Size([2, 3200]))
    """

    NAME = "spectral"
    SHAPE = SpectralCodecShape
    shape: SpectralCodecShape

    def networks(self) -> tuple[SpectralEncoder, SpectralDecoder]:
        """Return an untrained encoder and decoder."""
        return spectral_encoder(self.shape, self.sample_rate), SpectralDecoder(self.shape)

    def untrained_tokenizer(
        self, quantizer: QuantizerChoice, sizes: tuple[CodebookSpec, ...], about: About
    ) -> SpectralCodec:
        """Return a spectral codec of the same networks.

        Raises:
            CheckpointError: if spans of the quantizer's codes do not fit into the codec's tiles.
        """
        if wrong := [book.stride for book in sizes if TILE % book.stride]:
            problem = f"a stride of {wrong[0]} does not divide the {TILE} frames that it encodes together"
            raise CheckpointError(one_line(f"body {self.NAME!r}", problem, "choose strides such as 1, 2, 4, 5"))
        return SpectralCodec(self.spec(sizes, about), self.shape, quantizer.name, quantizer.options)
