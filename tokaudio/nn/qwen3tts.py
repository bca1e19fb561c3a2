"""The decoder of the Qwen3-TTS tokenizer at 12 Hz (arXiv:2601.15621, section 3): nothing in it looks ahead.

A convolution and a transformer at the frame rate, two doublings of the rate with a ConvNeXt block each, and a decoder
like DAC's with SnakeBeta. The encoder is Mimi's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.causal_unit import CausalUnit, SnakeBeta
from tokaudio.nn.conv import Conv1d, ConvTranspose1d, causal
from tokaudio.nn.gated_transformer import GatedTransformer
from tokaudio.nn.hifigan import ActivatedConv, Clamp
from tokaudio.nn.stages import Pipeline, Pointwise, Residual, Sliced, Stage, stage_of
from tokaudio.nn.stages import Sequence as Modules

DILATIONS = (1, 3, 9)
# Numbers in the widest tensor between two layers: 4 MB, near what a core's L2 cache holds.
_SLICE = 2**20


@dataclass(frozen=True, kw_only=True)
class DecoderSizes:
    """Sizes of the decoder.

    Attributes:
        vector_dim: width of the quantizer's vectors.
        latent_dim: width around the transformer, and of the doublings.
        width: channels after the convolution behind them; every block halves them.
        rates: of the blocks.
        doublings: of the rate before them.
        layers: of the transformer.
        hidden_size: of its steps.
        heads: of its attention.
        head_dim: of each.
        hidden: between its feed-forward layers.
        window: steps that each of its steps sees, itself included.
        max_period: of its slowest rotation, in steps times 2 pi.
        eps: of its norms.
    """

    vector_dim: int = 512
    latent_dim: int = 1024
    width: int = 1536
    rates: tuple[int, ...] = (8, 5, 4, 3)
    doublings: tuple[int, ...] = (2, 2)
    layers: int = 8
    hidden_size: int = 512
    heads: int = 16
    head_dim: int = 64
    hidden: int = 1024
    window: int = 72
    max_period: float = 10_000.0
    eps: float = 1e-5

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tuple(self.rates))
        object.__setattr__(self, "doublings", tuple(self.doublings))
        if self.width % (1 << len(self.rates)):
            raise ValueError(f"width is {self.width}, which {len(self.rates)} blocks cannot halve")

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return math.prod(self.rates) * math.prod(self.doublings)

    def transformer(self) -> GatedTransformer:
        """Return an untrained transformer."""
        return GatedTransformer(
            self.hidden_size,
            layers=self.layers,
            heads=self.heads,
            head_dim=self.head_dim,
            hidden=self.hidden,
            window=self.window,
            max_period=self.max_period,
            eps=self.eps,
        )


class QwenDecoder(nn.Module):
    """Vectors to samples in [-1, 1].

    Shape:
        input `[B, D, T]`, output `[B, 1, T * hop_length]`.

    Example:
        >>> sizes = DecoderSizes(vector_dim=8, latent_dim=12, width=16, layers=1, hidden_size=8, heads=2, head_dim=4)
        >>> QwenDecoder(sizes)(torch.zeros(1, 8, 2)).shape
        torch.Size([1, 1, 3840])
    """

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__()
        self.sizes = sizes
        latent, width = sizes.latent_dim, sizes.width
        self.entry = Conv1d(sizes.vector_dim, latent, 3, padding=causal(3))
        self.inward, self.outward = nn.Linear(latent, sizes.hidden_size), nn.Linear(sizes.hidden_size, latent)
        self.transformer, self.norm = sizes.transformer(), nn.RMSNorm(sizes.hidden_size, eps=sizes.eps)
        self.upsample = Modules(
            *(
                Modules(ConvTranspose1d(latent, latent, factor, stride=factor), ConvNeXt(latent))
                for factor in sizes.doublings
            )
        )
        self.head = Conv1d(latent, width, 7, padding=causal(7))
        self.blocks = nn.ModuleList()
        for rate in sizes.rates:
            up = ConvTranspose1d(width, width // 2, 2 * rate, stride=rate, trim=(0, rate))
            width //= 2
            self.blocks.append(Modules(SnakeBeta(2 * width), up, *(CausalUnit(width, dilation=d) for d in DILATIONS)))
        self.exit = ActivatedConv(SnakeBeta(width), Conv1d(width, 1, 7, padding=causal(7)))
        self.output = Clamp()

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D, T]` to `[B, 1, S]`."""
        x = self.inward(self.entry(x).transpose(1, 2)).transpose(1, 2)
        x = self.norm(self.transformer(x).transpose(1, 2))
        x = self.head(self.upsample(self.outward(x).transpose(1, 2)))
        for block in self.blocks:
            x = block(x)
        samples: Tensor = self.output(self.exit(x))
        return samples

    def stage(self) -> Stage:
        """Return a fresh stage."""
        steps: list[Stage] = [stage_of(self.entry), Pointwise(self.inward), self.transformer.stage()]
        steps += [Pointwise(lambda rows: self.outward(self.norm(rows))), self.upsample.stage(), stage_of(self.head)]
        width = self.sizes.width
        for index, (block, rate) in enumerate(zip(self.blocks, self.sizes.rates, strict=True)):
            width //= 2
            last = [stage_of(self.exit), stage_of(self.output)] if index + 1 == len(self.blocks) else []
            steps.append(Sliced(Pipeline([stage_of(block), *last]), max(1, _SLICE // (rate * width))))
        return Pipeline(steps)


class ConvNeXt(Residual):
    """A causal ConvNeXt block (arXiv:2201.03545, section 2): depthwise convolution, layer norm, two layers per step.

    Example:
        >>> ConvNeXt(4)(torch.zeros(1, 4, 5)).shape
        torch.Size([1, 4, 5])
    """

    def __init__(self, channels: int) -> None:
        depthwise = Conv1d(channels, channels, 7, groups=channels, padding=causal(7))
        super().__init__(Modules(depthwise, _PerStep(channels)))


class _PerStep(nn.Module):
    """Layer norm, a layer four times as wide, GELU, a layer back, and a factor per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen, self.narrow = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 1e-6))

    def rows(self, rows: Tensor) -> Tensor:
        """Map `[..., C]` to `[..., C]`."""
        return self.scale * self.narrow(F.gelu(self.widen(self.norm(rows))))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        return self.rows(x.transpose(1, 2)).transpose(1, 2)

    def stage(self) -> Stage:
        """Return a fresh stage."""
        return Pointwise(self.rows)


class Restarted:
    """A stage that begins anew after every so many steps, with a few steps before them as its only memory.

    Args:
        make: returns the stage at its beginning.
        steps: between two beginnings.
        context: steps before each beginning but the first that the new stage is given first.
        hop: steps out per step in; what the context gives is left out.

    Example:
        >>> stage = Restarted(lambda: Pointwise(torch.neg), 2, 1, hop=1)
        >>> stage(torch.ones(5, 1), last=True).T
        tensor([[-1., -1., -1., -1., -1.]])
    """

    def __init__(self, make: Callable[[], Stage], steps: int, context: int, *, hop: int) -> None:
        self._make, self._steps, self._context, self._hop = make, steps, min(context, steps), hop
        self._stage: Stage | None = None
        self._recent: Tensor | None = None
        self._at = self._cut = 0

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to what the stage has ready."""
        results = []
        while len(block) or (last and self._stage is not None):
            piece = block[: self._steps - self._at]
            block = block[len(piece) :]
            if self._stage is None:
                self._stage, self._cut = self._make(), 0
                if self._recent is not None:
                    self._cut = len(self._recent) * self._hop
                    results.append(self._kept(self._stage(self._recent, False)))
            self._at += len(piece)
            end = self._at == self._steps or (last and not len(block))
            results.append(self._kept(self._stage(piece, end)))
            self._remember(piece)
            if end:
                self._stage, self._at = None, 0
        if results:
            return torch.cat(results)
        return self._make()(block, True)

    def _kept(self, out: Tensor) -> Tensor:
        cut = min(self._cut, len(out))
        self._cut -= cut
        return out[cut:]

    def _remember(self, piece: Tensor) -> None:
        recent = piece if self._recent is None else torch.cat([self._recent, piece])
        self._recent = recent[max(0, len(recent) - self._context) :].clone()
