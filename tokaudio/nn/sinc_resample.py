"""Resampling inside a network, by the windowed sinc that torchaudio has as its default.

A network that was trained behind this filter must hear the same one. Sound that comes from outside is resampled by
[`tokaudio.audio`][tokaudio.audio], whose filter is steeper.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SincResample(nn.Module):
    """Changes the sample rate: a low pass at 0.99 of the lower Nyquist frequency, 6 zero crossings on both sides.

    Sound is taken to be zero beyond its ends. Of rates a and b (without common divisors), a group of a samples gives b:
    each by a filter of its own (Smith, Digital Audio Resampling Home Page; Hann window).

    Args:
        from_rate: in Hz.
        to_rate: in Hz.

    Shape:
        input `[B, S]`, output `[B, ceil(S * to_rate / from_rate)]`.

    Raises:
        ValueError: a rate is not above 0.

    Example:
        >>> SincResample(24_000, 16_000)(torch.ones(1, 300)).shape
        torch.Size([1, 200])
    """

    filters: Tensor

    def __init__(self, from_rate: int, to_rate: int) -> None:
        super().__init__()
        if min(from_rate, to_rate) <= 0:
            raise ValueError(f"rates must be above 0, got {from_rate} and {to_rate}")
        common = math.gcd(from_rate, to_rate)
        self.steps_in, self.steps_out = from_rate // common, to_rate // common
        filters, self.reach = sinc_filters(self.steps_in, self.steps_out)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Map `[B, S]` to `[B, S']`."""
        if self.steps_in == self.steps_out:
            return samples
        wanted = -(-samples.shape[1] * self.steps_out // self.steps_in)
        padded = F.pad(samples, (self.reach, self.reach + self.steps_in))
        groups = padded.unfold(1, self.filters.shape[1], self.steps_in)
        # Some groups at a time: each holds its samples anew.
        resampled = [part @ self.filters.T for part in groups.split(_GROUPS, dim=1)]
        return torch.cat(resampled, dim=1).flatten(1)[:, :wanted]


_ZEROS, _ROLLOFF = 6, 0.99
_GROUPS = 2**15


def sinc_filters(steps_in: int, steps_out: int) -> tuple[Tensor, int]:
    """Return the filters `[steps_out, taps]` of one group, and the samples before a group that they begin at.

    Example:
        >>> filters, reach = sinc_filters(3, 2)
        >>> filters.shape, reach, round(float(filters.sum(1)[0]), 2)
        (torch.Size([2, 23]), 10, 1.0)
    """
    # In units of one group's duration, the filter's zeros lie 1 / cutoff apart. By numpy, which needs no device.
    cutoff = min(steps_in, steps_out) * _ROLLOFF
    reach = math.ceil(_ZEROS * steps_in / cutoff)
    there, here = np.arange(-reach, reach + steps_in) / steps_in, np.arange(steps_out) / steps_out
    zeros = ((there - here[:, None]) * cutoff).clip(-_ZEROS, _ZEROS)
    window = np.cos(zeros * (math.pi / 2 / _ZEROS)) ** 2
    return torch.tensor(np.sinc(zeros) * window * (cutoff / steps_in), dtype=torch.float32), reach
