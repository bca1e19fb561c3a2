"""The two sides of FocalCodec (Della Libera et al. 2025, arXiv:2502.04465, section 3)."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.conv import Conv1d
from tokaudio.nn.focal import FocalCompressor, FocalDecompressor
from tokaudio.nn.ssl import SpeechModel
from tokaudio.nn.stages import Pipeline, Sequence, Sliced, Stage, Whole, stage_of
from tokaudio.nn.vocos import ConvNeXt, FourierHead, FrameNorm
from tokaudio.nn.windows import Windowed, Windows

# Frames that run through the blocks of the vocoder together.
_SLICE = 768


class FocalEncoder(nn.Module):
    """The first layers of WavLM and a compressor; its latents are unit vectors.

    Shape:
        input `[B, 1, S]`, output `[B, D, T]`.

    Attributes:
        windows: how its stage cuts the frames of long signals for the attention of WavLM, which sees the whole; None
            not to cut them.

    Example:
        >>> import torch
        >>> from tokaudio.nn.focal import FocalSizes
        >>> from tokaudio.nn.ssl import SpeechSizes
        >>> sizes = SpeechSizes(width=16, layers=2, heads=2, inner=16, conv_widths=(4,) * 7, norm_first=True)
        >>> compressor = FocalCompressor(16, (8,), (2,), 3, FocalSizes(window=3))
        >>> FocalEncoder(SpeechModel(sizes, layers=1), compressor)(torch.zeros(1, 1, 4_000)).shape
        torch.Size([1, 3, 6])
    """

    def __init__(self, speech: SpeechModel, compressor: FocalCompressor) -> None:
        super().__init__()
        self.speech, self.compressor = speech, compressor
        self.windows: Windows | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, 1, S]` to `[B, D, T]`."""
        heard = self.speech(x[:, 0], (len(self.speech.layers),))[0]
        return F.normalize(self.compressor(heard), dim=-1).transpose(1, 2)

    def stage(self) -> Stage:
        """Return a fresh stage; it waits for the end."""
        return _Ended(self._whole, self.compressor.out.out_features)

    def _whole(self, steps: Tensor) -> Tensor:
        frames = self.speech.frames(steps[:, 0], fill=True)
        if self.windows is None:
            heard = self.speech.last_state(frames)
        else:
            heard = Windowed(self.speech.last_state, self.windows)(frames, True)
        return F.normalize(self.compressor(heard[None])[0], dim=-1)


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
        """Return a fresh stage; its decompressor waits for the end."""
        parts = (self.embed, self.norm, self.convnext, self.final_norm, self.head)
        whole = _Ended(lambda steps: self.decompressor(steps[None])[0], self.embed.in_channels)
        return Pipeline([whole, Sliced(Pipeline(stage_of(part) for part in parts), _SLICE)])


class _Ended:
    """A function of the whole signal whose result has another width."""

    def __init__(self, function: Callable[[Tensor], Tensor], width: int) -> None:
        self._whole, self._width = Whole(lambda steps: function(steps) if len(steps) else self._nothing(steps)), width

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Keep `[n, C]`; at the end return the result `[m, D]`."""
        out = self._whole(block, last)
        return out if last else self._nothing(block)

    def _nothing(self, like: Tensor) -> Tensor:
        return like.new_empty(0, self._width)
