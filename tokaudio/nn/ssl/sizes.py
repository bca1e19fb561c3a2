"""What a self-supervised speech model is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tokaudio.nn.windows import Windows


@dataclass(frozen=True)
class SpeechSizes:
    """Sizes and variants of a model; the defaults are those of HuBERT base and wav2vec 2.0 base.

    Attributes:
        width: D of the transformer.
        layers: of the transformer.
        heads: of its attention.
        inner: width inside its feed-forward parts.
        conv_widths: channels of each convolution over samples.
        conv_kernels: taps of each.
        conv_strides: steps of each.
        conv_bias: whether they have a bias.
        conv_norm: "group" for statistics of each channel over all of time, after the first convolution only; "layer"
            for statistics of each step over channels, after every one.
        projection_norm: whether there is a layer norm between convolutions and transformer.
        norm_first: whether norms stand before attention and feed-forward parts ("stable layer norm"), or after them.
        position_taps: taps of the convolution that tells positions.
        position_groups: of its channels.
        buckets: distances that WavLM's attention tells apart; 0 for the other models.
        max_distance: frames from which on distances are all the same to it.
        epsilon: of the layer norms.
        normalise: None, or what is added to the variance when a signal is first brought to mean 0 and variance 1.

    Raises:
        ValueError: sizes do not fit together.

    Example:
        >>> sizes = SpeechSizes()
        >>> sizes.hop_length, sizes.shortest, sizes.frames(16_000)
        (320, 400, 49)
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    conv_widths: tuple[int, ...] = (512,) * 7
    conv_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    conv_norm: Literal["group", "layer"] = "group"
    projection_norm: bool = True
    norm_first: bool = False
    position_taps: int = 128
    position_groups: int = 16
    buckets: int = 0
    max_distance: int = 800
    epsilon: float = 1e-5
    normalise: float | None = None

    def __post_init__(self) -> None:
        if not self.conv_widths or not len(self.conv_widths) == len(self.conv_kernels) == len(self.conv_strides):
            raise ValueError("conv_widths, conv_kernels and conv_strides must be as many as each other")
        if any(kernel < stride for kernel, stride in zip(self.conv_kernels, self.conv_strides, strict=True)):
            raise ValueError(f"kernels {self.conv_kernels} must reach over strides {self.conv_strides}")
        if self.conv_norm not in ("group", "layer"):
            raise ValueError(f"conv_norm must be 'group' or 'layer', got {self.conv_norm!r}")
        for name, parts in (("heads", self.heads), ("position_groups", self.position_groups)):
            if self.width % parts:
                raise ValueError(f"width {self.width} must be a multiple of {name}, {parts}")
        if self.buckets % 4 or (self.buckets and self.max_distance <= self.buckets // 4):
            raise ValueError(f"buckets {self.buckets} must be a multiple of 4, and a quarter of it below max_distance")

    @property
    def hop_length(self) -> int:
        """Samples from frame to frame."""
        return math.prod(self.conv_strides)

    @property
    def shortest(self) -> int:
        """Samples that one frame sees before the transformer; shorter signals have no frame."""
        reach, stride = 1, 1
        for kernel, step in zip(self.conv_kernels, self.conv_strides, strict=True):
            reach += (kernel - 1) * stride
            stride *= step
        return reach

    @property
    def windows(self) -> Windows | None:
        """None: a signal of any length goes through as a whole."""
        return None

    def frames(self, num_samples: int) -> int:
        """Return how many frames a signal has; its last samples may belong to none."""
        return max(0, (num_samples - self.shortest) // self.hop_length + 1)
