"""Features of many recordings: what encode would quantize, without the broken ones, the same in one run or several."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from torch import Tensor

from tests.near import assert_near
from tests.tokenizers.test_speech_files import made
from tests.training.speech import sound, write_sounds
from tokaudio.audio import read_audio, resample
from tokaudio.errors import CheckpointError, OutputError
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.training import extraction
from tokaudio.training.extraction import Entry, Listener, Sound, data_hash, extract, in_drawn_order
from tokaudio.training.frames import FramesOnDisk
from tokaudio.training.kmeans import FitError
from tokaudio.training.resumable import WorkError, WorkFolder


@pytest.fixture(scope="module")
def tokenizer() -> SemanticTokenizer:
    model = made()
    made_of = SemanticTokenizer.untrained("tiny", model.sizes, (1, 3), codebook_size=10)
    made_of.backbone.load_state_dict(model.state_dict())  # type: ignore[attr-defined]
    return made_of.eval().requires_grad_(False)


class Heard(Listener):
    def __init__(self) -> None:
        self.done: list[tuple[str, bool]] = []
        self.errors: list[str] = []

    def finished(self, sound: Sound, entry: Entry, error: Exception | None, *, before: bool) -> None:
        self.done.append((entry.name, before))
        self.errors += [] if error is None else [str(error)]


def run(
    tokenizer: SemanticTokenizer, folder: Path, sounds: list[Sound], **options: Any
) -> tuple[FramesOnDisk, list[Entry]]:
    with WorkFolder(folder, {}) as work:
        return extract(tokenizer, sounds, work, width=32, shortest=400, dtype=torch.float32, **options)


def rows(frames: FramesOnDisk) -> Tensor:
    return torch.cat(list(frames.blocks()))


def listed(folder: Path) -> list[Sound]:
    return [Sound(str(path), path.name) for path in sorted(folder.iterdir())]


def test_features_are_those_that_are_quantized(tokenizer: SemanticTokenizer, tmp_path: Path) -> None:
    data = write_sounds(tmp_path / "data", {"a.wav": 0.5, "c.wav": 0.3})
    write_sounds(data, {"b.flac": 0.4}, rate=44_100)
    stereo = sound(0.4, 8_000, 5)[:, None].repeat(2, axis=1)
    soundfile.write(data / "d.wav", stereo, 8_000)
    frames, entries = run(tokenizer, tmp_path / "work", listed(data))
    found = rows(frames).split([entry.frames for entry in entries])
    for path, part, entry in zip(sorted(data.iterdir()), found, entries, strict=True):
        assert torch.equal(part, tokenizer.features(path)[0].T)
        assert entry.seconds == pytest.approx(entry.frames / 50) and len(entry.sha256) == 64 and not entry.problem
    assert [entry.frames for entry in entries] == [24, 19, 14, 19]


def test_long_recordings_go_in_pieces(
    tokenizer: SemanticTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "_PIECE_SECONDS", 2)
    monkeypatch.setattr(extraction, "_LONGEST_SECONDS", 3)
    data = write_sounds(tmp_path / "data", {"whole.wav": 3.0, "cut.wav": 7.2}, rate=24_000)

    frames, entries = run(tokenizer, tmp_path / "work", listed(data), threads=3)
    cut, whole = rows(frames).split([entry.frames for entry in entries])
    samples, rate = read_audio(data / "whole.wav")
    assert torch.equal(whole, tokenizer.features(resample(samples, rate, 16_000))[0].T)
    samples, rate = read_audio(data / "cut.wav")
    parts = resample(samples, rate, 16_000)[0].split(32_000)
    assert_near(cut, torch.cat([tokenizer.features(part)[0].T for part in parts]), within=1e-5)
    assert len(cut) == 99 + 99 + 99 + 59


def test_broken_short_and_silent_recordings(tokenizer: SemanticTokenizer, tmp_path: Path) -> None:
    data = write_sounds(tmp_path / "data", {"a.wav": 0.5, "cut.wav": 0.5, "short.wav": 0.024, "z.wav": 0.5})
    (data / "cut.wav").write_bytes((data / "cut.wav").read_bytes()[:8_000])
    (data / "junk.wav").write_bytes(b"junk")
    (data / "link.wav").symlink_to(data / "gone.wav")
    soundfile.write(data / "silent.wav", torch.zeros(8_000).numpy(), 16_000)
    heard = Heard()
    frames, entries = run(tokenizer, tmp_path / "work", listed(data), listener=heard, threads=2)
    by_name = {entry.name: entry for entry in entries}
    assert {name for name, entry in by_name.items() if entry.problem} == {"cut.wav", "junk.wav", "link.wav"}
    assert by_name["cut.wav"].problem.startswith("truncated: ") and by_name["cut.wav"].frames == 0
    assert by_name["link.wav"].problem.startswith("no such file; ")
    assert {name for name, entry in by_name.items() if entry.short} == {"short.wav"}
    assert len(heard.errors) == 3 and len(heard.done) == 7
    good = [tokenizer.features(data / name)[0].T for name in ("a.wav", "silent.wav", "z.wav")]
    assert torch.equal(rows(frames), torch.cat(good)), "nothing of a broken recording is kept"
    frames, entries = run(tokenizer, tmp_path / "more", listed(data), allow_truncated=True)
    assert {entry.name: entry.frames for entry in entries}["cut.wav"] == 12


def test_a_recording_that_breaks_late_leaves_nothing(
    tokenizer: SemanticTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "_PIECE_SECONDS", 1)
    monkeypatch.setattr(extraction, "_LONGEST_SECONDS", 1)
    data = write_sounds(tmp_path / "data", {"a.wav": 0.5, "b.flac": 3.5, "c.wav": 0.5})
    content = (data / "b.flac").read_bytes()
    (data / "b.flac").write_bytes(content[: len(content) * 3 // 4])
    for threads in (1, 4):
        frames, entries = run(tokenizer, tmp_path / f"{threads}", listed(data), threads=threads)
        assert [bool(entry.problem) for entry in entries] == [False, True, False]
        assert torch.equal(rows(frames), torch.cat([tokenizer.features(data / n)[0].T for n in ("a.wav", "c.wav")]))


def test_features_that_are_no_numbers_break_a_recording(
    tokenizer: SemanticTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_sounds(tmp_path / "data", {"a.wav": 0.5, "b.wav": 0.6})
    real = tokenizer.features

    def features(samples: Tensor, rate: int) -> Tensor:
        found = real(samples, rate)
        return found * float("nan") if len(samples) == 9_600 else found

    monkeypatch.setattr(tokenizer, "features", features)
    _, entries = run(tokenizer, tmp_path / "work", listed(data))
    assert [entry.problem for entry in entries] == [
        "",
        "its features hold a NaN or Inf; check the weights and the recording",
    ]
    monkeypatch.setattr(tokenizer, "features", lambda samples, rate: 1e6 * real(samples, rate))
    with WorkFolder(tmp_path / "half", {}) as work, pytest.raises(CheckpointError, match="too much for float16"):
        extract(tokenizer, listed(data), work, width=32, shortest=400)


@pytest.mark.parametrize("limit", [30, 24, 1, 500])
def test_a_limit_bounds_the_frames(tokenizer: SemanticTokenizer, tmp_path: Path, limit: int) -> None:
    data = write_sounds(tmp_path / "data", {"a.wav": 0.5, "b.wav": 0.5, "c.wav": 0.5})
    every, _ = run(tokenizer, tmp_path / "all", listed(data))
    heard = Heard()
    frames, entries = run(tokenizer, tmp_path / "some", listed(data), limit=limit, listener=heard)
    assert torch.equal(rows(frames), rows(every)[:limit])
    assert len(entries) == len(heard.done) == min(3, -(-limit // 24))
    again, same = run(tokenizer, tmp_path / "some", listed(data), limit=limit, threads=2)
    assert same == entries and torch.equal(rows(again), rows(frames))


def test_it_goes_on_after_any_recording(
    tokenizer: SemanticTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "_SYNC_SECONDS", -1.0)
    lengths = {"a.wav": 0.3, "b.wav": 0.02, "c.wav": 0.3, "d.wav": 0.4}
    data = write_sounds(tmp_path / "data", lengths)
    (data / "c.wav").write_bytes(b"junk")
    whole, entries = run(tokenizer, tmp_path / "whole", listed(data))

    class Stops(Heard):
        def finished(self, sound: Sound, entry: Entry, error: Exception | None, *, before: bool) -> None:
            super().finished(sound, entry, error, before=before)
            if sum(not earlier for _, earlier in self.done) == 2:
                raise KeyboardInterrupt

    for _ in range(4):
        heard = Stops()
        try:
            frames, found = run(tokenizer, tmp_path / "work", listed(data), listener=heard, threads=2)
            break
        except KeyboardInterrupt:
            with pytest.raises(CheckpointError):
                FramesOnDisk(tmp_path / "work")
    assert found == entries and torch.equal(rows(frames), rows(whole))
    assert [before for _, before in heard.done].count(True) == 3, "what was done is not done again"
    assert heard.errors == [entries[2].problem], "what failed earlier is told again"


def test_recordings_that_changed_meanwhile_are_refused(tokenizer: SemanticTokenizer, tmp_path: Path) -> None:
    data = write_sounds(tmp_path / "data", {"a.wav": 0.3, "b.wav": 0.3})
    run(tokenizer, tmp_path / "work", listed(data))
    os.utime(data / "a.wav", (1, 1))
    run(tokenizer, tmp_path / "work", listed(data))
    with pytest.raises(WorkError, match="unfinished work on other recordings"):
        run(tokenizer, tmp_path / "work", listed(data)[::-1])
    content = bytearray((data / "a.wav").read_bytes())
    content[100] ^= 1
    (data / "a.wav").write_bytes(content)
    with pytest.raises(WorkError, match=r"a\.wav: was read by a run whose work is in .* and has changed since"):
        run(tokenizer, tmp_path / "work", listed(data))


def test_a_full_disk_ends_the_run_and_keeps_what_is_there(
    tokenizer: SemanticTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "_SYNC_SECONDS", -1.0)
    data = write_sounds(tmp_path / "data", {"a.wav": 0.3, "b.wav": 0.3})
    real, left = os.write, [1]

    def write(file: int, content: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "")
        return real(file, content)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(OutputError, match=r"frames\.bin: the disk is full"):
            run(tokenizer, tmp_path / "work", listed(data))
    heard = Heard()
    frames, _ = run(tokenizer, tmp_path / "work", listed(data), listener=heard)
    assert [before for _, before in heard.done] == [True, False]
    assert torch.equal(rows(frames), rows(run(tokenizer, tmp_path / "whole", listed(data))[0]))


def test_nothing_usable_is_an_error(tokenizer: SemanticTokenizer, tmp_path: Path) -> None:
    data = write_sounds(tmp_path / "data", {"a.wav": 0.01})
    with pytest.raises(FitError, match="no recording gave a frame"):
        run(tokenizer, tmp_path / "work", listed(data))


def test_errors_that_are_not_of_a_recording_end_the_run(
    tokenizer: SemanticTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_sounds(tmp_path / "data", {"a.wav": 0.3})

    def features(samples: Tensor, rate: int) -> Tensor:
        raise MemoryError

    monkeypatch.setattr(tokenizer, "features", features)
    with pytest.raises(MemoryError):
        run(tokenizer, tmp_path / "work", listed(data))


def test_the_order_depends_on_names_and_seed() -> None:
    sounds = [Sound(f"/data/{number}.wav", f"{number}.wav") for number in range(40)]
    drawn = in_drawn_order(sounds, 1)
    assert sorted(drawn, key=lambda sound: sound.path) == sorted(sounds, key=lambda sound: sound.path)
    moved = [Sound(f"/elsewhere/{sound.name}", sound.name) for sound in reversed(sounds)]
    assert [sound.name for sound in in_drawn_order(moved, 1)] == [sound.name for sound in drawn]
    assert in_drawn_order(sounds, 2) != drawn != sounds
    fewer = in_drawn_order(sounds[:20], 1)
    assert fewer == [sound for sound in drawn if sound in fewer], "the order of some is their order among all"


def test_the_hash_is_of_contents() -> None:
    entries = [Entry("a", 5, sha256="aa"), Entry("b", 6, sha256="bb"), Entry("c", 7, sha256="aa")]
    assert data_hash(entries) == data_hash([Entry("x", 1, sha256="aa"), *entries[:2]])
    assert data_hash(entries) != data_hash(entries[:2]) != data_hash(entries[:1])
    assert data_hash([*entries, Entry("d", 0, sha256="dd", problem="broken")]) == data_hash(entries)
