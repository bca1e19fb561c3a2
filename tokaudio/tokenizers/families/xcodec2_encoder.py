"""The encoder of XCodec2 and NeuCodec: a speech model beside convolutions over the samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tokaudio.audio.kaldi_mel import BINS, KaldiMel, normalised, paired
from tokaudio.nn.ssl.wav2vec2_bert import Wav2Vec2Bert
from tokaudio.nn.stages import Pipeline, Pointwise, Stage, Whole, stage_of
from tokaudio.nn.windows import Windowed, Windows
from tokaudio.nn.xcodec2 import adapter


class HeardEncoder(nn.Module):
    """Samples to latents: a speech model's hidden state beside the convolutions' result, mixed frame by frame.

    The speech model sees the whole signal, and its input is scaled by the statistics of the whole.

    Args:
        acoustic: the convolutions, from samples to A channels at the frame rate.
        semantic: the speech model, which gives D channels at 50 Hz.
        edge: zeros around the signal before its mel energies are computed, in samples.

    Attributes:
        windows: how its stage cuts long signals for the speech model; None to wait for the end always.

    Shape:
        input `[B, 1, S]`, output `[B, D + A, T]`. T is what the shorter side gives.
    """

    def __init__(self, acoustic: nn.Module, acoustic_width: int, semantic: Wav2Vec2Bert, *, edge: int) -> None:
        super().__init__()
        width = semantic.sizes.width
        self.windows: Windows | None = None
        self.acoustic, self.semantic, self.mel = acoustic, semantic, KaldiMel(edge=edge)
        self.adapter = adapter(width)
        self.mix = nn.Linear(width + acoustic_width, width + acoustic_width)

    def forward(self, samples: Tensor) -> Tensor:
        """Map `[B, 1, S]` to `[B, D + A, T]`."""
        acoustic = self.acoustic(samples).transpose(1, 2)
        frames = paired(self.mel(samples[:, 0]))
        count = min(acoustic.shape[1], frames.shape[1])
        adapted = self.adapter(self._heard(frames[:, :count]).transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = self.mix(torch.cat([adapted, acoustic[:, :count]], dim=-1))
        return mixed.transpose(1, 2)

    def stage(self) -> Stage:
        """Return a fresh stage from samples `[n, 1]` to latents `[T, D + A]`."""
        whole = Whole(self._whole) if self.windows is None else Windowed(self._whole, self.windows)
        return Pipeline([_Beside(self.mel.stage(), stage_of(self.acoustic)), whole, Pointwise(self._as_latents)])

    def _as_latents(self, rows: Tensor) -> Tensor:
        """Return latents as they are; while there are none, what comes is as wide as the input."""
        return rows if len(rows) else rows.new_zeros(0, self.mix.out_features)

    def _whole(self, rows: Tensor) -> Tensor:
        """Map what `_Beside` gives, of a whole signal, to latents `[T, D + A]`."""
        if not len(rows):
            return rows
        adapted = stage_of(self.adapter)(self._heard(rows[None, :, : 2 * BINS])[0], True)
        mixed: Tensor = self.mix(torch.cat([adapted, rows[:, 2 * BINS :]], dim=1))
        return mixed

    def _heard(self, pairs: Tensor) -> Tensor:
        """Map pairs of mel frames `[B, T, 160]` to hidden states `[B, T, D]`."""
        single = pairs.unflatten(-1, (2, BINS)).flatten(1, 2)
        heard: Tensor = self.semantic(paired(normalised(single)))
        return heard


class _Beside:
    """Pairs of mel frames, and the convolutions' results beside them, as rows `[T, 160 + A]` that are complete."""

    def __init__(self, mel: Stage, acoustic: Stage) -> None:
        self._mel, self._acoustic = mel, acoustic
        self._held: tuple[Tensor, Tensor] | None = None

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map samples `[n, 1]` to rows `[T, 160 + A]`; what only one side has at the end is left out."""
        frames, results = self._mel(block, last), self._acoustic(block, last)
        if self._held is not None:
            frames, results = torch.cat([self._held[0], frames]), torch.cat([self._held[1], results])
        count = min(len(frames) // 2, len(results))
        self._held = frames[2 * count :].clone(), results[count:].clone()
        return torch.cat([paired(frames[: 2 * count]), results[:count]], dim=1)
