"""Short-time spectra with an adjoint by hand: what spectral losses spend most of their time on.

Autograd sends the gradient of a real transform through a complex one of full length, and that of a window's samples
through a general scatter. Both have short cuts: the adjoint of a real transform is a real inverse transform whose
inner bins are halved (each stands for two, and the inverse counts both), and that of cutting frames is overlap-add.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.nn.spectral import overlap_add


def spectra(signal: Tensor, window: Tensor, hop: int) -> tuple[Tensor, Tensor]:
    """Return spectra of the windows of signals, and their energies; gradients flow through both.

    Args:
        signal: `[B, S]`, S at least the length of the window.
        window: `[N]`.
        hop: samples from window to window.

    Returns:
        Real and imaginary parts `[B, M, N // 2 + 1, 2]`, and the sums of their squares `[B, M, N // 2 + 1]`.

    Example:
        >>> parts, energy = spectra(torch.ones(1, 8), torch.ones(4), 2)
        >>> energy[0].tolist()
        [[16.0, 0.0, 0.0], [16.0, 0.0, 0.0], [16.0, 0.0, 0.0]]
    """
    parts, energy = _Spectra.apply(signal, window, hop)  # type: ignore[no-untyped-call]
    return parts, energy


class _Spectra(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, signal: Tensor, window: Tensor, hop: int) -> tuple[Tensor, Tensor]:
        parts = torch.view_as_real(torch.fft.rfft(signal.unfold(-1, len(window), hop) * window))
        ctx.save_for_backward(parts, window)
        ctx.hop, ctx.length = hop, signal.shape[-1]
        ctx.set_materialize_grads(False)
        real, imaginary = parts.unbind(-1)
        # Sums over a last axis of two are slow; sums of two planes are not.
        return parts, torch.addcmul(real.square(), imaginary, imaginary)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, to_parts: Tensor | None, to_energy: Tensor | None) -> tuple[Tensor | None, None, None]:
        parts, window = ctx.saved_tensors
        if to_energy is None and to_parts is None:
            return None, None, None
        if to_energy is None:
            asked = to_parts.clone()  # type: ignore[union-attr]
        else:
            asked = parts * (2 * to_energy)[..., None]
            if to_parts is not None:
                asked += to_parts
        size, hop = len(window), ctx.hop
        asked[..., 1 : (size + 1) // 2, :] *= 0.5
        frames = torch.fft.irfft(torch.view_as_complex(asked.contiguous()), n=size, norm="forward") * window
        frames = F.pad(frames, (0, -size % hop))
        signal = overlap_add(frames, hop)
        return F.pad(signal, (0, ctx.length - signal.shape[-1])), None, None
