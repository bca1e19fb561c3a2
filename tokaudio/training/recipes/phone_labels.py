"""The phones of the training speech of `mini-semantic`: from the labels of festvox-ru, and from a recogniser.

Two kinds, each with phones of its own: the sentences of festvox-ru come with phone times; in the synthetic English
voices, the package `hama` (Apache-2.0) says what it hears. Its mistakes and habits are learned too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor

from tokaudio.analysis.annotated.labels import Vocabulary, find_labs, frame_centres, read_lab
from tokaudio.atomic import atomic_stream
from tokaudio.training.pool import AudioPool
from tokaudio.training.recipes.speech_pool import SAMPLE_RATE, fetch_packages
from tokaudio.training.teacher import frame_starts

SILENCE = "pau"
# Words on their own say little about what surrounds a phone.
VOICES = ("voices-read", "voices-intent")
# A frame whose level lies so far below the peak of its clip is a pause, whatever a recogniser says.
_PAUSE = 0.01


def heard_phones(hop_length: int) -> Callable[[Tensor], list[str]]:
    """Return what names the phone of each frame of samples `[S]`, as far as the recogniser hama knows them."""
    from hama.asr import ASRModel

    recogniser = ASRModel()

    def names(samples: Tensor) -> list[str]:
        count = len(samples) // hop_length
        found = [SILENCE] * count
        for span in recogniser.phoneme_spans(recogniser(samples.numpy(), SAMPLE_RATE)):
            for frame in range(span.start_frame, min(span.end_frame, count)):
                found[frame] = span.phoneme
        level = samples[: count * hop_length].unflatten(0, (count, hop_length)).square().mean(1).sqrt()
        quiet = (level < _PAUSE * samples.abs().max()).tolist()
        return [SILENCE if pause else name for name, pause in zip(found, quiet, strict=True)]

    return names


def write_labels(pool: AudioPool, work: Path, hop_length: int) -> dict[str, int]:
    """Write the phones of all frames of a pool, a column per kind `[N, 2]`, as `labels.npy`.

    Returns:
        how many frames have a label, by kind.
    """
    (root,) = fetch_packages(work / "downloads", ("festvox-ru",))
    labs, hear = find_labs(root), heard_phones(hop_length)
    starts = frame_starts(pool, hop_length)
    labels = np.full((starts[-1], 2), -1, np.int16)
    read, heard = Vocabulary(), Vocabulary()
    for number, clip in enumerate(pool.clips):
        rows = slice(starts[number], starts[number + 1])
        if clip.source == "festvox-ru":
            centres = frame_centres(starts[number + 1] - starts[number], SAMPLE_RATE / hop_length)
            labels[rows, 0] = read.numbers(read_lab(labs[Path(clip.id).stem]).names_at(centres))
        elif clip.source in VOICES and clip.length >= hop_length:
            names = heard.numbers(hear(pool.read(clip)))
            labels[rows, 1][: len(names)] = names
    with atomic_stream(work / "labels.npy", overwrite=True) as file:
        np.save(file, labels)
    return {"festvox-ru": int((labels[:, 0] >= 0).sum()), "voices": int((labels[:, 1] >= 0).sum())}
