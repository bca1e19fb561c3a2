"""Hidden states of many recordings on disk, frame by frame beside what is known about each: what a layer study reads.

Recordings come in random order, and every fourth is kept from clustering, to be measured. Features of all layers of a
frame stand side by side in its row. Long recordings are taken in pieces of 40 s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.analysis.annotated.labels import Segments, Vocabulary, frame_centres, read_lab
from tokaudio.analysis.frames.attributes import energy, mfcc, pitch
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio import read_audio, resample, to_channels
from tokaudio.audio.manifest import Recording
from tokaudio.errors import AudioError, TokaudioError, one_line
from tokaudio.nn.determinism import exact_inference
from tokaudio.tokenizers.backbones import Backbone
from tokaudio.training.frames import FrameLog, Frames, FramesInMemory

SAMPLE_RATE = 16_000
HELD_OUT = 4
"""One recording in so many is kept from clustering."""
_PIECE_SECONDS = 40


class Listener:
    """Hears how a study goes on; this one does nothing."""

    def read(self, recording: Recording, seconds: float, error: TokaudioError | None) -> None:
        """A recording was read, or could not be."""

    def unlabelled(self, recording: Recording, error: TokaudioError) -> None:
        """The labels of a recording could not be used."""

    def clustered(self, done: int, total: int) -> None:
        """So many clusterings of all are done; none at the start."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Features and labels of all frames.

    Attributes:
        layers: numbers of the layers, in the order of their columns.
        width: D, columns of one layer.
        training: features to cluster, `[N, len(layers) * D]`.
        held_out: features to measure.
        cepstra: MFCC of the frames to cluster, and of those to measure.
        labels: of the frames to measure `[N]`, by attribute: integers, -1 for none (phone, speaker), or values, NaN
            for none (pitch, energy).
        recordings: how many were used.
        measured: how many of them to measure.
        seconds: of audio in all.
        failed: recordings that could not be read.
        unlabelled: recordings without labels of phones.
    """

    layers: tuple[int, ...]
    width: int
    training: Frames
    held_out: Frames
    cepstra: tuple[Frames, Frames]
    labels: Mapping[str, NDArray[Any]]
    recordings: int
    measured: int
    seconds: float
    failed: int
    unlabelled: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of one recording: samples, states of all layers `[T, L * D]`, and where it begins, in seconds."""

    wave: NDArray[np.float64]
    states: Tensor
    start: float


@dataclass(slots=True)
class _Side:
    """What was gathered of the frames to cluster, or of those to measure."""

    log: FrameLog
    cepstra: list[Tensor] = field(default_factory=list)
    labels: dict[str, list[NDArray[Any]]] = field(default_factory=dict)
    recordings: int = 0

    def frames_and_cepstra(self) -> tuple[Frames, Frames]:
        return self.log.finish(), FramesInMemory(torch.cat(self.cepstra))


def gather(
    recordings: Sequence[Recording],
    backbone: Backbone,
    folder: Path,
    *,
    layers: Sequence[int],
    labs: Mapping[str, Path] | None = None,
    max_minutes: float = 30.0,
    seed: int = 0,
    device: torch.device | str = "cpu",
    listener: Listener | None = None,
) -> Gathered:
    """Compute the features of recordings, and what is known about each frame.

    Args:
        recordings: of which as many are read as `max_minutes` allow.
        backbone: whose hidden states are computed.
        folder: where features are written, 2 bytes per number.
        layers: numbers of layers.
        labs: `.lab` files, by the name of their recording without its suffix.
        max_minutes: of audio; the last recording is read whole.
        seed: of the order.
        device: where the backbone is.
        listener: hears how it goes on.

    Raises:
        AnalysisError: if fewer than two recordings can be used, or features are too large for float16.
        OutputError: if the disk takes no more.
    """
    work = _Gathering(
        backbone, folder, tuple(layers), labs=labs or {}, device=torch.device(device), listener=listener or Listener()
    )
    for number in np.random.default_rng(seed).permutation(len(recordings)):
        if work.seconds >= 60 * max_minutes:
            break
        work.add(recordings[number])
    used = sum(side.recordings for side in work.sides)
    if used < 2:
        count = f"{used} of {len(recordings)} recordings can be used"
        raise AnalysisError(f"{count}; give two at least: what is measured is never clustered")
    return work.gathered()


