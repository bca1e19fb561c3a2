"""A loss on how phases go on, which leaves open what they are.

At low bitrates the phase of a decoded sound cannot be that of the recording, and a distance of complex spectra asks for
the average of all that it could be. What makes a voice sound whole is less: phases that go on from frame to frame
(instantaneous frequency) and from bin to bin (group delay) as they do in recordings, which is what APNet
(arXiv:2305.07952, section II.C) compares. Here the differences stand in products of neighbouring bins, which need no
arctangent and weigh loud bins more:

    D = U[t] conj(U[t - 1])   and   U[f] conj(U[f - 1]),   U = X |X|^(power - 1)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tokaudio.training.spectra import spectra

# Below it, spectra are not compressed: the gradient of a root has no bound at zero.
_LEAST_ENERGY = 1e-7


class PhaseDifferenceLoss(nn.Module):
    """Mean distance of phase differences over time and over frequency, of several window lengths.

    Args:
        windows: in samples, of Hann; each sample lies under four of them.
        power: exponent of the magnitudes, of each factor of a product.

    Shape:
        two signals `[B, S]`, S longer than the longest window by a quarter of it; returns a scalar.

    Example:
        >>> loss = PhaseDifferenceLoss()
        >>> signal = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
        >>> turned = loss(-signal, signal).item()
        >>> turned < 1e-6, loss(signal.flip(1), signal).item() > 0.1
        (True, True)
    """

    def __init__(self, windows: Sequence[int] = (320, 640, 1280), *, power: float = 0.4) -> None:
        super().__init__()
        self.windows, self.power = tuple(windows), power
        for window in self.windows:
            self.register_buffer(f"hann_{window}", torch.hann_window(window), persistent=False)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Compare estimate and target `[B, S]`."""
        distances = []
        for window in self.windows:
            with torch.no_grad():
                wanted = self._differences(target, window)
            for found, goal in zip(self._differences(estimate, window), wanted, strict=True):
                distances.append((found - goal).abs().mean())
        return torch.stack(distances).mean()

    def _differences(self, signal: Tensor, window: int) -> tuple[Tensor, Tensor]:
        """Return products `[B, T, F, 2]` over time and over frequency."""
        hann = getattr(self, f"hann_{window}") * (2.0 / window**0.5)
        parts, energy = spectra(signal, hann, max(1, window // 4))
        compressed = parts * (energy + _LEAST_ENERGY).pow((self.power - 1) / 2)[..., None]
        time = _times_conjugate(compressed[:, 1:], compressed[:, :-1])
        return time, _times_conjugate(compressed[:, :, 1:], compressed[:, :, :-1])


def _times_conjugate(left: Tensor, right: Tensor) -> Tensor:
    """Return `left * conj(right)` of complex numbers as pairs `[..., 2]`."""
    (a, b), (c, d) = left.unbind(-1), right.unbind(-1)
    return torch.stack([a * c + b * d, b * c - a * d], dim=-1)
