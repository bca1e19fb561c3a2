"""Changes of a sound: each does what its name says, and says where the result lies in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.analysis.robustness.robustness import STANDARD
from tokaudio.analysis.robustness.timing import PitchShift, Shift, Slice, TimeStretch
from tokaudio.analysis.robustness.transforms import Gain, Noise, Resampling, Reverberation, Setting, Transform
from tokaudio.analysis.statistics.contingency import AnalysisError

RATE = 16_000


def tone(hertz: float, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    return np.tile(wave.astype(np.float32), (channels, 1))


def peak(sound: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(sound[0])).argmax() * RATE / sound.shape[1])


def decibels(signal: np.ndarray, noise: np.ndarray) -> float:
    return float(10 * np.log10(np.square(signal).mean() / np.square(noise).mean()))


def setting(step: int = 320) -> Setting:
    return Setting(RATE, step, np.random.default_rng(0))


@pytest.mark.parametrize("transform", STANDARD, ids=lambda transform: transform.name)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_change_keeps_channels_dtype_and_the_original(transform: Transform, channels: int) -> None:
    sound = tone(300.0, 0.4, channels)
    kept = sound.copy()
    changed = transform(sound, setting())
    assert changed.samples.dtype == np.float32 and changed.samples.shape[0] == channels
    assert np.isfinite(changed.samples).all()
    assert np.array_equal(sound, kept)


@pytest.mark.parametrize("transform", STANDARD, ids=lambda transform: transform.name)
def test_samples_lie_where_the_change_says(transform: Transform) -> None:
    # A burst 0.4 s into the sound is found again at the time that start and speed tell.
    sound = np.zeros((1, RATE), np.float32)
    sound[:, 6_400:7_200] = tone(500.0, 0.05)
    changed = transform(sound, setting())
    energy = np.convolve(np.square(changed.samples[0], dtype=np.float64), np.ones(800), mode="valid")
    found = changed.start + changed.speed * float(energy.argmax())
    assert abs(found - 6_400) < 500


def test_gain_multiplies() -> None:
    assert decibels(Gain(6.0)(tone(300.0), setting()).samples, tone(300.0)) == pytest.approx(6.0, abs=1e-3)


@pytest.mark.parametrize("snr", [0.0, 20.0])
def test_noise_has_the_level_asked_for(snr: float) -> None:
    sound = tone(300.0)
    noise = Noise(snr)(sound, setting()).samples - sound
    assert decibels(sound, noise) == pytest.approx(snr, abs=0.2)
    assert abs(float(noise.mean())) < 0.05 * float(noise.std())


def test_noise_follows_the_generator() -> None:
    one, two, other = (
        Noise(10.0)(tone(300.0), Setting(RATE, random=np.random.default_rng(seed))).samples for seed in (1, 1, 2)
    )
    assert np.array_equal(one, two) and not np.array_equal(one, other)


def test_rooms_decay_by_60_decibels_in_their_time() -> None:
    click = np.zeros((1, RATE), np.float32)
    click[0, 0] = 1.0
    tail = Reverberation(0.5, direct=0.0)(click, setting()).samples[0].astype(np.float64)
    early, late = tail[1:801], tail[4_001:4_801]
    assert decibels(early, late) == pytest.approx(60 * 4_000 / 8_000, abs=1.5)
    assert np.sum(tail[1:8_000] ** 2) == pytest.approx(tail[0] ** 2, rel=1e-3)
    assert np.sum(tail**2) == pytest.approx(1.0, rel=1e-3)


def test_resampling_removes_what_is_above_half_the_rate() -> None:
    change = Resampling(8_000)
    assert decibels(tone(6_000.0), change(tone(6_000.0), setting()).samples) > 40
    assert decibels(tone(1_000.0), change(tone(1_000.0), setting()).samples - tone(1_000.0)) > 30


@pytest.mark.parametrize("semitones", [-12.0, 3.0])
def test_pitch_moves_and_the_pace_stays(semitones: float) -> None:
    changed = PitchShift(semitones)(tone(400.0), setting())
    assert changed.samples.shape == (1, RATE) and changed.speed == 1.0
    assert peak(changed.samples) == pytest.approx(400 * 2 ** (semitones / 12), rel=0.01)


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_the_pace_moves_and_pitch_stays(speed: float) -> None:
    changed = TimeStretch(speed)(tone(400.0), setting())
    assert changed.samples.shape == (1, round(RATE / speed))
    assert changed.speed == pytest.approx(speed)
    assert peak(changed.samples) == pytest.approx(400.0, rel=0.01)


def test_a_shift_drops_the_first_samples() -> None:
    sound = tone(400.0)
    changed = Shift(3)(sound, setting())
    assert changed.start == 3 and np.array_equal(changed.samples, sound[:, 3:])


@settings(max_examples=60)
@given(samples=st.integers(1, 5_000), step=st.integers(1, 700), share=st.floats(0.05, 1.0))
def test_a_slice_is_whole_steps_of_the_sound(samples: int, step: int, share: float) -> None:
    sound = np.arange(samples, dtype=np.float32)[None]
    if int(share * samples / step) == 0:
        with pytest.raises(AnalysisError, match="give longer recordings"):
            Slice(share)(sound, Setting(RATE, step))
        return
    changed = Slice(share)(sound, Setting(RATE, step))
    length = changed.samples.shape[1]
    assert changed.start % step == 0 and length % step == 0 and 0 < length <= share * samples
    assert np.array_equal(changed.samples, sound[:, changed.start : changed.start + length])


def test_a_sound_too_short_to_begin_later_is_refused() -> None:
    with pytest.raises(AnalysisError, match="give longer recordings"):
        Shift(5)(np.zeros((1, 5), np.float32), setting())


@pytest.mark.parametrize("transform", [PitchShift(1.0), TimeStretch(1.1)], ids=lambda transform: transform.name)
def test_sounds_too_short_for_a_phase_vocoder_are_refused(transform: Transform) -> None:
    assert transform(tone(300.0, 64 / RATE), setting()).samples.shape[1] > 0
    with pytest.raises(AnalysisError, match="63 samples are too few"):
        transform(tone(300.0, 63 / RATE), setting())


@pytest.mark.parametrize(
    ("make", "value", "words"),
    [
        (TimeStretch, 0.0, "above 0"),
        (Reverberation, 0.0, "above 0"),
        (Shift, -1, "0 or more"),
        (Slice, 0.0, "up to 1"),
        (Slice, 1.5, "up to 1"),
    ],
)
def test_what_no_change_can_be_is_refused(make: Any, value: float, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        make(value)


def test_names_tell_the_standard_changes_apart() -> None:
    names = [transform.name for transform in STANDARD]
    assert len(set(names)) == len(names)
    assert {"noise 20 dB", "MP3 64 kbit/s", "Opus 24 kbit/s", "shift by 1 sample", "slice of 50 %"} <= set(names)
    assert (PitchShift(1.0).name, PitchShift(-2.0).name, Shift(7).name) == (
        "pitch +1 semitone",
        "pitch -2 semitones",
        "shift by 7 samples",
    )
