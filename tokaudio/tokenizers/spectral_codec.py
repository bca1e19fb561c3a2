"""The spectral codec: a small convolutional codec with a finite receptive field, made for speed and exact chunking."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tokaudio.audio.chunk import TilePlan, TileStream
from tokaudio.audio.mel import mel_filterbank
from tokaudio.errors import CheckpointError
from tokaudio.nn.spectral_codec import SpectralCodecShape, SpectralDecoder, SpectralEncoder
from tokaudio.quantizers import make_quantizer
from tokaudio.quantizers.depth import NO_CODE, decode_to_depth
from tokaudio.spec import TokenizerSpec
from tokaudio.tokenizers.base import Streaming, Tokenizer
from tokaudio.tokenizers.codec import check_codes, check_samples

# Frames per tile: long enough that context is a small share of the work, short enough that a tile stays in cache.
TILE = 100


class SpectralCodec(Tokenizer):
    """Compressed spectrum, ConvNeXt encoder, any quantizer, ConvNeXt decoder, inverse transform.

    Everything runs on tiles of one fixed shape, so that whole, chunked, batched and streamed runs give the same codes
    to the last bit, in bounded memory.

    Example:
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> len(codec.codebooks()), codec.codebooks()[0].shape
        (8, torch.Size([1024, 64]))
    """

    FAMILY = "spectral-codec"
    SHAPE: type[SpectralCodecShape] = SpectralCodecShape
    takes_depth = True

    def __init__(
        self, spec: TokenizerSpec, shape: SpectralCodecShape, quantizer: str, quantizer_options: Mapping[str, Any]
    ) -> None:
        """Make an untrained codec.

        Args:
            spec: its facts; hop and codebooks must agree with the networks.
            shape: sizes of the networks.
            quantizer: name of the quantizer.
            quantizer_options: its arguments besides `dim`.

        Raises:
            CheckpointError: if the parts do not agree.
        """
        super().__init__(spec)
        self.shape, self.quantizer_name, self.quantizer_options = shape, quantizer, dict(quantizer_options)
        encoder, decoder = self._make_networks()
        self.encoder = encoder
        self.quantizer: Any = make_quantizer(quantizer, {"dim": shape.latent_dim, **quantizer_options})
        self.decoder = decoder
        for name, facts, parts in (
            ("hop_length", spec.hop_length, shape.hop_length),
            ("codebook sizes", spec.codebook_sizes, self.quantizer.codebook_sizes),
            ("channels", spec.channels, 1),
        ):
            if facts != parts:
                raise CheckpointError(f"{spec.name}: {name} is {facts} in the spec and {parts} in the network")
        self._encoder_plan = TilePlan(TILE, self.encoder.reach, shape.hop_length, self.encoder.context)
        self._decoder_plan = TilePlan(TILE, self.decoder.reach)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SpectralCodec:
        """Make an untrained codec from what `config.json` holds.

        Raises:
            CheckpointError: if a field is missing or unknown.
        """
        try:
            shape = cls.SHAPE(**config["network"])
            quantizer = dict(config["quantizer"])
            name = quantizer.pop("name")
            spec = TokenizerSpec.from_dict(config["spec"])
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the configuration does not fit the spectral codec: {error}") from error
        return cls(spec, shape, name, quantizer)

    def _make_networks(self) -> tuple[Any, Any]:
        """Return encoder and decoder of `shape`; both say their `reach` and `context`."""
        return spectral_encoder(self.shape, self.spec.sample_rate), SpectralDecoder(self.shape)

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        return {
            "family": self.FAMILY,
            "network": dataclasses.asdict(self.shape),
            "quantizer": {"name": self.quantizer_name, **self.quantizer_options},
        }

    def codebooks(self) -> list[Tensor]:
        """Return every codebook as vectors `[V, D]`."""
        return [self.quantizer.codebook(index).detach() for index in range(self.spec.num_codebooks)]

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        stream = self._streaming(num_codebooks).encoder
        return torch.cat([stream.push(samples), stream.flush()], dim=1)

    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        stream = self._streaming(len(codes)).decoder
        return torch.cat([stream.push(codes), stream.flush()], dim=1)[:, :num_samples]

    def _features(self, samples: Tensor) -> Tensor:
        empty = samples.new_zeros(self.shape.latent_dim, 0)
        stream = TileStream(self._encoder_plan, 1, self._latents, empty, device=self.device)
        return torch.cat([stream.push(samples), stream.flush()], dim=1)

    def _embed(self, codes: Tensor) -> Tensor:
        return self.quantizer.decode(codes)

    def _streaming(self, num_codebooks: int) -> Streaming:
        def encode(window: Tensor) -> Tensor:
            return self.quantizer.encode(self._latents(window)[None], num_codebooks=num_codebooks)[0]

        no_codes = torch.zeros(num_codebooks, 0, dtype=torch.int64, device=self.device)
        no_sound = torch.zeros(1, 0, dtype=torch.float32, device=self.device)
        return Streaming(
            TileStream(self._encoder_plan, 1, encode, no_codes, device=self.device, check=check_samples),
            TileStream(
                self._decoder_plan,
                num_codebooks,
                self._sound,
                no_sound,
                out_per_frame=self.shape.hop_length,
                dtype=torch.int64,
                fill=NO_CODE,
                device=self.device,
                check=self._check_codes,
            ),
        )

    def _check_codes(self, codes: Tensor) -> None:
        check_codes(self.quantizer, codes)

    def _latents(self, window: Tensor) -> Tensor:
        """Return the latents `[D, tile]` of a window of samples `[1, W]`."""
        latents = self.encoder(window)[0]
        return latents[:, self.encoder.reach : latents.shape[1] - self.encoder.reach].contiguous()

    def _sound(self, window: Tensor) -> Tensor:
        """Return the samples `[1, tile * hop]` of a window of codes `[K, W]`; frames without codes are zero vectors."""
        signal = self.decoder(decode_to_depth(self.quantizer.decode, window[None]))
        edge = self.decoder.context + self.decoder.reach * self.shape.hop_length
        return signal[:, edge : signal.shape[1] - edge]


def spectral_encoder(shape: SpectralCodecShape, sample_rate: int) -> SpectralEncoder:
    """Make the encoder of a shape, with mel filters for a sample rate in Hz where it hears mel energies.

    Example:
        >>> spectral_encoder(SpectralCodecShape(mels=80), 16_000).spectrum.filters.shape
        torch.Size([321, 80])
    """
    if not shape.mels:
        return SpectralEncoder(shape)
    filters = torch.tensor(mel_filterbank(sample_rate, shape.n_fft, shape.mels, widen=True), dtype=torch.float32)
    return SpectralEncoder(shape, filters)
