"""Sound that is heard in a page: places where a code occurs, as one short clip, and codes that are held on.

clips = example_clips(document["sections"]["prototypes"], sounds)
clips[0, 493]  # "data:audio/flac;base64,..."
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tokaudio.analysis.single_codes.held_codes import HeldCodes
from tokaudio.analysis.sounds import Clip, Sound, sounds_of
from tokaudio.audio import AudioReader, as_audio, resample
from tokaudio.errors import TokaudioError

RATE = 16_000
"""Of clips, in Hz: what a page has room for."""
MOST_CLIPS = 64
MOST_BYTES = 1_400_000
"""Of all clips of a page that are examples."""
MOST_HELD_BYTES = 900_000
"""Of all codes that are held on."""
_AROUND, _LONGEST, _PAUSE, _FADE = 0.12, 0.6, 0.15, 0.01

Samples = NDArray[np.float32]


def clips_per_codebook(codebooks: int) -> int:
    """Return of how many codes of each codebook a page plays examples.

    Example:
        >>> clips_per_codebook(8), clips_per_codebook(1), clips_per_codebook(100)
        (8, 12, 0)
    """
    return min(12, MOST_CLIPS // max(1, codebooks))


def sounds_by_name(audio: Any, sample_rate: int | None = None) -> dict[str, Sound]:
    """Return sounds by the names that a report has for them; those that share a name are left out.

    Args:
        audio: as for `sounds_of`.
        sample_rate: of samples, in Hz.

    Raises:
        AnalysisError: if the audio is of no known kind.
        AudioError: if a manifest cannot be read.

    Example:
        >>> list(sounds_by_name(["a.wav", "b.wav", "other/b.wav"]))
        ['a.wav']
    """
    sounds = list(sounds_of(audio, sample_rate))
    times = Counter(sound.name for sound in sounds)
    return {sound.name: sound for sound in sounds if times[sound.name] == 1}


def example_clips(prototypes: Mapping[str, Any], sounds: Mapping[str, Sound]) -> dict[tuple[int, int], str]:
    """Return a clip of the examples of frequent codes, as addresses that hold the sound.

    Codes are heard with 0.12 s around them: most last no longer than a frame. Recordings that are not there any more
    are left out, and so is what a page has no room for.

    Args:
        prototypes: plain values of the section of a report.
        sounds: recordings by name.

    Returns:
        Clips by codebook and code.

    Example:
        >>> tone = np.sin(np.arange(16_000) / 5).astype(np.float32)
        >>> place = {"recording": "tone", "start": 0.4, "stop": 0.42}
        >>> books = {"codebooks": [[{"codebook": 0, "code": 7, "examples": [place]}]]}
        >>> clips = example_clips(books, {"tone": Clip(tone, 16_000, "tone")})
        >>> list(clips), clips[0, 7][:23]
        ([(0, 7)], 'data:audio/flac;base64,')
    """
    found: dict[tuple[int, int], str] = {}
    room = MOST_BYTES
    most = clips_per_codebook(len(prototypes["codebooks"]))
    for rank in range(most):
        for book in prototypes["codebooks"]:
            if rank >= len(book):
                continue
            parts = list(_parts(book[rank]["examples"], sounds))
            if not parts:
                continue
            clip = _address(_joined(parts))
            room -= len(clip)
            if room < 0:
                return found
            found[book[rank]["codebook"], book[rank]["code"]] = clip
    return found


def held_clips(held: HeldCodes) -> dict[tuple[int, int], str]:
    """Return codes that are held on, as addresses that hold the sound; what a page has no room for is left out.

    Returns:
        Clips by codebook and code.

    Example:
        >>> tone = np.sin(np.arange(8_000) / 5).astype(np.float32)
        >>> held_clips(HeldCodes({(0, 7): tone}, 16_000))[0, 7][:23]
        'data:audio/flac;base64,'
    """
    found: dict[tuple[int, int], str] = {}
    room = MOST_HELD_BYTES
    for place, sound in held.sounds.items():
        samples = resample(torch.from_numpy(sound), held.sample_rate, RATE).numpy()
        clip = _address(_joined([samples]))
        room -= len(clip)
        if room >= 0:
            found[place] = clip
    return found


def _parts(examples: list[dict[str, Any]], sounds: Mapping[str, Sound]) -> Iterator[Samples]:
    for one in examples:
        sound = sounds.get(one["recording"])
        if sound is None:
            continue
        start = max(0.0, one["start"] - _AROUND)
        try:
            part = _cut(sound, start, min(one["stop"] + _AROUND, start + _LONGEST))
        except TokaudioError:
            continue
        if len(part) > 2 * _FADE * RATE:
            yield part


def _cut(sound: Sound, start: float, stop: float) -> Samples:
    if isinstance(sound, Clip):
        samples, rate = as_audio(sound.samples).samples[0].detach().cpu().float().numpy(), sound.sample_rate
        part = samples[:, round(start * rate) : round(stop * rate)]
    else:
        with AudioReader(sound.path) as reader:
            rate = reader.sample_rate
            part = _between(reader, round(start * rate), round(stop * rate))
    mono = np.ascontiguousarray(part.mean(0, keepdims=True), dtype=np.float32)
    resampled: Samples = resample(torch.from_numpy(mono), rate, RATE)[0].numpy()
    return resampled


def _between(reader: AudioReader, start: int, stop: int) -> Samples:
    """Return samples `[C, n]` of a file, read from its beginning, for not every format can be entered anywhere."""
    kept, at = [], 0
    for block in reader.blocks():
        kept.append(np.asarray(block)[:, max(0, start - at) : max(0, stop - at)])
        at += block.shape[1]
        if at >= stop:
            break
    return np.concatenate(kept, axis=1) if kept else np.zeros((1, 0), np.float32)


def _joined(parts: list[Samples]) -> Samples:
    """Return parts one after the other, faded in and out, as loud as they were."""
    fade = np.linspace(0.0, 1.0, round(_FADE * RATE), dtype=np.float32)
    pieces = []
    for part in parts:
        own = part.copy()
        own[: len(fade)] *= fade
        own[-len(fade) :] *= fade[::-1]
        pieces += [own, np.zeros(round(_PAUSE * RATE), np.float32)]
    return np.concatenate(pieces[:-1])


def _address(samples: Samples) -> str:
    import soundfile

    held = io.BytesIO()
    soundfile.write(held, np.clip(samples, -1.0, 1.0), RATE, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(held.getvalue()).decode()}"
