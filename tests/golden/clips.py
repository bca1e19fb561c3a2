"""24 short clips that are the same to the last bit everywhere, as they are computed in integers."""

from __future__ import annotations

import torch
from torch import Tensor

from tokaudio.tokenizers.self_check import self_check_signal

COUNT = 24


def golden_clips(sample_rate: int, channels: int) -> list[Tensor]:
    """Return clips `[C, S]` of 0.2 to 1 s: speech-like sound at many levels and places, and what is hard to encode."""
    voice = self_check_signal(sample_rate, channels)
    clips = []
    for number in range(16):
        length = sample_rate * (4 + number) // 20
        start = number * (voice.shape[1] - length) // 16
        gain = 2.0 ** -(number % 5)
        piece = voice[:, start : start + length]
        clips.append((piece.flip(1) if number % 4 == 3 else piece) * gain)
    length = sample_rate // 4 + 1
    at = torch.arange(length)
    square = ((at * 440 // sample_rate) % 2).float() - 0.5
    ramp = (at % 97).float() / 128 - 0.375
    hard = [
        torch.zeros(length),
        torch.full((length,), 0.5),
        square,
        ramp,
        (at == length // 2).float(),
        voice[0, :length],
    ]
    hard += [voice[0, :1], voice[0, 1_000 : 1_000 + sample_rate // 50 + 1].sign()]
    return clips + [clip.expand(channels, -1).contiguous() for clip in hard]
