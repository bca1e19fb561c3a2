"""What can be heard in each frame of a recording, and what its labels say, beside the codes of the frame.

    heard = hear(reader.blocks(), reader.sample_rate, tokens.spec)
    columns = heard.columns(tokens.spec, frames)  # pitch, voicing, energy, centroid, bands
    columns |= named(annotation, vocabularies, tokens.spec, frames)  # phone, word, speaker, language, emotion

Sound is taken in pieces of 40 s, at the rate at which the tokenizer hears it. Frames have the value at their centre,
and labels are looked up by time: they may have been made at another sample rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.analysis.annotated.annotations import FACTS, Annotation
from tokaudio.analysis.annotated.labels import Vocabulary
from tokaudio.audio import StreamResampler, as_audio, to_channels
from tokaudio.audio.attributes import HIGHEST, energy, octave_bands, pitch, spectral_shape
from tokaudio.errors import AudioError
from tokaudio.spec import TokenizerSpec

Column = NDArray[Any]
KINDS = ("phone", "word", *FACTS)
"""Labels, in the order in which they are shown."""
LASTING = tuple(FACTS)
"""Labels of whole recordings: their floor keeps neighbours together."""
_PIECE_SECONDS = 40
# Seconds on either side of a piece that its first and last frames hear.
_MARGIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """Values on a grid of frames that begins with the recording and has no gaps.

    Attributes:
        values: float32 `[T]`, NaN for none, by name: pitch in octaves above 1 Hz, levels in dB, centroid in Hz.
        seconds: of audio.
        rate: frames per second.
    """

    values: Mapping[str, Column]
    seconds: float
    rate: Fraction

    def columns(self, spec: TokenizerSpec, frames: int) -> dict[str, Column]:
        """Return the values at the centres of a tokenizer's frames `[T]`, and whether each is voiced."""
        count = len(next(iter(self.values.values())))
        index = np.floor(frame_times(spec, frames) * float(self.rate)).astype(np.int64)
        inside = index < count
        found: dict[str, Column] = {}
        for name, values in self.values.items():
            found[name] = np.full(frames, np.nan, dtype=np.float32)
            found[name][inside] = values[index[inside]]
        voiced = np.where(inside, np.isfinite(found["pitch"]), -1)
        return {"pitch": found.pop("pitch"), "voicing": voiced.astype(np.int32), **found}


def frame_times(spec: TokenizerSpec, frames: int) -> NDArray[np.float64]:
    """Return where the centre of each frame lies, in seconds `[T]`; frames of segments that overlap, too.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> frame_times(spec, 3).round(3).tolist()
        [0.01, 0.03, 0.05]
    """
    import torch

    starts = spec.frame_start(torch.arange(frames)).double().numpy()
    times: NDArray[np.float64] = (starts + spec.hop_length / 2) / spec.sample_rate
    return times


def hear(blocks: Iterable[Any], sample_rate: int, spec: TokenizerSpec) -> Heard:
    """Return what can be heard in each frame of a recording.

    Args:
        blocks: samples `[C, n]`, one after the other.
        sample_rate: of them, in Hz.
        spec: of the tokenizer whose frames are meant.

    Raises:
        AudioError: if a block is unusable, or there is no sample.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> tone = np.sin(2 * np.pi * 200 * np.arange(22_050) / 22_050)[None]
        >>> (2 ** hear([tone], 22_050, spec).values["pitch"][20]).round(1)
        np.float32(200.0)
    """
    rate, hop = spec.sample_rate, spec.hop_length
    parts: dict[str, list[Column]] = {}
    total = 0
    for piece in _pieces(_mono(blocks, sample_rate, rate), rate, hop):
        total += piece.samples
        for name, part in _values(piece, rate, hop).items():
            parts.setdefault(name, []).append(part.astype(np.float32))
    if not total:
        raise AudioError("there is no sample; give audio")
    values = {name: np.concatenate(rows) for name, rows in parts.items()}
    return Heard(values, total / rate, spec.frame_rate)


