"""SnakeBeta at twice the rate, so that the overtones it makes do not fold back (BigVGAN, arXiv:2206.04658, 3.2).

A signal is doubled in rate by a Kaiser-windowed sinc of twelve taps, bent, and halved by the same filter. Whole
signals, blocks and the compiled pass compute the same; five steps on each side decide about one.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.compiled import compiled

TAPS = 12
# Steps before and after that an output depends on.
REACH = 5


def kaiser_sinc(taps: int = TAPS, *, cutoff: float = 0.25, half_width: float = 0.3) -> Tensor:
    """Return a low-pass filter `[taps]` that sums to 1: a sinc under a Kaiser window (Kaiser 1974).

    Args:
        taps: even length.
        cutoff: in cycles per sample.
        half_width: half the width of the transition, in cycles per sample.

    Example:
        >>> kaiser_sinc().shape, round(kaiser_sinc().sum().item(), 6)
        (torch.Size([12]), 1.0)
    """
    attenuation = 2.285 * (taps // 2 - 1) * math.pi * 4 * half_width + 7.95
    # Kaiser's empirical shape parameter for an attenuation in decibels.
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation >= 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        beta = 0.0
    # In float32 step by step, as the filters of published files were made.
    window = torch.kaiser_window(taps, periodic=False, beta=beta, dtype=torch.float32, device="cpu")
    time = torch.arange(taps, dtype=torch.float32, device="cpu") - (taps - 1) / 2
    response = 2 * cutoff * window * torch.sinc(2 * cutoff * time)
    return response / response.sum()


class AliasFreeSnake(nn.Module):
    """`x + sin(exp(a) x)^2 / (exp(b) + 1e-9)` at twice the rate, with one a and one b per channel.

    Both ends of the signal are continued by their last value, before it is doubled and before it is halved.

    Args:
        channels: C.

    Attributes:
        alpha: a, the logarithm of the frequency `[C]`.
        beta: b, the logarithm of the damping `[C]`.

    Shape:
        input and output `[B, C, T]`.

    Example:
        >>> AliasFreeSnake(3)(torch.zeros(1, 3, 5)).abs().sum().item()
        0.0
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, C, T]` to `[B, C, T]`."""
        return _by_torch(x, *self._curve())

    def stage(self) -> AliasFreeStage:
        """Return a fresh stage."""
        return AliasFreeStage(*self._curve())

    def _curve(self) -> tuple[Tensor, Tensor]:
        return self.alpha.exp(), (self.beta.exp() + 1e-9).reciprocal()


class AliasFreeStage:
    """An alias-free SnakeBeta in the course of one signal: five steps wait for what follows them."""

    def __init__(self, alpha: Tensor, scale: Tensor) -> None:
        self._alpha, self._scale = alpha, scale
        self._held: Tensor | None = None
        # Held steps whose results are given out already.
        self._done = 0

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map the next block `[n, C]` to `[m, C]`."""
        held = block if self._held is None else torch.cat([self._held, block])
        count = len(held) - self._done - (0 if last else REACH)
        if count > 0:
            out = bend(held, self._done, count, self._alpha, self._scale)
            self._done += count
        else:
            out = held[:0]
        spent = max(0, self._done - REACH)
        self._held, self._done = (None, 0) if last else (held[spent:].clone(), self._done - spent)
        return out


def bend(steps: Tensor, first: int, count: int, alpha: Tensor, scale: Tensor) -> Tensor:
    """Return `count` steps from step `first` on of `x + scale * sin(alpha * x) ** 2` at twice the rate of `[n, C]`.

    The steps are continued at both ends by the outermost one.

    Example:
        >>> bend(torch.ones(9, 1), 2, 3, torch.ones(1), torch.ones(1)).T
        tensor([[1.7081, 1.7081, 1.7081]])
    """
    plain = steps.device.type == "cpu" and steps.dtype == torch.float32 and not torch.is_grad_enabled()
    loops = compiled("alias_free") if plain else None
    if loops is None:
        return _by_torch(steps.T[None], alpha, scale)[0, :, first : first + count].T.contiguous()
    steps, out = steps.contiguous(), steps.new_empty(count, steps.shape[1])
    filters, frequency, height = (part.detach().contiguous().numpy() for part in (_taps(), alpha, scale))
    loops.alias_free(steps.detach().numpy(), first, filters, frequency, height, out.numpy())
    return out


def _by_torch(x: Tensor, alpha: Tensor, scale: Tensor) -> Tensor:
    """Bend whole signals `[B, C, T]` by the operations of PyTorch."""
    length, channels = x.shape[2], x.shape[1]
    if not length:
        return x
    taps = _taps().to(x).expand(channels, 1, TAPS)
    doubled = 2 * F.conv_transpose1d(F.pad(x, (3, 3), mode="replicate"), taps, stride=2, groups=channels)
    # Its sample m meets step j with tap m + 5 - 2 j; three steps of padding put that at m + 11.
    doubled = doubled[..., 11 : 11 + 2 * length]
    bent = doubled + scale[:, None] * torch.sin(alpha[:, None] * doubled).square()
    return F.conv1d(F.pad(bent, (5, 6), mode="replicate"), taps, stride=2, groups=channels)


@cache
def _taps() -> Tensor:
    # Kept for all later calls, so that it must not be a tensor that training may not touch.
    with torch.inference_mode(False):
        return kaiser_sinc()
