"""The assembly behind codecs that code a signal segment by segment."""

from __future__ import annotations

import torch
from torch import Tensor

from tokaudio.tokenizers.base import Streaming
from tokaudio.tokenizers.codec import Codec, check_samples
from tokaudio.tokenizers.pieces import Collector, Encoded, joined
from tokaudio.tokenizers.segments import GROUP, Encode, SegmentDecoder, SegmentEncoder
from tokaudio.tokens import Tokens

# What is added to a scale, so that silence can be divided by it.
_LEAST_SCALE = 1e-8


class SegmentCodec(Codec):
    """A codec that codes the segments of its spec each alone, or whole signals where its spec has none.

    Attributes:
        normalize: whether a segment is divided by the root mean square of its mono mix before it is encoded.
    """

    normalize: bool = False

    @property
    def takes_depth(self) -> bool:  # type: ignore[override]
        """Whether it decodes tokens of variable depth: where signals are coded whole."""
        return self.spec.segments is None

    # --- what a family may do in another way ---------------------------------------------------------------------

    def encode_segments(self, blocks: list[Tensor]) -> list[Tensor]:
        """Return latents `[T, D]` of whole segments `[n, C]`, each as it would be alone."""
        return [self.encoder_stage()(block, True) for block in blocks]

    def decode_segments(self, blocks: list[Tensor]) -> list[Tensor]:
        """Return samples `[n, C]` of whole segments of vectors `[T, D]`, each as it would be alone."""
        return [self.decoder_stage()(block, True) for block in blocks]

    # --- the contract ----------------------------------------------------------------------------------------------

    def _streaming(self, num_codebooks: int) -> Streaming:
        if self.spec.segments is None:
            return super()._streaming(num_codebooks)

        def encode(segments: list[Tensor]) -> list[tuple[Tensor, float]]:
            return [(self.quantize(latents, num_codebooks).T, scale) for latents, scale in self._latents(segments)]

        no_sound = torch.zeros(self.spec.channels, 0, dtype=torch.float32, device=self.device)
        decoder = SegmentDecoder(
            self._sounds, self.spec.segments, num_codebooks, no_sound, device=self.device, check=self._check_codes
        )
        return Streaming(self._segment_encoder(encode, self._no_codes(num_codebooks)), decoder)

    def _encode_item(self, samples: Tensor, k: int) -> Encoded:
        if self.spec.segments is None:
            return super()._encode_item(samples, k)
        ready = Collector(self._streaming(k).encoder)
        ready.push(samples)
        ready.flush()
        return ready.take()

    def _decode_item(self, item: Tokens) -> Tensor:
        if self.spec.segments is None:
            return super()._decode_item(item)
        pieces = self.decode_blocks(item, block_frames=GROUP * self.spec.segments.frames)
        return joined(pieces, self.spec.channels, int(item.num_samples[0]), self.device)

    def _features(self, samples: Tensor) -> Tensor:
        if self.spec.segments is None:
            return super()._features(samples)

        def features(segments: list[Tensor]) -> list[tuple[Tensor, float]]:
            return [(latents.T, scale) for latents, scale in self._latents(segments)]

        stream = self._segment_encoder(features, self._no_features().T)
        return torch.cat([stream.push(samples), stream.flush()], dim=1)

    def _segment_encoder(self, run: Encode, empty: Tensor) -> SegmentEncoder:
        assert self.spec.segments is not None
        channels = self.spec.channels
        return SegmentEncoder(run, self.spec.segments, channels, empty, device=self.device, check=check_samples)

    def _latents(self, segments: list[Tensor]) -> list[tuple[Tensor, float]]:
        """Return latents `[T, D]` and scale of segments `[C, n]`."""
        # Copies of their own: segments then have one memory layout and alignment, wherever they lie in the signal.
        blocks = [samples.T.clone(memory_format=torch.contiguous_format) for samples in segments]
        scales = [1.0] * len(blocks)
        if self.normalize:
            scales = [float(block.mean(1).square_().mean().sqrt_() + _LEAST_SCALE) for block in blocks]
            blocks = [block.div_(scale) for block, scale in zip(blocks, scales, strict=True)]
        return list(zip(self.encode_segments(blocks), scales, strict=True))

    def _sounds(self, segments: list[tuple[Tensor, float]]) -> list[Tensor]:
        """Return the samples `[C, n]` of segments of codes `[k, T]` and scale."""
        blocks = self.decode_segments([self.dequantize(codes.T) for codes, _ in segments])
        return [block.T * scale for block, (_, scale) in zip(blocks, segments, strict=True)]