class _Gathering:
    """What is gathered, recording by recording."""

    def __init__(
        self,
        backbone: Backbone,
        folder: Path,
        layers: tuple[int, ...],
        *,
        labs: Mapping[str, Path],
        device: torch.device,
        listener: Listener,
    ) -> None:
        self._backbone, self._layers, self._device = backbone, layers, device
        self._labs, self._listener = labs, listener
        self._rate = Fraction(SAMPLE_RATE, backbone.sizes.hop_length)
        self._numbered = {"phone": Vocabulary(), "speaker": Vocabulary()}
        self.sides = [_Side(_log(folder / name, backbone, layers)) for name in ("training", "held-out")]
        self.seconds = 0.0
        self.failed = self.unlabelled = 0

    def add(self, recording: Recording) -> None:
        """Take a recording; one that cannot be read is counted."""
        try:
            wave = _wave(recording, self._backbone)
        except TokaudioError as error:
            self.failed += 1
            self._listener.read(recording, 0.0, error)
            return
        seconds = len(wave) / SAMPLE_RATE
        segments = _segments(recording, seconds, self._labs, self._listener)
        self.unlabelled += segments is None
        # The second, the sixth and so on: of two recordings there is one on either side.
        measured = sum(side.recordings for side in self.sides) % HELD_OUT == 1
        side = self.sides[measured]
        for piece in _pieces(wave, recording, self._backbone, self._layers, self._device):
            side.log.append(piece.states)
            side.cepstra.append(torch.from_numpy(mfcc(piece.wave, SAMPLE_RATE, len(piece.states), self._rate)))
            labels = _labels(piece, self._rate, recording, segments, self._numbered) if measured else {}
            for name, values in labels.items():
                side.labels.setdefault(name, []).append(values)
        side.recordings += 1
        self.seconds += seconds
        self._listener.read(recording, seconds, None)

    def gathered(self) -> Gathered:
        """Return all of it."""
        (training, to_cluster), (held_out, to_measure) = (side.frames_and_cepstra() for side in self.sides)
        return Gathered(
            self._layers,
            self._backbone.sizes.width,
            training,
            held_out,
            (to_cluster, to_measure),
            {name: np.concatenate(parts) for name, parts in self.sides[1].labels.items()},
            recordings=sum(side.recordings for side in self.sides),
            measured=self.sides[1].recordings,
            seconds=self.seconds,
            failed=self.failed,
            unlabelled=self.unlabelled,
        )


def _log(folder: Path, backbone: Backbone, layers: Sequence[int]) -> FrameLog:
    folder.mkdir(parents=True)
    return FrameLog(folder, backbone.sizes.width * len(layers), torch.float16)


def _wave(recording: Recording, backbone: Backbone) -> Tensor:
    """Return the samples `[S]` of a recording, as the backbone takes them.

    Raises:
        AudioError: if it cannot be read, or has no frame.
    """
    samples, rate = read_audio(recording.path)
    mono, _ = to_channels(samples[None], 1)
    wave = resample(mono[0], rate, SAMPLE_RATE)[0]
    if len(wave) < backbone.sizes.shortest:
        raise AudioError(one_line(recording.path, "is shorter than one frame", "leave it out"))
    return wave


def _segments(recording: Recording, seconds: float, labs: Mapping[str, Path], listener: Listener) -> Segments | None:
    """Return the phones of a recording, None if there are none or they do not fit it, which the listener hears."""
    path = labs.get(recording.path.stem)
    if path is None:
        return None
    try:
        segments = read_lab(path)
        segments.check(seconds, path)
    except AnalysisError as error:
        listener.unlabelled(recording, error)
        return None
    return segments


def _pieces(
    wave: Tensor, recording: Recording, backbone: Backbone, layers: Sequence[int], device: torch.device
) -> Iterator[_Piece]:
    length = _PIECE_SECONDS * SAMPLE_RATE // backbone.sizes.hop_length * backbone.sizes.hop_length
    for start in range(0, len(wave), length):
        part = wave[start : start + length]
        if len(part) < backbone.sizes.shortest:
            return
        with exact_inference(device):
            states = backbone.hidden_states(part.to(device), layers).transpose(0, 1).flatten(1).half().cpu()
        if not bool(torch.isfinite(states).all()):
            raise AnalysisError(one_line(recording.path, "its features do not fit float16", "give other layers"))
        yield _Piece(part.double().numpy(), states, start / SAMPLE_RATE)


def _labels(
    piece: _Piece,
    rate: Fraction,
    recording: Recording,
    segments: Segments | None,
    numbered: Mapping[str, Vocabulary],
) -> dict[str, NDArray[Any]]:
    """Return what is known about each frame of a piece, by attribute."""
    count = len(piece.states)
    phones = segments.names_at(piece.start + frame_centres(count, rate)) if segments else [None] * count
    return {
        "phone": numbered["phone"].numbers(phones),
        "speaker": numbered["speaker"].numbers([recording.speaker] * count),
        "pitch": pitch(piece.wave, SAMPLE_RATE, count, rate),
        "energy": energy(piece.wave, SAMPLE_RATE, count, rate),
    }
