"""A little corpus whose sounds are tones, and a backbone whose layers hear one thing each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from tokaudio.audio.manifest import Recording

RATE = 16_000
TONES = {"a": 200.0, "e": 800.0, "i": 1600.0, "o": 3200.0, "u": 6000.0}
SPEAKERS = {"ann": 0.05, "bob": 0.2, "eve": 0.6}


@dataclass(frozen=True)
class Sizes:
    width: int = 2
    layers: int = 2
    hop_length: int = 320
    shortest: int = 320


class Ears:
    """Layer 0 hears how loud a frame is, layer 1 how high, layer 2 nothing but noise."""

    def __init__(self) -> None:
        self.sizes = Sizes()

    def frames(self, waveform: Tensor, *, fill: bool = False) -> Tensor:
        return waveform[: len(waveform) // 320 * 320].unflatten(0, (-1, 320))

    def later_states(self, frames: Tensor, layers: Sequence[int]) -> Tensor:
        loud = frames.square().mean(1).sqrt().clamp_min(1e-4).log()
        high = torch.fft.rfft(frames).abs().argmax(1) / 20.0
        noise = torch.randn(len(frames), generator=torch.Generator().manual_seed(len(frames)))
        heard = [loud, high, noise]
        return torch.stack([torch.stack([heard[layer], 0 * loud], dim=1) for layer in layers])

    def hidden_states(self, waveform: Tensor, layers: Sequence[int] | None = None) -> Tensor:
        return self.later_states(self.frames(waveform), range(3) if layers is None else layers)


def write_corpus(folder: Path, recordings: int = 16, segments: int = 12) -> list[Recording]:
    """Write recordings of tones of 0.1 to 0.2 s, a manifest, and their `.lab` files; return the recordings."""
    random = np.random.default_rng(4)
    (folder / "wav").mkdir(parents=True)
    (folder / "lab").mkdir()
    rows = []
    for number in range(recordings):
        speaker = list(SPEAKERS)[number % len(SPEAKERS)]
        parts, lines, end = [], ["#"], 0.0
        for name in random.choice(list(TONES), segments):
            length = int(random.integers(5, 11)) * 320
            parts.append(np.sin(2 * np.pi * TONES[name] * np.arange(length) / RATE))
            end += length / RATE
            lines.append(f"{end:.5f} 125 {name}")
        wave = SPEAKERS[speaker] * np.concatenate(parts)
        soundfile.write(folder / "wav" / f"{number}.wav", wave.astype(np.float32), RATE)
        (folder / "lab" / f"{number}.lab").write_text("\n".join(lines) + "\n")
        rows.append(f"wav/{number}.wav,{speaker}")
    (folder / "all.csv").write_text("path,speaker\n" + "\n".join(rows) + "\n")
    return [Recording(folder / (p := row.split(",")[0]), p, {"speaker": row.split(",")[1]}) for row in rows]
