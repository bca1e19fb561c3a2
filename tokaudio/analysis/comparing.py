"""Comparing two or more tokenizers on the same audio.

found = compare([one, other], "manifest.jsonl")
found.sentences(), found.to_json(), found.to_html()
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, combinations
from typing import Any

import numpy as np

from tokaudio.analysis.codebook_report import Report
from tokaudio.analysis.codes.code_streams import recordings_of
from tokaudio.analysis.codes.token_association import TokenAssociation, side_by_side, token_association
from tokaudio.analysis.comparison import Comparison
from tokaudio.analysis.frames.sampling import FrameSample
from tokaudio.analysis.reporting import Listener, report
from tokaudio.analysis.sound_measures import SECONDS
from tokaudio.analysis.sounds import Clip, Sound, sounds_of
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio import as_audio
from tokaudio.errors import TokaudioError
from tokaudio.spec import TokenizerSpec
from tokaudio.tokenizers.base import Tokenizer

PAIRED_SECONDS = 600.0
"""Of audio that is encoded once more by each tokenizer, to put codes side by side."""
MOST_PAIRED = 4
"""Codebooks of each tokenizer that are compared with those of the others: the first ones."""
_FRAMES = 100_000


def compare(
    tokenizers: Sequence[Tokenizer],
    audio: Any,
    *,
    labels: Any = None,
    sample_rate: int | None = None,
    max_minutes: float | None = None,
    intervention_seconds: float = SECONDS,
    paired_seconds: float = PAIRED_SECONDS,
    seed: int = 0,
    listener: Listener | None = None,
) -> Comparison:
    """Measure tokenizers on the same audio.

    Args:
        tokenizers: two or more.
        audio: as for `report`.
        labels: as for `report`.
        sample_rate: of samples, in Hz.
        max_minutes: of audio, drawn by the seed; None for all.
        intervention_seconds: as for `report`.
        paired_seconds: of audio that codes are put side by side in.
        seed: of everything random.
        listener: hears how it goes on, for one tokenizer after the other.

    Raises:
        AnalysisError: if there are fewer than two, or as for `report`.

    Example:
        >>> import torch
        >>> one, other = (Tokenizer.from_pretrained(name) for name in ("mini-codec", "mini-semantic"))
        >>> sweep = torch.sin(torch.linspace(0, 200, 48_000) ** 2 / 10) * torch.linspace(0, 0.5, 48_000)
        >>> found = compare([one, other], sweep, sample_rate=16_000, intervention_seconds=0)
        >>> found.names, len(found.associations)
        (('mini-codec', 'mini-semantic'), 8)
    """
    if len(tokenizers) < 2:
        raise AnalysisError(f"{len(tokenizers)} tokenizers; give two or more")
    sounds = list(sounds_of(audio, sample_rate))
    found = [
        report(
            one,
            sounds,
            labels,
            max_minutes=max_minutes,
            intervention_seconds=intervention_seconds,
            seed=seed,
            listener=listener,
        )
        for one in tokenizers
    ]
    names = _names([one.spec.name for one in tokenizers])
    associations: list[TokenAssociation] = []
    seconds = min(paired_seconds, 60 * max_minutes if max_minutes is not None else paired_seconds)
    for first, second in combinations(range(len(tokenizers)), 2):
        pair = tokenizers[first], tokenizers[second]
        associations += _associations(pair, (names[first], names[second]), sounds, seconds, seed)
    return Comparison(
        tuple(found), names, tuple(_bitrates(one.spec) for one in tokenizers), tuple(associations), _notes(found)
    )


def _associations(
    pair: tuple[Tokenizer, Tokenizer], names: tuple[str, str], sounds: Sequence[Sound], seconds: float, seed: int
) -> list[TokenAssociation]:
    """Return what the first codebooks of two tokenizers say about each other, on recordings in the order of reports."""
    sample = FrameSample(_FRAMES, seed=seed)
    heard = 0.0
    one, other = pair
    for number in np.random.default_rng(seed).permutation(len(sounds)):
        if heard >= seconds:
            break
        try:
            rows = [_codes(tokenizer, sounds[number]) for tokenizer in pair]
        except TokaudioError:
            continue
        heard += rows[0].shape[1] / float(one.spec.frame_rate)
        sample.add(side_by_side(rows[0], one.spec, rows[1], other.spec), {})
    if not sample.seen:
        return []
    codes = sample.finish().codes
    count = one.spec.num_codebooks
    return [
        token_association(
            codes[mine], codes[count + theirs], first=(names[0], mine), second=(names[1], theirs), seed=seed
        )
        for mine in range(min(MOST_PAIRED, count))
        for theirs in range(min(MOST_PAIRED, other.spec.num_codebooks))
    ]


def _codes(tokenizer: Tokenizer, sound: Sound) -> np.ndarray[Any, Any]:
    if isinstance(sound, Clip):
        tokens = tokenizer.encode(as_audio(sound.samples).samples, sound.sample_rate)
    else:
        tokens = tokenizer.encode(sound.path)
    return next(recordings_of(tokens))


def _bitrates(spec: TokenizerSpec) -> tuple[float, ...]:
    return tuple(accumulate(float(spec.frame_rate) * book.bits / book.stride for book in spec.codebooks))


def _names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names, with a number behind those that occur more than once."""
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"{name} ({number})" if names.count(name) > 1 else name for number, name in enumerate(names, start=1))


def _notes(found: Sequence[Report]) -> tuple[str, ...]:
    notes = [
        "Frames of different lengths are asked about different stretches of sound: shares of tokenizers with different "
        "frame rates are of different amounts of what there is to know."
    ]
    rates = {one.tokenizer["frame_rate"] for one in found}
    counts = {one.facts["recordings"] for one in found}
    failed = "Not every tokenizer could read every recording: their reports are of different audio."
    return (*(notes if len(rates) > 1 else ()), *((failed,) if len(counts) > 1 else ()))
