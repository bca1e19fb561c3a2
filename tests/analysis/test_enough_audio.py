"""Recordings that are too short to say what codes mean: nothing is claimed, and one line says what would do."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tokaudio.analysis.codebook_report import Report
from tokaudio.analysis.enough_audio import audio_warning, frames_needed
from tokaudio.analysis.frames.associations import Association, associations
from tokaudio.analysis.frames.sampling import FrameSample
from tokaudio.analysis.roles import roles

RATE = 50
FOUR_SECONDS = 4 * RATE
SIZES = (2, 64, 256, 1024)


def wandering(random: np.random.Generator, frames: int, lasting: float = 8.0) -> NDArray[np.float64]:
    """Return values that resemble their neighbours, as loudness does."""
    steps, stays = random.normal(size=frames), np.exp(-1 / lasting)
    value = np.zeros(frames)
    for frame in range(1, frames):
        value[frame] = stays * value[frame - 1] + np.sqrt(1 - stays**2) * steps[frame]
    return value


def noise(random: np.random.Generator, frames: int, size: int, lasting: float) -> NDArray[np.int64]:
    """Return codes by chance, each of which stays for some frames."""
    new = random.random(frames) < 1 / lasting
    new[0] = True
    return random.integers(0, size, frames)[np.maximum.accumulate(np.where(new, np.arange(frames), 0))]


def of_noise(seed: int, frames: int, lasting: float = 3.0) -> list[Association]:
    """Return what codebooks of every size, all of noise, say about the sound of one recording."""
    random = np.random.default_rng(seed)
    codes = np.stack([noise(random, frames, size, lasting) for size in SIZES])
    sample = FrameSample()
    level, pitch = wandering(random, frames), wandering(random, frames)
    pitch[level < -0.3] = np.nan
    sample.add(codes, {"energy": level, "voicing": np.isfinite(pitch).astype(int), "pitch": pitch})
    return associations(sample.finish())


@cache
def many(lasting: float) -> list[list[Association]]:
    return [of_noise(seed, FOUR_SECONDS, lasting) for seed in range(8)]


@pytest.mark.parametrize("lasting", [1.0, 4.0])
def test_four_seconds_of_noise_claim_nothing(lasting: float) -> None:
    for size in (64, 256, 1024):
        book = SIZES.index(size)
        found = [one for each in many(lasting) for one in each if one.codebook == book]
        assert len(found) == 24
        # One in forty would be chance.
        assert sum(one.beyond_chance for one in found) <= 2, size
        if size == 1024:
            assert not any(one.enough for one in found)
            assert all(np.isnan(one.score) and np.isnan(one.bits) and one.interval is None for one in found)
        assert not any(one.score > 0.4 for one in found)
    small = [one for each in many(lasting) for one in each if one.codebook == 0]
    assert all(one.enough for one in small) and sum(one.beyond_chance for one in small) <= 2


def test_what_is_left_of_the_bias_is_not_claimed() -> None:
    """Two minutes of noise in 64 codes: intervals alone lie above 0 by a hair."""
    above = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        sample = FrameSample()
        sample.add(noise(random, 6000, 64, 1.0)[None], {"energy": wandering(random, 6000)})
        (one,) = associations(sample.finish())
        assert one.enough and one.interval is not None and not one.beyond_chance and one.score < 0.03
        above += one.interval.share.low > 0
    assert above >= 4


def test_a_short_recording_still_tells_what_two_codes_carry() -> None:
    random = np.random.default_rng(3)
    level = wandering(random, FOUR_SECONDS)
    sample = FrameSample()
    sample.add(np.stack([level > 0, noise(random, FOUR_SECONDS, 1024, 1.0)]), {"energy": level})
    found = associations(sample.finish())
    told, untold = roles(found)
    assert told.attribute == "energy" and told.first is not None and told.first.score == pytest.approx(0.25, abs=0.03)
    assert told.enough and not untold.enough
    assert untold.sentence() == "Codebook 1: too little audio to tell." and untold.to_dict()["enough"] is False
    warning = audio_warning(found, {"seconds": 4.0}, [2, 1024])
    assert warning is not None
    assert warning.startswith("Too little audio: 4 seconds are not enough for 1 of 2 scores (energy), which are left")


@pytest.mark.parametrize("size", [64, 256])
def test_as_much_audio_as_is_asked_for_is_enough(size: int) -> None:
    book = SIZES.index(size)
    few = [one for one in of_noise(1, FOUR_SECONDS, 1.0) if one.codebook == book and one.attribute == "energy"]
    needed = frames_needed(few[0].floor, few[0].information.frames, size)
    assert FOUR_SECONDS < needed <= 10 * size
    found = [one for one in of_noise(2, round(needed), 1.0) if one.codebook == book and one.attribute == "energy"]
    assert found[0].enough and not found[0].beyond_chance


def test_the_warning_stands_in_the_report_once() -> None:
    found = [one for one in many(1.0)[0] if one.codebook == SIZES.index(1024)]
    report = Report({"name": "toy", "codebook_sizes": SIZES}, {"seconds": 4.0}, tuple(found), roles(found), {}, ())
    warning = report.warning
    assert warning is not None
    assert re.fullmatch(r"Too little audio: 4 seconds are not enough to say .* About \d+ minutes would do\.", warning)
    assert report.to_dict()["warning"] == warning and report.to_json().count("Too little audio:") == 1
    assert report.sentences() == [] and report.roles[0].sentence() == "Codebook 3: too little audio to tell."
    assert report.to_dict()["information"][0]["score"] is None and report.rows()[0]["score"] is None


def test_enough_audio_has_no_warning() -> None:
    small = [one for one in many(1.0)[0] if one.codebook == 0]
    assert audio_warning(small, {"seconds": 4.0}, SIZES) is None
    assert audio_warning([], {"seconds": 4.0}, SIZES) is None


def test_of_whole_recordings_no_amount_is_asked_for() -> None:
    sample = FrameSample()
    for number in range(6):
        sample.add(np.full((1, 50), number), {"speaker": np.full(50, number % 3), "energy": np.arange(50.0)})
    found = associations(sample.finish())
    warning = audio_warning(found, {"seconds": 6.0}, [8])
    assert warning == "Too little audio: 6 seconds are not enough for 1 of 2 scores (speaker), which are left out."
