"""Judges: known answers, what is missing is said in one line, and nothing is imported that is not there."""

import numpy as np
import pytest

from tokaudio.errors import MissingDependencyError
from tokaudio.probes.generative import judges
from tokaudio.probes.generative.judges import Dnsmos, Panel

ALL = ("mel_distance", "si_sdr", "warped_mel_distance", "stoi", "wer", "dwer", "dnsmos", "speaker_similarity")
SOUND = 0.1 * np.random.default_rng(0).standard_normal(16_000)


class _Words:
    """Reads loud sound as one text and quiet sound as another."""

    def __call__(self, samples: np.ndarray, rate: int) -> str:
        return "turn it on" if np.abs(samples).max() > 0.05 else "turn it off now"


class _Voice:
    def __call__(self, samples: np.ndarray, rate: int) -> np.ndarray:
        return np.array([1.0, 0.0]) if np.abs(samples).max() > 0.05 else np.array([0.6, 0.8])


def _panel(*names: str) -> Panel:
    return Panel(names, _models={"wer": _Words(), "speaker_similarity": _Voice(), "dnsmos": lambda samples: 3.25})


def test_what_is_not_installed_is_said_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "_is_installed", lambda package: False)
    panel = Panel.installed(ALL)
    assert panel.names == ("mel_distance", "si_sdr", "warped_mel_distance")
    assert len(panel.missing) == 5
    assert panel.missing[0] == ("stoi was not judged: pystoi is not installed (pip install 'tokaudio[metrics]')")
    monkeypatch.setattr(judges, "_is_installed", lambda package: package == "pystoi")
    monkeypatch.setattr(judges, "_version", lambda package: "9")
    found = Panel.installed(ALL)
    assert "stoi" in found.names and "stoi:pystoi-9" in found.identity and found.identity != panel.identity


def test_figures_are_those_of_their_metrics() -> None:
    quiet = 0.1 * SOUND
    found = _panel(*ALL).judge(SOUND, quiet, "Turn it on!")
    rows = dict(zip(ALL, found.tolist(), strict=True))
    assert rows["mel_distance"] == pytest.approx([1.0, 1.0], abs=0.01)
    assert rows["warped_mel_distance"][0] <= 1.0
    assert rows["si_sdr"] == [120.0, 1.0]
    assert rows["stoi"] == pytest.approx([1.0, 1.0])
    assert rows["wer"] == rows["dwer"] == [2.0, 3.0]
    assert rows["dnsmos"] == [3.25, 1.0]
    assert rows["speaker_similarity"] == [0.6, 1.0]


def test_who_cannot_tell_says_nothing() -> None:
    found = _panel("wer", "stoi", "si_sdr").judge(np.zeros(3000), SOUND[:3000], "")
    assert found.tolist() == [[0.0, 0.0]] * 3


def test_delays_and_unlike_lengths_do_not_count() -> None:
    found = _panel("mel_distance", "si_sdr").judge(SOUND, np.roll(SOUND, 40)[:15_000], "")
    assert found[0, 0] < 0.05 and found[1, 0] == 120.0


def test_a_missing_model_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="speechmos: is not installed; run: pip install"):
        Dnsmos()
