"""Multi-scale residual quantization: slow codebooks first, each at a rate of its own, with any quantizer inside.

SNAC (Siuzdak et al. 2024, arXiv:2410.14411, section 3.1): a level works on averages of neighbouring frames, and what it
gives is repeated for all of them. Codes stay rectangular, at the rate of the latents, slow codes repeated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from tokaudio.quantizers.chain import ResidualQuantizer


class MultiScaleQuantizer(ResidualQuantizer):
    """K levels, of which level k gives one code per `strides[k]` frames.

    Spans are counted from the first frame, and the last may be shorter, so that latents that are quantized in pieces
    must be cut at multiples of `period`.

    Attributes:
        strides: frames that one code of each codebook spans.

    Example:
        >>> import torch
        >>> quantizer = MultiScaleQuantizer(8, strides=(4, 2, 1), inner_options={"codebook_size": 16})
        >>> codes = quantizer.encode(torch.randn(1, 8, 12))
        >>> codes.shape, bool((codes[0, 0, :4] == codes[0, 0, 0]).all())
        (torch.Size([1, 3, 12]), True)
    """

    def __init__(
        self,
        dim: int,
        *,
        strides: Sequence[int],
        inner: str = "vq",
        inner_options: Mapping[str, Any] | None = None,
        shared: bool = False,
        shrink: float = 1.0,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Make one level per stride, the number of frames that one code of it spans.

        The other options are those of [`ResidualQuantizer`][tokaudio.quantizers.chain.ResidualQuantizer].

        Raises:
            ValueError: if a number is out of range.
        """
        if not strides or min(strides) < 1:
            raise ValueError(f"strides must be one or more numbers of at least 1, got {list(strides)}")
        super().__init__(
            dim,
            num_codebooks=len(strides),
            inner=inner,
            inner_options=inner_options,
            shared=shared,
            shrink=shrink,
            dropout=dropout,
            seed=seed,
        )
        self.strides = tuple(strides)

    @property
    def period(self) -> int:
        """Frames after which the spans of all levels begin together."""
        return math.lcm(*self.strides)

    def initialise(self, latents: Tensor) -> None:
        """Set every codebook from vectors `[N, D]`, which are taken for consecutive frames."""
        super().initialise(latents)

    def _narrow(self, rows: Tensor, index: int) -> Tensor:
        stride = self.strides[index]
        spans = rows if stride == 1 else F.avg_pool1d(rows, stride, ceil_mode=True)
        return super()._narrow(spans, index)

    def _spread(self, spans: Tensor, index: int, frames: int) -> Tensor:
        stride = self.strides[index]
        return spans if stride == 1 else spans.repeat_interleave(stride, dim=-1)[..., :frames]
