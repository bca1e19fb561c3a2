"""The encoder of Whisper with its ears: samples to hidden states.

model = WhisperModel(WhisperSizes())
states = model.hidden_states(waveform, layers=(2, 4))  # [2, T, D], 50 frames per second
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.audio.log_mel import HOP, LogMel
from tokaudio.nn.ssl.whisper import WhisperEncoder, WhisperSizes, rows

# Samples whose spectra are computed together: one minute.
_BLOCK = 6000 * HOP


class WhisperModel(WhisperEncoder):
    """The encoder of Whisper, over sound of 16 kHz.

    A signal of up to 30 s is filled up with silence to 30 s, as in training; its T = ceil(S / 320) frames are returned.
    Longer ones go through windows of 30 s that overlap by 10 s and are merged at the middle of each overlap: an
    approximation of nothing, as no Whisper hears more at once, but it depends on where windows lie. Each window is
    scaled by its own loudest value.

    Args:
        sizes: what it is made of.
        layers: how many layers of the transformer there are to be, from the first; all by default.

    Example:
        >>> model = WhisperModel(WhisperSizes(width=8, layers=2, heads=2, inner=16, positions=60)).eval()
        >>> model.hidden_states(torch.zeros(1000), layers=(0, 2)).shape
        torch.Size([2, 4, 8])
    """

    def __init__(self, sizes: WhisperSizes, *, layers: int | None = None) -> None:
        super().__init__(sizes, layers=layers)
        self.mel = LogMel(sizes.mels)

    def forward(self, waveform: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        """Return hidden states `[len(layers), B, T, D]` of signals `[B, S]` that all have S samples, together.

        For training and for batches on a GPU; `hidden_states` gives what does not depend on the batch.
        """
        self._check(waveform)
        return self.batch_states(torch.stack([self.frames(item) for item in waveform]), layers)

    def hidden_states(self, waveform: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        """Return the hidden states of some layers; each signal is computed by itself.

        Args:
            waveform: samples at 16 kHz, `[S]`, or `[B, S]` of signals that all have S samples.
            layers: numbers from 0 to the number of layers, in any order, negative ones from the end; all by default.

        Returns:
            `[len(layers), T, D]`, or `[len(layers), B, T, D]`.

        Raises:
            ValueError: for a layer that is not there, or no samples.
        """
        self._check(waveform)
        if waveform.ndim == 1:
            return self.later_states(self.frames(waveform), layers)
        return torch.stack([self.hidden_states(item, layers) for item in waveform], dim=1)

    def frames(self, waveform: Tensor, *, fill: bool = False) -> Tensor:
        """Return what `later_states` takes, of one signal: the first half of `hidden_states`.

        Args:
            waveform: samples `[S]`.
            fill: changes nothing: every signal has a frame.

        Returns:
            rows of mel frames `[T, 4 * M]`.

        Raises:
            ValueError: for no samples.
        """
        self._check(waveform)
        count, window = self.sizes.frames(len(waveform)), self.sizes.positions * self.sizes.hop_length
        # Two rows of silence are as good as all that follow; a full window ends where the window does.
        total = (count + 2) * self.sizes.hop_length
        total = min(total, window) if len(waveform) <= window else total
        padded = F.pad(waveform, (0, total - len(waveform)))
        stage = self.mel.stage()
        blocks = padded.split(_BLOCK)
        mel = [stage(block[:, None], number == len(blocks)) for number, block in enumerate(blocks, 1)]
        return rows(torch.cat(mel), count)

    def _check(self, waveform: Tensor) -> None:
        if waveform.ndim not in (1, 2):
            raise ValueError(f"waveform must be [S] or [B, S], got {list(waveform.shape)}")
        if waveform.shape[-1] < 1:
            raise ValueError("no samples have no frame; give one sample at least")