def named(
    annotation: Annotation, vocabularies: Mapping[str, Vocabulary], spec: TokenizerSpec, frames: int
) -> tuple[dict[str, Column], int]:
    """Return the numbers of the labels of each frame `[T]`, -1 for none, by kind, and how many were unknown ones.

    Args:
        annotation: of the recording.
        vocabularies: that number the names, one for each kind; new names are entered.
        spec: of the tokenizer whose frames are meant.
        frames: T.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> named(Annotation(facts={"speaker": "ann"}), {"speaker": Vocabulary()}, spec, 3)
        ({'speaker': array([0, 0, 0])}, 0)
    """
    names, unknown = annotation.names_at(frame_times(spec, frames))
    return {kind: vocabularies[kind].numbers(names[kind]) for kind in KINDS if kind in names}, unknown


@dataclass(frozen=True, slots=True)
class _Piece:
    """Samples with those around them: `before` frames of margin, `frames` that are meant, and some margin behind."""

    wave: NDArray[np.float64]
    before: int
    frames: int
    samples: int


def _values(piece: _Piece, rate: int, hop: int) -> dict[str, Column]:
    frame_rate, count = Fraction(rate, hop), piece.before + piece.frames
    bands = octave_bands(rate)
    centroid, levels = spectral_shape(piece.wave, rate, count, frame_rate, bands)
    highest = min(HIGHEST, rate / 4 - 1)
    found = {
        "pitch": np.log2(pitch(piece.wave, rate, count, frame_rate, highest=highest)),
        "energy": energy(piece.wave, rate, count, frame_rate),
        "centroid": centroid,
        **{band_name(*band): levels[:, number] for number, band in enumerate(bands)},
    }
    return {name: values[piece.before :] for name, values in found.items()}


def band_name(low: float, high: float) -> str:
    """Return the name of the level of a band.

    Example:
        >>> band_name(0.0, 500.0), band_name(8000.0, 11025.0)
        ('0 to 0.5 kHz energy', '8 to 11.025 kHz energy')
    """
    return f"{low / 1000:g} to {high / 1000:.5g} kHz energy"


def _mono(blocks: Iterable[Any], sample_rate: int, rate: int) -> Iterator[NDArray[np.float64]]:
    """Yield samples `[n]` at another rate."""
    resampler = StreamResampler(sample_rate, rate, 1)
    for block in blocks:
        samples, _ = to_channels(as_audio(block).samples.detach().cpu(), 1)
        yield resampler.push(samples[0].numpy())[0].astype(np.float64)
    yield resampler.flush()[0].astype(np.float64)


def _pieces(waves: Iterable[NDArray[np.float64]], rate: int, hop: int) -> Iterator[_Piece]:
    """Yield pieces of whole frames, the last one filled up with what is there."""
    frames, margin = max(1, _PIECE_SECONDS * rate // hop), -(-int(_MARGIN_SECONDS * rate) // hop)
    length, around = frames * hop, margin * hop
    held: list[NDArray[np.float64]] = []
    size, before = 0, 0
    for wave in waves:
        held.append(wave)
        size += len(wave)
        while size >= before + length + around:
            joined = np.concatenate(held)
            yield _Piece(joined[: before + length + around], before // hop, frames, length)
            joined = joined[before + length - around :]
            held, size, before = [joined], len(joined), around
    joined = np.concatenate(held) if held else np.zeros(0)
    left = len(joined) - before
    if left > 0:
        yield _Piece(joined, before // hop, -(-left // hop), left)


def vocabularies() -> dict[str, Vocabulary]:
    """Return an empty vocabulary for each kind of label.

    Example:
        >>> list(vocabularies())
        ['phone', 'word', 'speaker', 'language', 'emotion']
    """
    return {kind: Vocabulary() for kind in KINDS}


def continuous(columns: Mapping[str, Column]) -> Sequence[str]:
    """Return the names of the columns that hold values, not labels.

    Example:
        >>> continuous({"pitch": np.zeros(2, np.float32), "phone": np.zeros(2, np.int32)})
        ['pitch']
    """
    return [name for name, values in columns.items() if values.dtype.kind == "f"]
