"""The body of the banded codecs: per frequency band an encoder and a decoder."""

from __future__ import annotations

from tokaudio.nn.banded_codec import BandedCodecShape, BandedDecoder, BandedEncoder
from tokaudio.spec import CodebookSpec
from tokaudio.tokenizers.banded_codec import BandedCodec
from tokaudio.training.bodies import About, QuantizerChoice
from tokaudio.training.framewise_body import FramewiseBody


class BandedBody(FramewiseBody):
    """Encoder and decoder of a [`BandedCodec`][tokaudio.tokenizers.banded_codec.BandedCodec].

    Its options are `sample_rate` (16 kHz unless told otherwise) and the fields of `BandedCodecShape`.

    Example:
        >>> import torch
        >>> body = BandedBody.from_options({"latent_dim": 32})
        >>> latents = body.encode(torch.zeros(2, 3200))
        >>> latents.shape, body.decode(latents).shape
        (torch.Size([2, 32, 10]), torch.Size([2, 3200]))
    """

    NAME = "banded"
    SHAPE = BandedCodecShape
    shape: BandedCodecShape

    def networks(self) -> tuple[BandedEncoder, BandedDecoder]:
        """Return an untrained encoder and decoder of every band."""
        return BandedEncoder(self.shape, self.sample_rate), BandedDecoder(self.shape, self.sample_rate)

    def untrained_tokenizer(
        self, quantizer: QuantizerChoice, sizes: tuple[CodebookSpec, ...], about: About
    ) -> BandedCodec:
        """Return a banded codec of the same networks.

        Raises:
            CheckpointError: if the quantizer is not the banded one, with as many bands.
        """
        return BandedCodec(self.spec(sizes, about), self.shape, quantizer.name, quantizer.options)
