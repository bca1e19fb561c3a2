"""The log-mel spectrogram of Whisper (arXiv:2212.04356, section 2.2), block by block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.audio.mel import slaney_filterbank

RATE, HOP, LENGTH = 16_000, 160, 400
# A signal is mirrored at both ends by half a transform.
_EDGE = LENGTH // 2
SHORTEST = _EDGE + 1
_FLOOR, _RANGE = 1e-10, 8.0


class LogMel(nn.Module):
    """Logarithms of mel energies of 16 kHz sound, 100 frames per second.

    A signal of S samples has S // 160 frames. What is below the loudest value of the whole signal by 80 dB counts as
    80 dB below it, so that the scale is known at the end of a signal only: `stage` gives raw logarithms, and `scaled`
    does the rest.

    Args:
        mels: M, number of mel filters.

    Shape:
        input `[B, S]`, output `[B, S // 160, M]`.

    Example:
        >>> LogMel(128)(torch.zeros(1, 1600)).shape
        torch.Size([1, 10, 128])
    """

    window: Tensor
    filters: Tensor

    def __init__(self, mels: int) -> None:
        super().__init__()
        filters = torch.tensor(slaney_filterbank(RATE, LENGTH, mels).T.copy(), dtype=torch.float32)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(LENGTH, dtype=torch.float32), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Map `[B, S]`, S at least 201, to `[B, S // 160, M]`."""
        stages = [self.stage() for _ in samples]
        raw = [stage(item[:, None], True) for stage, item in zip(stages, samples, strict=True)]
        return torch.stack([scaled(item, item.max()) for item in raw])

    def stage(self) -> LogMelStage:
        """Return a fresh stage from samples `[n, 1]` to raw logarithms `[m, M]`."""
        return LogMelStage(self)

    def raw(self, samples: Tensor) -> Tensor:
        """Return the raw logarithms `[m, M]` of all windows inside samples `[n]`."""
        bins = torch.stft(samples, LENGTH, HOP, window=self.window, center=False, return_complex=True)
        energies = bins.abs().square().T @ self.filters
        return energies.clamp_(min=_FLOOR).log10_()


def scaled(raw: Tensor, loudest: Tensor) -> Tensor:
    """Return logarithms `[..., M]` within 80 dB of the loudest value of their signal, shifted and scaled.

    Example:
        >>> scaled(torch.tensor([0.0, -20.0]), torch.tensor(0.0))
        tensor([ 1., -1.])
    """
    return (torch.maximum(raw, loudest - _RANGE) + 4.0) / 4.0


class LogMelStage:
    """The raw log-mel spectrogram in the course of one signal, whose first block has at least 201 samples."""

    def __init__(self, mel: LogMel) -> None:
        self._mel = mel
        self._held: Tensor | None = None

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map samples `[n, 1]` to the raw logarithms `[m, M]` that are ready."""
        samples = block[:, 0]
        if self._held is None:
            samples = torch.cat([samples[1:SHORTEST].flip(0), samples])
        else:
            samples = torch.cat([self._held, samples])
        if last:
            samples = F.pad(samples[None], (0, _EDGE), mode="reflect")[0]
        # The last of all windows is left out, as published models do.
        count = max(0, (len(samples) - LENGTH) // HOP + 1 - last)
        self._held = samples[count * HOP :].clone()
        if not count:
            return self._mel.filters.new_zeros(0, self._mel.filters.shape[1])
        return self._mel.raw(samples[: (count - 1) * HOP + LENGTH])
