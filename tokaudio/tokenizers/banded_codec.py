"""The banded codec: a spectral codec in which every codebook has a frequency band of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokaudio.errors import CheckpointError
from tokaudio.nn.banded_codec import BandedCodecShape, BandedDecoder, BandedEncoder
from tokaudio.quantizers.banded import BandedQuantizer
from tokaudio.spec import TokenizerSpec
from tokaudio.tokenizers.spectral_codec import SpectralCodec


class BandedCodec(SpectralCodec):
    """Per band a ConvNeXt encoder, codebooks and a ConvNeXt decoder; the bands meet in the transform only.

    Runs on the tiles of the spectral codec, with the same exactness.

    Attributes:
        quantizer: knows which band a codebook has: `quantizer.band_of(k)`.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(16),) * 8, chunking="exact")
        >>> codec = BandedCodec(spec, BandedCodecShape(), "banded", {"codebook_size": 16, "bands": 8})
        >>> codec.band_of(0), codec.band_of(7)
        ((0.0, 250.0), (5650.0, 8000.0))
    """

    FAMILY = "banded-codec"
    SHAPE = BandedCodecShape
    quantizer: BandedQuantizer

    def __init__(
        self, spec: TokenizerSpec, shape: BandedCodecShape, quantizer: str, quantizer_options: Mapping[str, Any]
    ) -> None:
        """Make an untrained codec; arguments as for `SpectralCodec`.

        Raises:
            CheckpointError: if the parts do not agree, or the quantizer is not banded.
        """
        if quantizer != "banded" or quantizer_options.get("bands") != shape.bands:
            problem = f"the quantizer is {quantizer!r} of {quantizer_options.get('bands')} bands"
            raise CheckpointError(f"{spec.name}: {problem}; take 'banded' with the {shape.bands} of the network")
        super().__init__(spec, shape, quantizer, quantizer_options)

    def band_of(self, index: int) -> tuple[float, float]:
        """Return the band of a codebook as its lowest and highest frequency in Hz.

        Raises:
            IndexError: if there is no such codebook.
        """
        band = self.quantizer.band_of(index)
        edges = self.decoder.edges
        width = self.spec.sample_rate / self.shape.n_fft
        return edges[band] * width, min(edges[band + 1] * width, self.spec.sample_rate / 2)

    def _make_networks(self) -> tuple[BandedEncoder, BandedDecoder]:
        assert isinstance(self.shape, BandedCodecShape)
        try:
            rate = self.spec.sample_rate
            return BandedEncoder(self.shape, rate), BandedDecoder(self.shape, rate)
        except ValueError as error:
            raise CheckpointError(f"{self.spec.name}: {error}") from error
