"""Clips of four kinds of sound that are in no training set of a shipped tokenizer: speech, music, other sounds.

Debian packages, fetched on first use: prompts of Asterisk (Spanish, French), `fretsonfire-songs-sectoid` (four songs,
the guitar apart from the rest of the band), `sonic-pi-samples` (drums, loops, ambience; the name begins with the kind).
English speech is the `eval` split of the voices set. Everything is 16 kHz mono.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import evaluation_sets
import numpy as np
import torch
from torch import Tensor

from tokaudio.training.recipes.speech_pool import decode_g722, fetch_packages, read_16k

RATE = 16_000
KINDS = ("English speech", "Spanish and French speech", "music", "other sounds")
# So that a piece of a song, or a sample, is neither too short to be heard nor silent.
LEAST_SECONDS, QUIET = 0.25, 1e-3


@dataclass(frozen=True)
class Sound:
    """A clip `[S]`, what it is, and what it was taken from."""

    samples: Tensor
    label: str
    source: str


def clips(work: Path, voices: Path, limit: int) -> dict[str, list[Tensor]]:
    """Return so many clips of each kind, of 1.5 to 9 seconds, spread evenly over what there is."""
    prompts = [sound for language in ("es", "fr") for sound in _prompts(work, language)]
    spoken = [torch.from_numpy(clip.audio) for clip in evaluation_sets.load_voices(voices) if clip.task == "read"]
    songs = [sound.samples for sound in pieces(work, seconds=4.0) if sound.label == "band"]
    samples = [sound.samples for sound in samples_by_kind(work)]
    found = dict(zip(KINDS, (spoken, prompts, songs, samples), strict=True))
    return {
        kind: evaluation_sets.every_nth([one for one in all_of if _fits(one)], limit) for kind, all_of in found.items()
    }


def _fits(samples: Tensor) -> bool:
    return 1.5 * RATE <= len(samples) <= 9 * RATE and _heard(samples)


def _heard(samples: Tensor) -> bool:
    return len(samples) >= LEAST_SECONDS * RATE and float(samples.square().mean().sqrt()) > QUIET


def _prompts(work: Path, language: str) -> Iterator[Tensor]:
    (root,) = fetch_packages(work, (f"asterisk-core-sounds-{language}-g722",))
    for path in sorted(root.rglob("*.g722"))[::4]:
        if "silence" not in path.parts:
            yield torch.from_numpy(decode_g722(path))


def pieces(work: Path, *, seconds: float) -> list[Sound]:
    """Return pieces of the four songs, the guitar (`guitar`) and all the rest (`band`); silent ones are left out."""
    (root,) = fetch_packages(work, ("fretsonfire-songs-sectoid",))
    found = []
    for path in sorted(root.rglob("*.ogg")):
        label = {"guitar": "guitar", "song": "band"}[path.stem]
        for piece in torch.from_numpy(read_16k(path)).split(round(seconds * RATE)):
            if len(piece) == round(seconds * RATE) and _heard(piece):
                found.append(Sound(piece, label, path.parent.name))
    return found


def samples_by_kind(work: Path, *, least: int = 8) -> list[Sound]:
    """Return the samples of Sonic Pi whose kind has so many; of sets by one artist the name says no kind.

    Example:
        >>> kind_of("drum_tom_hi_soft.flac")
        'drum'
    """
    (root,) = fetch_packages(work, ("sonic-pi-samples",))
    sounds = [
        Sound(torch.from_numpy(read_16k(path)), kind_of(path.name), path.stem)
        for path in sorted(root.rglob("samples/*.flac"))
    ]
    heard = [sound for sound in sounds if _heard(sound.samples) and sound.label != "mehackit"]
    labels = np.array([sound.label for sound in heard])
    return [sound for sound in heard if (labels == sound.label).sum() >= least]


def kind_of(name: str) -> str:
    """Return what the name of a sample begins with."""
    return name.partition("_")[0]
