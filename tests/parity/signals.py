"""Sound for the parity tests: seeded, speech-like, different in every frame, and one real recording.

Random networks give few distinct codes on plain noise, because every frame of it looks alike; these signals keep
changing in pitch, loudness and spectrum, and hold silences, so that codes are diverse and edges are met.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

RECORDING = Path(__file__).parents[2] / "examples" / "audio" / "speech.wav"


def signals(sample_rate: int, seed: int = 0, *, seconds: float = 4.0, channels: int = 1) -> Tensor:
    """Return made-up speech-like sound `[C, S]` in [-1, 1]; every channel is different.

    Args:
        sample_rate: in Hz.
        seed: another seed gives other sound.
        seconds: length; the number of samples is rounded.
        channels: C.

    Example:
        >>> sound = signals(16_000, seed=1, seconds=2.0, channels=2)
        >>> sound.shape, bool(sound.abs().max() <= 1)
        (torch.Size([2, 32000]), True)
    """
    generator = torch.Generator().manual_seed(seed)
    total = round(seconds * sample_rate)
    return torch.stack([_channel(sample_rate, total, generator) for _ in range(channels)])


def recording(sample_rate: int, *, seconds: float | None = None, channels: int = 1) -> Tensor:
    """Return the real recording `[C, S]` (a voice, 4.1 s) at a rate, repeated or cut to `seconds`.

    Second channels are later and quieter copies, so that stereo is not two times the same.

    Example:
        >>> recording(8_000, seconds=10.0).shape
        torch.Size([1, 80000])
    """
    from tokaudio.audio import read_audio, resample

    samples, rate = read_audio(RECORDING)
    voice = resample(samples[0], rate, sample_rate)
    length = len(voice) if seconds is None else round(seconds * sample_rate)
    voice = voice.repeat(-(-length // len(voice)))[:length]
    return torch.stack([voice.roll(37 * channel) * 0.8**channel for channel in range(channels)])


def lengths(hop_length: int, *, long_frames: int = 250) -> dict[str, int]:
    """Return the numbers of samples that every family is tried at, by name.

    Example:
        >>> lengths(320)["one more"] - lengths(320)["multiple of the hop"]
        1
    """
    multiple = 40 * hop_length
    return {
        "multiple of the hop": multiple,
        "one more": multiple + 1,
        "one less": multiple - 1,
        "very short": max(1, hop_length // 3),
        "long": long_frames * hop_length + hop_length // 2 + 7,
    }


def _channel(rate: int, total: int, generator: torch.Generator) -> Tensor:
    pieces: list[Tensor] = []
    kinds = (_voice, _chirp, _burst, _voice, _pause, _steps)
    while sum(map(len, pieces)) < total:
        kind = kinds[len(pieces) % len(kinds)]
        samples = round(rate * float(torch.empty(1).uniform_(0.15, 0.6, generator=generator)))
        piece = kind(rate, samples, generator)
        pieces.append(piece * float(torch.empty(1).uniform_(0.2, 0.9, generator=generator)))
    sound = torch.cat(pieces)[:total]
    return (sound + 1e-3 * torch.randn(total, generator=generator)).clamp(-1, 1)


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand(1, generator=generator))


def _voice(rate: int, samples: int, generator: torch.Generator) -> Tensor:
    """Harmonics of a gliding pitch with vibrato, weighted as by one formant, swelling and fading."""
    time = torch.arange(samples) / rate
    pitch = _uniform(90, 240, generator) * (1 + _uniform(-0.3, 0.3, generator) * time / time[-1].clamp(min=1e-3))
    pitch = pitch * (1 + 0.03 * torch.sin(2 * math.pi * 5.5 * time))
    phase = 2 * math.pi * torch.cumsum(pitch, 0) / rate
    formant, width = _uniform(400, 2600, generator), 500.0
    out = torch.zeros(samples)
    for harmonic in range(1, 30):
        if harmonic * 320 < rate / 2:
            level = 0.1 / harmonic + math.exp(-(((harmonic * 160 - formant) / width) ** 2)) / 3
            out += level * torch.sin(harmonic * phase)
    return out * torch.hann_window(samples, periodic=False).sqrt() / out.abs().max().clamp(min=1e-3)


def _chirp(rate: int, samples: int, generator: torch.Generator) -> Tensor:
    """One tone that glides exponentially between two pitches."""
    start, stop = _uniform(80, 400, generator), _uniform(800, 0.45 * rate, generator)
    frequency = start * (stop / start) ** (torch.arange(samples) / samples)
    return 0.7 * torch.sin(2 * math.pi * torch.cumsum(frequency, 0) / rate)


def _burst(rate: int, samples: int, generator: torch.Generator) -> Tensor:
    """Noise of changing colour that dies away, like a fricative."""
    noise = torch.randn(samples, generator=generator)
    colour = _uniform(-0.9, 0.9, generator)
    noise = noise + colour * noise.roll(1)
    return 0.25 * noise * torch.exp(-torch.arange(samples) / (0.2 * rate))


def _pause(rate: int, samples: int, generator: torch.Generator) -> Tensor:
    return torch.zeros(samples)


def _steps(rate: int, samples: int, generator: torch.Generator) -> Tensor:
    """A new random pair of tones every 20 ms: every frame differs from the one before."""
    hold = max(1, rate // 50)
    count = -(-samples // hold)
    out = torch.zeros(samples)
    for _ in range(2):
        tones = 100 + torch.rand(count, generator=generator) * min(6000.0, 0.4 * rate)
        out += torch.sin(2 * math.pi * torch.cumsum(tones.repeat_interleave(hold)[:samples], 0) / rate)
    return 0.4 * out
