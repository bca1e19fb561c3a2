"""Making the codebook report of a tokenizer: from sound, with or without labels, or from saved tokens alone.

    report(tokenizer, "manifest.jsonl", labels="alignments/").sentences()
    report_tokens(["a.npz", "corpus/"]).sections["usage"]

Recordings are taken one at a time, in random order; what is kept of them does not grow with their number.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tokaudio.analysis.annotated.annotations import Annotation, Annotations, facts_of, read_annotations
from tokaudio.analysis.codebook_report import Report
from tokaudio.analysis.codes.code_streams import recordings_of
from tokaudio.analysis.decoding.swap_pairs import SwapMeter
from tokaudio.analysis.frames.observing import Heard, hear
from tokaudio.analysis.frames.sampling import LIMIT
from tokaudio.analysis.report_builder import ReportBuilder
from tokaudio.analysis.saved_tokens import saved_tokens
from tokaudio.analysis.sound_measures import SECONDS, SoundMeasures
from tokaudio.analysis.sounds import Clip, Sound, sounds_of
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio import AudioReader, as_audio
from tokaudio.audio.manifest import Recording
from tokaudio.errors import TokaudioError
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokens import Tokens

_FEW_FRAMES = 20


class Listener:
    """Hears how a report goes on; this one does nothing."""

    def read(self, name: str, seconds: float, error: TokaudioError | None) -> None:
        """A recording was read, or could not be."""

    def unlabelled(self, name: str, error: TokaudioError) -> None:
        """The labels of a recording could not be used."""

    def measured(self, done: int, total: int) -> None:
        """So many codebooks of all are done; none at the start."""


def report(
    tokenizer: Tokenizer,
    audio: Any,
    labels: Annotations | str | os.PathLike[str] | None = None,
    *,
    sample_rate: int | None = None,
    max_minutes: float | None = None,
    intervention_seconds: float = SECONDS,
    swaps: SwapMeter | None = None,
    limit: int = LIMIT,
    seed: int = 0,
    listener: Listener | None = None,
) -> Report:
    """Encode sound and measure what the codes say about it.

    Args:
        tokenizer: whose codes are meant; it need not decode.
        audio: a path, a manifest, a `Recording`, samples `[S]` or `[C, S]`, or a list of any of these; recordings that
            cannot be read are left out and counted.
        labels: what is known about the recordings, or where it is written (see `read_annotations`); columns speaker,
            language and emotion of a manifest of audio count without it.
        sample_rate: of samples, in Hz.
        max_minutes: of audio, drawn by the seed; None for all.
        intervention_seconds: of it that are decoded and encoded again and again, for ablation and robustness; 0 leaves
            both out, and the sound of codes that are held on.
        swaps: swaps codebooks between recordings and has judges listen; None to leave that out.
        limit: frames that information is computed from at most.
        seed: of everything random.
        listener: hears how it goes on.

    Raises:
        AnalysisError: if nothing can be read, labels cannot, or they are of other recordings.
        AudioError: if a manifest cannot be read.

    Example:
        >>> import torch
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> sweep = torch.sin(torch.linspace(0, 200, 48_000) ** 2 / 10) * torch.linspace(0, 0.5, 48_000)
        >>> found = report(codec, sweep, sample_rate=16_000, intervention_seconds=0)
        >>> len(found.roles), found.facts["frames"]
        (8, 150)
    """
    hears = listener or Listener()
    sounds = list(sounds_of(audio, sample_rate))
    made = _SoundReport(
        ReportBuilder(tokenizer.spec, fingerprint=tokenizer.fingerprint, limit=limit, seed=seed),
        SoundMeasures(tokenizer, seconds=intervention_seconds, seed=seed, swaps=swaps),
        _annotations(labels),
        hears,
    )
    made.require_labels(sounds)
    for number in np.random.default_rng(seed).permutation(len(sounds)):
        if max_minutes is not None and made.seconds >= 60 * max_minutes:
            break
        made.add(tokenizer, sounds[number])
    _require_frames(made.builder, len(sounds))
    hears.measured(0, tokenizer.spec.num_codebooks)
    return made.finish(tokenizer)


@dataclasses.dataclass
class _SoundReport:
    """A report of sound that grows by one recording after the other.

    Attributes:
        builder: takes codes, and what is known of their frames.
        measures: take the sound itself.
        known: labels.
        hears: how it goes on.
        seconds: of sound so far.
    """

    builder: ReportBuilder
    measures: SoundMeasures
    known: Annotations
    hears: Listener
    seconds: float = 0.0

    def require_labels(self, sounds: Sequence[Sound]) -> None:
        """Refuse labels of other recordings, before any work is done."""
        recordings = [_recording(sound) for sound in sounds]
        if len(self.known) and recordings and not any(recording in self.known for recording in recordings):
            others = f" and {len(recordings) - 1} others" if len(recordings) > 1 else ""
            problem = f"the labels are of other recordings than {recordings[0].name!r}{others}"
            raise AnalysisError(f"{problem}; name labels and recordings alike")

    def add(self, tokenizer: Tokenizer, sound: Sound) -> None:
        """Encode one recording and take it in; one that cannot be read is counted."""
        name = sound.name if isinstance(sound, Clip) else str(sound.path)
        try:
            tokens, heard = _encoded(tokenizer, sound)
        except TokaudioError as error:
            self.builder.failed += 1
            self.hears.read(name, 0.0, error)
            return
        self.seconds += heard.seconds
        told = _known(self.known, _recording(sound), heard.seconds, self.builder, self.hears)
        columns = self.builder.add(tokens, heard, told)
        self.measures.add(
            sound,
            next(recordings_of(tokens)),
            pitch=2.0 ** columns["pitch"],
            phones=columns.get("phone"),
            speaker=told.facts.get("speaker"),
        )
        self.hears.read(name, heard.seconds, None)

    def finish(self, tokenizer: Tokenizer) -> Report:
        """Return the report."""
        sections, notes = self.measures.finish(self.builder.phone_names)
        vectors = tokenizer.codebooks()
        found = self.builder.finish(self.hears.measured, vectors=vectors, sections=sections, notes=notes)
        return dataclasses.replace(found, held=self.measures.held)


def report_tokens(
    tokens: Iterable[Tokens | str | os.PathLike[str]],
    labels: Annotations | str | os.PathLike[str] | None = None,
    *,
    limit: int = LIMIT,
    seed: int = 0,
    listener: Listener | None = None,
) -> Report:
    """Measure what saved tokens say, without their sound.

    Args:
        tokens: of one tokenizer; or token files, shards, and folders of either (see `token_files`).
        labels: as for `report`, found by the names of the files; columns speaker, language and emotion of a dataset
            count without it.
        limit: frames that information is computed from at most.
        seed: of everything random.
        listener: hears how it goes on.

    Raises:
        AnalysisError: if there is nothing to read.
        TokensError: if tokens are of different tokenizers.

    Example:
        >>> import torch
        >>> codec = Tokenizer.from_pretrained("mini-codec")
        >>> found = report_tokens([codec.encode(torch.randn(16_000) / 10)])
        >>> found.facts["frames"], found.roles
        (50, ())
    """
    known = _annotations(labels)
    hears = listener or Listener()
    builder: ReportBuilder | None = None
    count = failed = 0
    for one in saved_tokens(tokens):
        count += 1
        name = one.recording.name
        if one.tokens is None:
            failed += 1
            hears.read(name, 0.0, one.error)
            continue
        if builder is None:
            builder = ReportBuilder(one.tokens.spec, fingerprint=one.tokens.fingerprint, limit=limit, seed=seed)
        seconds = int(one.tokens.num_samples[0]) / one.tokens.spec.sample_rate
        builder.add(one.tokens, None, _known(known, one.recording, seconds, builder, hears))
        hears.read(name, seconds, None)
    if builder is None:
        raise AnalysisError(f"none of {count} token files can be read; give tokens")
    builder.failed = failed
    _require_frames(builder, count)
    hears.measured(0, builder.spec.num_codebooks)
    return builder.finish(hears.measured)


def _require_frames(builder: ReportBuilder, given: int) -> None:
    if builder.frames < _FEW_FRAMES:
        problem = f"{given} recordings were given and {builder.failed} of them could not be read"
        raise AnalysisError(f"there are {builder.frames} frames: {problem}; give more audio")


def _annotations(labels: Annotations | str | os.PathLike[str] | None) -> Annotations:
    if labels is None:
        return Annotations()
    return labels if isinstance(labels, Annotations) else read_annotations(labels)


def _recording(sound: Sound) -> Recording:
    return sound.recording if isinstance(sound, Clip) else sound


def _encoded(tokenizer: Tokenizer, sound: Sound) -> tuple[Tokens, Heard]:
    if isinstance(sound, Clip):
        samples = as_audio(sound.samples).samples
        return tokenizer.encode(samples, sound.sample_rate), hear([samples], sound.sample_rate, tokenizer.spec)
    tokens = tokenizer.encode(sound.path)
    with AudioReader(sound.path) as reader:
        return tokens, hear(reader.blocks(), reader.sample_rate, tokenizer.spec)


def _known(
    known: Annotations, recording: Recording, seconds: float, builder: ReportBuilder, listener: Listener
) -> Annotation:
    """Return what is known about a recording; labels that do not fit it are counted, and the listener hears of them."""
    builder.unlabelled += bool(len(known)) and recording not in known
    try:
        found = known.of(recording)
        found.check(seconds)
    except AnalysisError as error:
        builder.unlabelled += 1
        listener.unlabelled(str(recording.path), error)
        return Annotation(facts=facts_of(recording.facts))
    return found
