"""A real recording in every format, rate and number of channels goes through the command line and comes back whole."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from tests.cli.support import Cli

SPEECH = Path(__file__).parents[2] / "examples" / "audio" / "speech.wav"
RATES = (8_000, 22_050, 44_100, 48_000, 96_000)
FORMATS = {
    "wav": ("PCM_16", RATES, (1, 2, 6)),
    "flac": ("PCM_24", RATES, (1, 2, 6)),
    "mp3": ("MPEG_LAYER_III", (8_000, 22_050, 44_100, 48_000), (1, 2)),
    "ogg": ("VORBIS", RATES, (1, 2, 6)),
    "opus": ("OPUS", (8_000, 48_000), (1, 2, 6)),
}
CASES = [
    (suffix, rate, channels)
    for suffix, (_, rates, counts) in FORMATS.items()
    for rate in rates
    for channels in counts
    # Every rate with one channel, and every number of channels at the format's highest rate.
    if channels == 1 or rate == rates[-1]
]


def write_speech(path: Path, rate: int, channels: int) -> int:
    """Write the recording, the channels at different levels; return how many samples per channel a reader finds."""
    speech, source = soundfile.read(SPEECH, dtype="float32")
    once = soxr.resample(speech, source, rate)[: rate * 2 + 7]
    sound = np.clip(once[:, None] * np.linspace(1.0, 0.5, channels, dtype=np.float32), -1, 1)
    container = "OGG" if path.suffix == ".opus" else None
    with soundfile.SoundFile(path, "w", rate, channels, FORMATS[path.suffix[1:]][0], format=container) as file:
        for start in range(0, len(sound), rate):
            file.write(sound[start : start + rate])
    return len(soundfile.read(path)[0])


@pytest.mark.parametrize(("suffix", "rate", "channels"), CASES)
def test_recording_goes_through(cli: Cli, place: Path, suffix: str, rate: int, channels: int) -> None:
    path = place / f"speech.{suffix}"
    length = write_speech(path, rate, channels)
    assert cli("encode", path, "speech.npz").code == 0
    assert cli("decode", "speech.npz", "back.wav").code == 0
    back, back_rate = soundfile.read("back.wav")
    assert (back_rate, back.ndim) == (16_000, 1)
    assert len(back) == math.ceil(length * 16_000 / rate)
    assert np.abs(back).max() > 0.05

    document = json.loads(cli("info", "speech.npz", "--json").out)
    assert document["num_samples"] == len(back)
    assert document["provenance"]["source_channels"] == str(channels)
    assert document["provenance"]["source_sample_rate"] == str(rate)


def test_decoded_speech_is_the_speech_that_was_encoded(cli: Cli, place: Path) -> None:
    assert cli("roundtrip", SPEECH, "back.wav").code == 0
    speech, rate = soundfile.read(SPEECH, dtype="float32")
    back, _ = soundfile.read("back.wav", dtype="float32")

    def loudness(sound: np.ndarray) -> np.ndarray:
        return np.sqrt(np.square(sound[: len(sound) // 320 * 320]).reshape(-1, 320).mean(1))

    wanted = loudness(soxr.resample(speech, rate, 16_000))
    got = loudness(back)
    assert np.corrcoef(wanted, got[: len(wanted)])[0, 1] > 0.95
