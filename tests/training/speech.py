"""A small backbone in the published layout, and recordings for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile
from safetensors.torch import save_file

from tests.tokenizers.test_speech_files import CONFIG, made, published


def write_backbone(folder: Path) -> Path:
    """Write a random model of three layers of width 16."""
    folder.mkdir(parents=True)
    save_file(published(made(), "new"), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "preprocessor_config.json").write_text('{"do_normalize": true}')
    return folder


def sound(seconds: float, rate: int, seed: int) -> np.ndarray:
    """Return gliding tones in noise whose loudness changes, float32 `[S]`."""
    random = np.random.default_rng(seed)
    at = np.arange(round(seconds * rate)) / rate
    low, high = random.uniform(80, 300), random.uniform(500, 3000)
    tone = 0.3 * np.sin(2 * np.pi * (low + 90 * at) * at) + 0.1 * np.sin(2 * np.pi * high * (1 + at) * at)
    return (tone * (0.5 + 0.5 * np.sin(17 * at)) + random.normal(0, 0.02, len(at))).astype(np.float32)


def write_sounds(folder: Path, seconds: dict[str, float], rate: int = 16_000) -> Path:
    """Write recordings of so many seconds under names."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, length) in enumerate(seconds.items()):
        soundfile.write(folder / name, sound(length, rate, seed), rate)
    return folder
