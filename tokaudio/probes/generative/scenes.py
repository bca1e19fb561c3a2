"""Scenes: what is heard, and the sounds that are wanted of it; made when they are asked for, the same ones each time.

    scene = noisy(recording, others, contents, number=3)
    heard, wanted, rate = scene.make()

A scene is a recipe: recordings, and the seed of everything drawn. Its key names all that its sound depends on, so that
codes can be kept without the sound being made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokaudio.audio import read_audio, resample, to_channels
from tokaudio.audio.manifest import Recording
from tokaudio.probes.generative.noise import NOISES, babble, coloured, machine, mixed_at, of_power_one

Array = NDArray[Any]
_VERSION = "1"
_BABBLERS = 5
_GAP_SECONDS = (0.05, 0.25)
LOUDNESS = 0.05
"""Root mean square of voices that are mixed."""


class Sounds(NamedTuple):
    """What a scene is made of.

    Attributes:
        heard: samples `[S]`, float32.
        wanted: samples `[S]` of each sound that is wanted.
        rate: of all, in Hz.
    """

    heard: Array
    wanted: tuple[Array, ...]
    rate: int


@dataclass(frozen=True)
class Scene:
    """A recipe for something to be heard.

    Attributes:
        name: for people.
        key: of everything that the sound depends on.
        speakers: of each sound that is wanted.
        texts: said in each of them; empty where nobody knows.
        make: makes it.
    """

    name: str
    key: str
    speakers: tuple[str, ...]
    texts: tuple[str, ...]
    make: Callable[[], Sounds] = field(repr=False)


def key_of(*parts: object) -> str:
    """Return a name for everything that a sound depends on.

    Example:
        >>> key_of("a", 1) == key_of("a", 1), key_of("a", 1) == key_of("a", 2)
        (True, False)
    """
    return hashlib.sha256("\x1f".join(map(str, (_VERSION, *parts))).encode()).hexdigest()[:32]


def noisy(
    recording: Recording,
    others: Sequence[Recording],
    content: str,
    *,
    number: int,
    ratios: tuple[float, float] = (0, 10),
    noises: Sequence[Recording] = (),
) -> Scene:
    """Return a recording in noise.

    Args:
        recording: that is wanted.
        others: of other speakers, for babble.
        content: of the recording and of the others, by which its key knows them.
        number: of the scene, from which all that is drawn follows.
        ratios: least and greatest ratio of speech to noise in dB.
        noises: recordings of noise, which then are one kind among those that are made.
    """
    text, speaker = recording.facts.get("text", ""), str(recording.speaker)
    make = partial(_noisy, recording, others, number, ratios, noises)
    return Scene(recording.name, key_of("noisy", content, number, *ratios), (speaker,), (text,), make)


def _noisy(
    recording: Recording,
    others: Sequence[Recording],
    number: int,
    ratios: tuple[float, float],
    noises: Sequence[Recording],
) -> Sounds:
    random = np.random.default_rng([number, 1])
    wanted, rate = mono(recording.path)
    kinds = [kind for kind in NOISES if kind != "babble" or others] + (["recorded"] if noises else [])
    kind = kinds[number % len(kinds)]
    if kind == "coloured":
        other = coloured(wanted.size, rate, random.uniform(0, 2), random)
    elif kind == "machine":
        other = machine(wanted.size, rate, random)
    else:
        pool, count = (others, _BABBLERS) if kind == "babble" else (noises, 1)
        chosen = random.choice(len(pool), min(count, len(pool)), replace=False)
        other = babble([mono(pool[one].path, rate)[0] for one in chosen], wanted.size, random)
    return _within(mixed_at(wanted, other, random.uniform(*ratios)), (wanted,), rate)


def together(first: Recording, second: Recording, content: str, *, number: int) -> Scene:
    """Return two speakers at once, as loud as each other but for 5 dB at most, as long as the shorter of them.

    Args:
        first: one recording.
        second: the other, by another speaker.
        content: of both.
        number: of the scene, from which all that is drawn follows.
    """
    return Scene(
        f"{first.name} and {second.name}",
        key_of("together", content, number),
        (str(first.speaker), str(second.speaker)),
        ("", ""),
        partial(_together, first, second, number),
    )


def _together(first: Recording, second: Recording, number: int) -> Sounds:
    random = np.random.default_rng([number, 2])
    one, rate = mono(first.path)
    other, _ = mono(second.path, rate)
    size = min(one.size, other.size)
    gain = 10 ** (random.uniform(-2.5, 2.5) / 20)
    one, other = (of_power_one(part[:size]) * LOUDNESS for part in (one, other))
    wanted = (np.asarray(one * gain, dtype=np.float32), np.asarray(other / gain, dtype=np.float32))
    return _within(wanted[0] + wanted[1], wanted, rate)


def given(
    heard: Recording, wanted: Sequence[Path], content: str, speakers: Sequence[str], texts: Sequence[str]
) -> Scene:
    """Return a mixture that is a recording, with recordings of what is wanted of it."""
    return Scene(heard.name, key_of("given", content), tuple(speakers), tuple(texts), partial(_given, heard, wanted))


def _given(heard: Recording, wanted: Sequence[Path]) -> Sounds:
    mixture, rate = mono(heard.path)
    found = [mono(path, rate)[0] for path in wanted]
    size = min([mixture.size, *(one.size for one in found)])
    return Sounds(mixture[:size], tuple(one[:size] for one in found), rate)


def said(prompts: Sequence[Recording], spoken: Sequence[Recording], content: str, *, number: int) -> Scene:
    """Return recordings one after the other, to be said in the voice of prompts, which are what is heard.

    Args:
        prompts: other recordings of the speaker.
        spoken: what is said, with a short pause between them.
        content: of all.
        number: of the scene, from which the pauses follow.
    """
    text = " ".join(one.facts.get("text", "") for one in spoken)
    key = key_of("said", content, number)
    return Scene(text, key, (str(spoken[0].speaker),), (text,), partial(_said, prompts, spoken, number))


def _said(prompts: Sequence[Recording], spoken: Sequence[Recording], number: int) -> Sounds:
    random = np.random.default_rng([number, 3])
    heard = [mono(one.path)[0] for one in prompts]
    parts, rate = [], mono(prompts[0].path)[1]
    for place, one in enumerate(spoken):
        if place:
            parts.append(np.zeros(int(random.uniform(*_GAP_SECONDS) * rate), dtype=np.float32))
        parts.append(mono(one.path, rate)[0])
    return Sounds(np.concatenate(heard), (np.concatenate(parts),), rate)


def mono(path: Path, rate: int | None = None) -> tuple[Array, int]:
    """Return the samples `[S]` of a file, of one channel, at a rate or its own."""
    samples, own = read_audio(path)
    wave = to_channels(samples[None], 1)[0][0, 0]
    if rate is not None and rate != own:
        wave = resample(wave, own, rate)
    found: Array = wave.numpy().astype(np.float32)
    return found, rate or own


def _within(heard: Array, wanted: tuple[Array, ...], rate: int) -> Sounds:
    """Return sounds, all made quieter together if the mixture would be clipped."""
    gain = np.float32(min(1.0, 0.99 / max(float(np.abs(heard).max()), 1e-9)))
    return Sounds(
        np.asarray(heard * gain, dtype=np.float32),
        tuple(np.asarray(one * gain, dtype=np.float32) for one in wanted),
        rate,
    )
