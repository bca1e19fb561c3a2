"""The two sides of FocalCodec (Della Libera et al. 2025, arXiv:2502.04465, section 3)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d
from tokaudio.nn.focal import FocalCompressor, FocalDecompressor
from tokaudio.nn.ssl import SpeechModel
from tokaudio.nn.stages import Pipeline, Pointwise, Sequence, Sliced, Stage, Whole, stage_of
from tokaudio.nn.vocos import ConvNeXt, FourierHead, FrameNorm
from tokaudio.nn.windows import Windowed, Windows

# Frames that run through the blocks of the vocoder together.
_SLICE = 768
# Frames of the longest signal whose decompressor sees it at once, and of the pieces of longer ones.
_WHOLE, _PIECE = 2 * _SLICE, _SLICE


class FocalEncoder(nn.Module):
    """The first layers of WavLM and a compressor; its latents are unit vectors.

    Args:
        speech: WavLM, whose convolutions have norms over channels: frames that nothing but their own samples enters.
        compressor: maps its frames to D numbers, fewer times.

    Attributes:
        windows: how its stage cuts long signals for attention and modulation, which see the whole, in steps of the
            result; None to wait for the end always.

    Shape:
        input `[B, 1, S]`, output `[B, D, T]`.

    Raises:
        ValueError: a frame of WavLM depends on the whole signal before its attention.

    Example:
        >>> from tokaudio.nn.focal import FocalSizes
        >>> from tokaudio.nn.ssl import SpeechSizes
        >>> layers = {"layers": 2, "heads": 2, "conv_widths": (4,) * 7, "conv_norm": "layer"}
        >>> sizes = SpeechSizes(width=16, inner=16, norm_first=True, **layers)
        >>> compressor = FocalCompressor(16, (8,), (2,), 3, FocalSizes(window=3))
        >>> FocalEncoder(SpeechModel(sizes, layers=1), compressor)(torch.zeros(1, 1, 4_000)).shape
        torch.Size([1, 3, 6])
    """

    def __init__(self, speech: SpeechModel, compressor: FocalCompressor) -> None:
        super().__init__()
        if speech.sizes.conv_norm != "layer" or speech.sizes.normalise is not None:
            raise ValueError("the speech model must have norms over channels, and take samples as they are")
        self.speech, self.compressor = speech, compressor
        self.windows: Windows | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, 1, S]` to `[B, D, T]`."""
        heard = self.speech(x[:, 0], (len(self.speech.layers),))[0]
        return F.normalize(self.compressor(heard), dim=-1).transpose(1, 2)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        windows, stride = self.windows, self.compressor.stride
        whole = Whole(self._latents) if windows is None else Windowed(self._latents, windows, stride)
        return Pipeline([_Frames(self.speech), whole, Pointwise(self._as_latents)])

    def _latents(self, frames: Tensor) -> Tensor:
        """Map frames `[T, C]` of a whole signal to latents `[T', D]`."""
        if not len(frames):
            return frames
        return F.normalize(self.compressor(self.speech.last_state(frames)[None])[0], dim=-1)

    def _as_latents(self, rows: Tensor) -> Tensor:
        """Return latents as they are; while there are none, what comes is as wide as the frames."""
        return rows if len(rows) else rows.new_zeros(0, self.compressor.out.out_features)


class _Frames:
    """What WavLM's convolutions give, in the course of one signal; one frame at least."""

    def __init__(self, speech: SpeechModel) -> None:
        self._speech = speech
        self._held: Tensor | None = None
        self._given = 0

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map samples `[n, 1]` to frames `[m, C]`."""
        sizes = self._speech.sizes
        samples = block[:, 0] if self._held is None else torch.cat([self._held, block[:, 0]])
        count = sizes.frames(len(samples))
        filled = last and not self._given and not count and len(samples) > 0
        self._given += count
        self._held = samples[count * sizes.hop_length :].clone()
        if not count and not filled:
            return samples.new_zeros(0, sizes.width)
        return self._speech.frames(samples, fill=filled)


class FocalDecoder(nn.Module):
    """A decompressor and a vocoder of ConvNeXt blocks and an inverse Fourier transform (arXiv:2306.00814).

    Args:
        decompressor: gives frames of its last width.
        latents: that width.
        dim: width of the vocoder.
        intermediate: width inside its blocks.
        layers: how many blocks.
        n_fft: of the transform.
        hop_length: samples per frame.

    Shape:
        input `[B, D, T]`, output `[B, 1, S]`.

    Example:
        >>> import torch
        >>> from tokaudio.nn.focal import FocalSizes
        >>> decompressor = FocalDecompressor(3, (8,), (2,), 16, FocalSizes(window=3))
        >>> vocoder = {"dim": 8, "intermediate": 16, "layers": 1, "n_fft": 1024, "hop_length": 320}
        >>> FocalDecoder(decompressor, 16, **vocoder)(torch.zeros(1, 3, 6)).shape
        torch.Size([1, 1, 3840])
    """

    def __init__(
        self,
        decompressor: FocalDecompressor,
        latents: int,
        *,
        dim: int,
        intermediate: int,
        layers: int,
        n_fft: int,
        hop_length: int,
    ) -> None:
        super().__init__()
        self.decompressor = decompressor
        self.embed = Conv1d(latents, dim, 7, padding=(3, 3))
        self.norm = FrameNorm(dim)
        self.convnext = Sequence(*(ConvNeXt(dim, intermediate, layers) for _ in range(layers)))
        self.final_norm = FrameNorm(dim)
        self.head = FourierHead(dim, n_fft, hop_length)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, 1, S]`."""
        x = self.norm(self.embed(self.decompressor(x.transpose(1, 2)).transpose(1, 2)))
        samples: Tensor = self.head(self.final_norm(self.convnext(x)))
        return samples

    def stage(self) -> Stage:
        """Return a fresh stage; it waits for the end."""
        return _Decoding(self)

    def pieces(self, vectors: Tensor) -> Iterator[Tensor]:
        """Yield the samples `[n, 1]` of the vectors `[T, D]` of a whole signal, piece after piece of a long one."""
        parts = (self.embed, self.norm, self.convnext, self.final_norm, self.head)
        after = Sliced(Pipeline(stage_of(part) for part in parts), _SLICE)
        if 0 < len(vectors) * self.decompressor.stride <= _WHOLE:
            yield after(self.decompressor(vectors[None])[0], True)
            return
        for piece in self.decompressor.pieces(vectors[None], _PIECE // self.decompressor.stride):
            yield after(piece[0], False)
        yield after(vectors.new_zeros(0, self.embed.in_channels), True)


class _Decoding:
    """The decoder in the course of one signal: it waits for the end, as its means over time do."""

    def __init__(self, decoder: FocalDecoder) -> None:
        self._decoder = decoder
        self._held: list[Tensor] = []

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Keep vectors `[n, D]`; at the end return samples `[m, 1]`."""
        self._held.append(block)
        return torch.cat(list(self._decoder.pieces(torch.cat(self._held)))) if last else block.new_zeros(0, 1)
