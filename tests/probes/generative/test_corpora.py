"""From corpora in their official layouts, with sound in them, to the results of the tasks that they are meant for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.probes.generative.chimes import Chimes, ring, written
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.datasets import read_corpus
from tokaudio.probes.models.fitting import FitBudget
from tokaudio.probes.results import TaskResult
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks import TaskOptions, find_task

LETTERS = "abcd"


@pytest.fixture(autouse=True)
def _own_judges_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is installed or not changes what these tests see."""
    monkeypatch.setattr("tokaudio.probes.generative.judges._is_installed", lambda package: False)


def _tones(random: np.random.Generator, count: int = 5) -> list[int]:
    return np.repeat(random.integers(0, 4, count), 3).tolist()


def _say(text: str) -> np.ndarray:
    """Return the sound of a text of a to d: three frames for each letter."""
    return ring([4, *(LETTERS.index(letter) for letter in text.replace(" ", "") for _ in range(3)), 4])


def voicebank_demand(root: Path) -> None:
    for middle, speakers in (("trainset_28spk", range(226, 232)), ("testset", (232, 257))):
        for speaker in speakers:
            for take in range(3):
                random, name = np.random.default_rng([speaker, take]), f"p{speaker}_{take:03d}"
                low, high = _tones(random), _tones(random)
                written(root / f"clean_{middle}_wav", name, ring(low, high))
                written(root / f"noisy_{middle}_wav", name, ring([(one + 1) % 4 for one in low], high))


def libri2mix(root: Path) -> None:
    for place, (subset, count) in enumerate((("train-100", 12), ("dev", 3), ("test", 3)), start=1):
        folder = root / "Libri2Mix" / "wav16k" / "min" / subset
        for number in range(count):
            random, speaker = np.random.default_rng([place, number]), 1000 * place + 2 * number
            name = f"{speaker}-1-0001_{speaker + 1}-2-0001"
            parts = ring(low := _tones(random)), ring([4] * len(low), _tones(random))
            for kind, sound in zip(("s1", "s2", "mix_clean"), (*parts, parts[0] + parts[1]), strict=True):
                written(folder / kind, name, sound)


def libritts(root: Path) -> None:
    for subset, speakers in (("train-clean-100", range(100, 104)), ("dev-clean", (84,)), ("test-clean", (61, 62))):
        for speaker in speakers:
            for take in range(6):
                random = np.random.default_rng([speaker, take])
                text = "".join(LETTERS[one] for one in random.integers(0, 4, 4))
                folder, name = root / "LibriTTS" / subset / str(speaker) / "1240", f"{speaker}_1240_000000_00000{take}"
                written(folder, name, (1 - speaker / 400) * _say(text))
                for kind in ("original", "normalized"):
                    folder.joinpath(f"{name}.{kind}.txt").write_text(text, encoding="utf-8")


def ljspeech(root: Path) -> None:
    rows, random = [], np.random.default_rng(0)
    for number in range(24):
        text = "".join(LETTERS[one] for one in random.integers(0, 4, 5))
        written(root / "LJSpeech-1.1" / "wavs", f"LJ001-{number:04d}", _say(text))
        rows.append(f"LJ001-{number:04d}|{text}|{text}\n")
    root.joinpath("LJSpeech-1.1", "metadata.csv").write_text("".join(rows), encoding="utf-8")


def _result(task: str, corpus: str, root: Path, epochs: int) -> TaskResult:
    budget = FitBudget(epochs=epochs, patience=epochs, batch_items=2, learning_rate=5e-3)
    made = dataclasses.replace(find_task(task), budget=budget, share=1.0)  # type: ignore[type-var]
    source = Extraction(Chimes(), read_corpus(corpus, root))
    # Melodies of four tones are alike by chance; near duplicates have tests of their own.
    source.prints = [np.zeros(0, dtype=np.uint32)] * len(source.recordings)
    return made.run(source, TaskOptions(seeds=(0,), corpus=corpus), Runner())


def test_enhancement_on_voicebank_demand(tmp_path: Path) -> None:
    voicebank_demand(tmp_path)
    found = _result("enhancement", "voicebank-demand", tmp_path, 16)
    assert len(found.measure.groups) == found.sizes["test"] == 6, "two test speakers: each scene stands for itself"
    assert found.sizes["test_speakers"] == 2 and found.sizes["train"] + found.sizes["valid"] == 18
    heard, best = found.references["input_tokens"].mean, found.references["clean_tokens"].mean
    assert found.measure.mean < best + 0.5 * (heard - best)


def test_separation_on_libri2mix(tmp_path: Path) -> None:
    libri2mix(tmp_path)
    found = _result("separation", "libri2mix", tmp_path, 30)
    assert [found.sizes[side] for side in ("train", "valid", "test", "sources")] == [12, 3, 3, 2]
    assert found.sizes["test_speakers"] == 6, "both of each mixture"
    mixture, best = found.references["input"].mean, found.references["clean_tokens"].mean
    assert found.measure.mean < best + 0.5 * (mixture - best)


@pytest.mark.parametrize(("corpus", "write", "tested"), [("libritts", libritts, 2), ("ljspeech", ljspeech, 1)])
def test_text_to_speech_on_read_sentences(corpus: str, write: object, tested: int, tmp_path: Path) -> None:
    write(tmp_path)  # type: ignore[operator]
    found = _result("tts", corpus, tmp_path, 10)
    assert found.sizes["test_speakers"] == tested and found.sizes["letters"] == 4
    floor, best = found.references["shuffled_texts"].mean, found.references["clean_tokens"].mean
    assert found.measure.mean < best + 0.6 * (floor - best)
