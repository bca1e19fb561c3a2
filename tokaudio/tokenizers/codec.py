"""The assembly behind published codecs: an encoder, a quantizer and a decoder, run block by block.

A family makes the three parts from its configuration, says how its files name their tensors, and is done: exact
chunks, streams, batches and lengths come from here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokaudio.audio.blocks import BlockStream, Run
from tokaudio.audio.checks import check_block
from tokaudio.errors import AudioError, CheckpointError, TokensError, one_line
from tokaudio.nn.stages import Aligned, Pipeline, Stage, stage_of
from tokaudio.quantizers import Quantizer
from tokaudio.quantizers.depth import NO_CODE, decode_to_depth, depth_of
from tokaudio.spec import TokenizerSpec
from tokaudio.tokenizers.base import Streaming, Tokenizer
from tokaudio.tokenizers.pieces import joined, results


class Codec(Tokenizer):
    """Encoder, quantizer and decoder on blocks of one length.

    Attributes:
        encoder: maps samples to latents at the frame rate; its stage takes `[n, C]` and gives `[T, D]`.
        quantizer: maps latents to codes and back.
        decoder: maps what the quantizer gives back to samples; its stage takes `[T, D]` and gives `[n, C]`.
        block_seconds: length of the blocks: long enough that the widest weights are read seldom, short enough that
            tensors stay below the size (32 MB) from which on memory is fetched from the system at every operation.
    """

    block_seconds = 2.0
    takes_depth = True

    def __init__(self, spec: TokenizerSpec, encoder: nn.Module, quantizer: Quantizer, decoder: nn.Module) -> None:
        """Put the parts together.

        Raises:
            CheckpointError: if the quantizer has other codebooks than the spec.
        """
        super().__init__(spec)
        self.encoder, self.quantizer, self.decoder = encoder, quantizer, decoder
        if spec.codebook_sizes != quantizer.codebook_sizes:
            sizes = f"{spec.codebook_sizes} in the spec and {quantizer.codebook_sizes} in the network"
            raise CheckpointError(f"{spec.name}: codebook sizes are {sizes}")

    # --- what a family may do in another way ---------------------------------------------------------------------

    def padded_length(self, num_samples: int) -> int:
        """Return the samples that a signal is filled up to with zeros before it is encoded."""
        return self.spec.num_frames(num_samples) * self.spec.hop_length

    def encoder_stage(self) -> Stage:
        """Return a fresh stage from samples `[n, C]` to latents `[T, D]`."""
        return stage_of(self.encoder)

    def decoder_stage(self) -> Stage:
        """Return a fresh stage from vectors `[T, D]` to samples `[n, C]`."""
        return stage_of(self.decoder)

    def quantize(self, latents: Tensor, num_codebooks: int) -> Tensor:
        """Return codes `[T, k]` of latents `[T, D]`."""
        if not len(latents):
            return latents.new_zeros(0, num_codebooks, dtype=torch.int64)
        return self.quantizer.encode(latents.T[None], num_codebooks=num_codebooks)[0].T

    def dequantize(self, codes: Tensor) -> Tensor:
        """Return vectors `[T, D]` of codes `[T, k]`."""
        return self.quantizer.decode(codes.T[None])[0].T.contiguous()

    def _dequantized(self, codes: Tensor) -> Tensor:
        """Return vectors `[T, D]` of codes `[T, k]`, of which a frame may have fewer than others."""
        if not bool((codes == NO_CODE).any()):
            return self.dequantize(codes)

        def decode(some: Tensor) -> Tensor:
            return self.dequantize(some[0].T).T[None]

        return decode_to_depth(decode, codes.T[None])[0].T.contiguous()

    # --- the contract ----------------------------------------------------------------------------------------------

    @property
    def block_frames(self) -> int:
        """Frames per block: a multiple of what the slowest codebook spans."""
        period = self.spec.stride_period
        return max(1, round(self.block_seconds * float(self.spec.frame_rate) / period)) * period

    def codebooks(self) -> list[Tensor]:
        """Return every codebook as vectors `[V, D]`."""
        return [self.quantizer.codebook(index).detach() for index in range(self.spec.num_codebooks)]

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        stream = self._streaming(num_codebooks).encoder
        return torch.cat([stream.push(samples), stream.flush()], dim=1)

    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        ready = results(self._streaming(len(codes)).decoder, codes.split(self.block_frames, dim=1))
        return joined(ready, self.spec.channels, num_samples, self.device)

    def _features(self, samples: Tensor) -> Tensor:
        stream = self._encoder_stream(self.encoder_stage(), torch.empty(self.quantizer.dim, 0, device=self.device))
        return torch.cat([stream.push(samples), stream.flush()], dim=1)

    def _embed(self, codes: Tensor) -> Tensor:
        return self.quantizer.decode(codes)

    def _no_features(self) -> Tensor:
        return torch.zeros(0, self.quantizer.dim, dtype=torch.float32, device=self.device)

    def _streaming(self, num_codebooks: int) -> Streaming:
        latents = Pipeline([self.encoder_stage(), Aligned(self.spec.stride_period)])
        sound = self.decoder_stage()

        def encode(block: Tensor, last: bool) -> Tensor:
            return self.quantize(latents(block, last), num_codebooks)

        def decode(block: Tensor, last: bool) -> Tensor:
            return sound(self._dequantized(block), last)

        no_sound = torch.zeros(self.spec.channels, 0, dtype=torch.float32, device=self.device)
        hop = self.spec.hop_length * self.spec.output_sample_rate // self.spec.sample_rate
        decoder = BlockStream(
            decode,
            num_codebooks,
            self.block_frames,
            no_sound,
            dtype=torch.int64,
            device=self.device,
            result_length=lambda frames: frames * hop,
            check=self._check_codes,
        )
        return Streaming(self._encoder_stream(encode, self._no_codes(num_codebooks)), decoder)

    def _answering(self, streaming: Streaming, block_frames: int | None) -> Streaming:
        """Return fresh streams that give results after every so many frames, at once; None leaves them as they are.

        Raises:
            ValueError: if the number is below 1.
        """
        if block_frames is None:
            return streaming
        if block_frames < 1:
            raise ValueError(f"block_frames must be at least 1, got {block_frames}")
        for stream, unit in ((streaming.encoder, self.spec.hop_length), (streaming.decoder, 1)):
            assert isinstance(stream, BlockStream)
            stream.block, stream.eager = block_frames * unit, True
        return streaming

    def _encoder_stream(self, run: Run, empty: Tensor) -> BlockStream:
        return BlockStream(
            run,
            self.spec.channels,
            self.block_frames * self.spec.hop_length,
            empty,
            device=self.device,
            padded_length=self.padded_length,
            check=check_samples,
        )

    def _check_codes(self, codes: Tensor) -> None:
        check_codes(self.quantizer, codes)


def check_samples(samples: Tensor) -> None:
    """Refuse a piece of a stream `[C, n]` that is not finite float audio.

    Raises:
        AudioError: if it is not.

    Example:
        >>> check_samples(torch.zeros(1, 4))
    """
    if not samples.is_floating_point():
        problem = f"a piece of {samples.dtype}"
        raise AudioError(one_line("stream", problem, "give float32 samples in [-1, 1]"))
    check_block(samples, "stream")


def check_codes(quantizer: Quantizer, codes: Tensor) -> None:
    """Refuse a piece of a stream `[K, n]` that is not integer codes of a quantizer.

    The last codes of a frame may be `NO_CODE`: it then has fewer than others.

    Raises:
        TokensError: if it is not.

    Example:
        >>> from tokaudio.quantizers import VectorQuantizer
        >>> check_codes(VectorQuantizer(4, 16), torch.tensor([[3, 15]]))
    """
    if codes.is_floating_point() or codes.is_complex():
        raise TokensError(one_line("stream", f"a piece of {codes.dtype}", "give integer codes [K, n]"))
    if bool((codes == NO_CODE).any()):
        depth_of(codes[None])
        codes = codes.masked_fill(codes == NO_CODE, 0)
    quantizer.check_codes(codes[None])
