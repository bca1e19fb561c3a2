"""Generative tasks on chimes, whose tokens follow rules: what is wanted comes out, and judges say so."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.probes.generative.chimes import Chimes, ring, written
from tokaudio.audio.manifest import Recording
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import Measure
from tokaudio.probes.models.fitting import FitBudget
from tokaudio.probes.results import ProbeResults, TaskResult, results_from_json
from tokaudio.probes.runs import Runner
from tokaudio.probes.tasks import Task, TaskOptions, find_task

ONE = TaskOptions(seeds=(0,), corpus="chimes")
SPEAKERS = 8


@pytest.fixture(autouse=True)
def _own_judges_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is installed or not changes what these tests see."""
    monkeypatch.setattr("tokaudio.probes.generative.judges._is_installed", lambda package: False)
    monkeypatch.setattr("tokaudio.probes.generative.staging.SPOKEN_SCENES", 40)


def _melody(random: np.random.Generator, frames: int = 15) -> list[int]:
    return np.repeat(random.integers(0, 4, frames // 3), 3).tolist()


def _detuned(folder: Path) -> list[Recording]:
    """Recordings in which each tone is heard as the next one, beside what was played."""
    found = []
    for speaker in range(SPEAKERS):
        for take in range(3):
            random = np.random.default_rng([speaker, take])
            low, high = _melody(random), _melody(random)
            name = f"{speaker}-{take}"
            clean = written(folder / "clean", name, ring(low, high))
            turned = ring([(one + 1) % 4 for one in low], [(one + 3) % 4 for one in high])
            facts = {"speaker": f"s{speaker}", "fold": "test" if speaker > 5 else "train", "clean": str(clean.path)}
            found.append(written(folder / "heard", name, turned, **facts))
    return found


def _two_at_once(folder: Path) -> list[Recording]:
    """Mixtures of a low and a high melody, each of which may be the first."""
    found = []
    for number in range(16):
        random = np.random.default_rng([number, 9])
        parts = [ring(low := _melody(random)), ring([4] * len(low), _melody(random))]
        if number % 2:
            parts.reverse()
        paths = [written(folder / f"s{place}", str(number), part).path for place, part in enumerate(parts)]
        speaker = number % SPEAKERS
        facts = {"source_1": str(paths[0]), "source_2": str(paths[1])}
        facts |= {"speaker": f"s{speaker}", "fold": "test" if speaker > 5 else "train"}
        found.append(written(folder / "heard", str(number), parts[0] + parts[1], **facts))
    return found


def _words(folder: Path) -> list[Recording]:
    """Words of two letters, each of which is a tone of three frames."""
    found = []
    for speaker in range(SPEAKERS):
        for first in "abcd":
            for second in "abcd":
                tones = [place for letter in first + second for place in ["abcd".index(letter)] * 3]
                facts = {"keyword": first + second, "text": first + second, "speaker": f"s{speaker}"}
                facts["fold"] = "test" if speaker > 5 else "train"
                found.append(
                    written(folder, f"{speaker}-{first}{second}", (1 - speaker / 20) * ring([4, *tones, 4]), **facts)
                )
    return found


def _task(name: str, epochs: int = 20) -> Task:
    """A task that learns long enough from a dozen clips."""
    budget = FitBudget(epochs=epochs, patience=epochs, batch_items=2, learning_rate=5e-3)
    return dataclasses.replace(find_task(name), budget=budget, share=1.0)  # type: ignore[type-var]


def _source(recordings: list[Recording]) -> Extraction:
    source = Extraction(Chimes(), recordings)
    # Melodies of four tones are alike by chance; near duplicates have tests of their own.
    source.prints = [np.zeros(0, dtype=np.uint32)] * len(recordings)
    return source


def _run(name: str, recordings: list[Recording], epochs: int = 20) -> TaskResult:
    return _task(name, epochs).run(_source(recordings), ONE, Runner())


def test_enhancement_learns_what_was_done_to_the_tones(tmp_path: Path) -> None:
    found = _run("enhancement", _detuned(tmp_path))
    assert found.axis == "generative" and found.measure.metric == "mel_distance"
    assert set(found.references) == {"input", "input_tokens", "clean_tokens", "continuous"}
    assert not any("not learnt" in note for note in found.notes)
    heard, ceiling = found.references["input_tokens"].mean, found.references["clean_tokens"].mean
    assert ceiling < 0.3 * heard
    assert found.measure.mean < ceiling + 0.2 * (heard - ceiling)
    assert found.references["continuous"].mean < ceiling + 0.2 * (heard - ceiling)
    assert [one.metric for one in found.others] == ["si_sdr"] and found.others[0].mean > 10
    assert any("dnsmos was not judged" in note for note in found.notes)
    document = ProbeResults("chimes", "compression", "12", "own", (found,))
    assert results_from_json(document.to_json()).to_json() == document.to_json()


def test_separation_tells_low_from_high_whichever_comes_first(tmp_path: Path) -> None:
    found = _run("separation", _two_at_once(tmp_path), 40)
    mixture, ceiling = found.references["input"].mean, found.references["clean_tokens"].mean
    assert found.sizes["sources"] == 2
    assert found.measure.mean < ceiling + 0.4 * (mixture - ceiling)
    # Both sources are wanted, so that nothing is gained by saying one of them twice.
    assert found.others[0].metric == "si_sdr" and found.others[0].mean > 5


def test_text_to_speech_says_texts_that_were_not_learnt(tmp_path: Path) -> None:
    found = _run("tts", _words(tmp_path), 8)
    assert found.measure.metric == "warped_mel_distance"
    floor, ceiling = found.references["shuffled_texts"].mean, found.references["clean_tokens"].mean
    assert found.measure.mean < ceiling + 0.4 * (floor - ceiling)
    assert found.references["recording"].mean == 0.0


def test_runs_are_done_once(tmp_path: Path) -> None:
    source, runner, task = _source(_detuned(tmp_path)), Runner(), _task("enhancement", 1)
    runner.begin("enhancement", task.runs(ONE))
    first = task.run(source, ONE, runner)
    done = runner.done
    again = task.run(source, ONE, runner)
    assert done == task.runs(ONE) and runner.done == done and runner.found == done
    side_by_side = task.run(source, ONE, Runner(jobs=2))
    assert _rows(first.measure) == _rows(again.measure) == _rows(side_by_side.measure)


def _rows(measure: Measure) -> list[float]:
    return measure.values().tolist()


def test_a_sound_on_both_sides_is_refused(tmp_path: Path) -> None:
    source = _source(_detuned(tmp_path))
    source.contents[0] = source.contents[-1]
    with pytest.raises(ProbeError, match="is the same sound as"):
        _task("enhancement").run(source, ONE, Runner())
