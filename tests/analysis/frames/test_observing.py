"""What is heard in each frame: as if heard in one piece, at any sample rate, where the frames lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tokaudio.analysis.annotated.annotations import Annotation
from tokaudio.analysis.annotated.label_files import segments_of
from tokaudio.analysis.frames import observing
from tokaudio.analysis.frames.observing import Heard, band_name, frame_times, hear, named, vocabularies
from tokaudio.audio import AudioReader
from tokaudio.audio.attributes import energy, octave_bands, pitch, spectral_shape
from tokaudio.errors import AudioError
from tokaudio.spec import CodebookSpec, TokenizerSpec

RATE = 16_000
SPEC = TokenizerSpec("toy", "compression", RATE, 320, (CodebookSpec(8),))


def buzz(seconds: float, rate: int = RATE) -> NDArray[np.float64]:
    """A glide with two harmonics that grows louder."""
    at = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (120 * at + 10 * at**2)
    return (0.05 + 0.1 * at / seconds) * (np.sin(phase) + 0.5 * np.sin(2 * phase))


def close(found: NDArray[np.float32], wanted: NDArray[np.float64], within: float) -> None:
    assert found.shape == wanted.shape
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    assert np.nanmax(np.abs(found - wanted), initial=0.0) <= within


@pytest.mark.parametrize("block", [701, 16_000, 100_000])
def test_pieces_are_heard_as_the_whole(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(observing, "_PIECE_SECONDS", 1)
    wave, frames = buzz(3.33), 167
    heard = hear((wave[None, at : at + block] for at in range(0, len(wave), block)), RATE, SPEC)
    whole = np.float32(wave).astype(np.float64)
    centroid, levels = spectral_shape(whole, RATE, frames, 50, octave_bands(RATE))
    close(heard.values["pitch"], np.log2(pitch(whole, RATE, frames, 50)), 1e-5)
    close(heard.values["energy"], energy(whole, RATE, frames, 50), 1e-4)
    close(heard.values["centroid"], centroid, 0.01)
    for number, band in enumerate(octave_bands(RATE)):
        close(heard.values[band_name(*band)], levels[:, number], 1e-4)
    assert heard.seconds == pytest.approx(3.33) and heard.rate == 50


def test_another_sample_rate_is_heard_alike(tmp_path: Path) -> None:
    found = []
    for rate in (RATE, 44_100):
        path = tmp_path / f"{rate}.wav"
        soundfile.write(path, buzz(2.0, rate).astype(np.float32), rate, subtype="FLOAT")
        with AudioReader(path) as reader:
            found.append(hear(reader.blocks(), reader.sample_rate, SPEC).columns(SPEC, 100))
    for name in ("pitch", "energy"):
        assert np.nanmax(np.abs(found[0][name][2:-2] - found[1][name][2:-2])) < 0.02
    phones = Annotation({"phone": segments_of([(0.0, 0.505, "a"), (0.505, 2.0, "b")], "a")})
    spec = TokenizerSpec("toy", "compression", 44_100, 882, (CodebookSpec(8),))
    rows = [named(phones, vocabularies(), one, 100)[0]["phone"].tolist() for one in (SPEC, spec)]
    assert rows[0] == rows[1] == [0] * 25 + [1] * 75


def test_frames_beyond_the_audio_have_no_value() -> None:
    columns = hear([buzz(0.5)[None]], RATE, SPEC).columns(SPEC, 30)
    assert np.isfinite(columns["energy"]).tolist() == [True] * 25 + [False] * 5
    assert columns["voicing"][10] == 1 and columns["voicing"][25:].tolist() == [-1] * 5
    assert list(columns)[:4] == ["pitch", "voicing", "energy", "centroid"]


def test_frames_of_segments_that_overlap_are_found_by_their_time() -> None:
    spec = TokenizerSpec("seg", "compression", 1000, 10, (CodebookSpec(8),), segment_length=100, segment_stride=90)
    times = frame_times(spec, 30)
    assert times[10] == pytest.approx(0.095) and times[20] == pytest.approx(0.185)
    ramp = np.arange(100, dtype=np.float32)
    heard = Heard({"pitch": ramp, "energy": ramp}, 1.0, spec.frame_rate)
    assert heard.columns(spec, 30)["energy"][[0, 9, 10, 20, 29]].tolist() == [0, 9, 9, 18, 27]


def test_names_are_numbered_over_recordings_and_unknown_ones_counted() -> None:
    books = vocabularies()
    first = Annotation({"phone": segments_of([(0.0, 0.05, "a"), (0.06, 0.1, "spn")], "a")}, {"language": "ru"})
    second = Annotation({"phone": segments_of([(0.0, 0.1, "b")], "b")})
    columns, unknown = named(first, books, SPEC, 5)
    assert columns["phone"].tolist() == [0, 0, -1, -1, -1] and columns["language"].tolist() == [0] * 5
    assert unknown == 2
    assert named(second, books, SPEC, 2)[0]["phone"].tolist() == [1, 1]
    assert books["phone"].names == ["a", "b"]


def test_no_sound_is_refused() -> None:
    with pytest.raises(AudioError, match="there is no sample"):
        hear([], RATE, SPEC)
