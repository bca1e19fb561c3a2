"""Scenes: the same from the same recipe, with what was asked for in them, and no side that shares anything."""

from pathlib import Path

import numpy as np
import pytest

from tests.probes.datasets import miniatures
from tests.probes.generative.chimes import HOP, RATE, Chimes, ring, written
from tokaudio.audio.manifest import Recording
from tokaudio.probes.data.extraction import Extraction
from tokaudio.probes.datasets import read_corpus
from tokaudio.probes.generative.scenes import noisy, said, together
from tokaudio.probes.generative.staging import WORDS, in_noise, in_pairs, in_sentences, in_words, recorded, staged
from tokaudio.probes.tasks import find_task


@pytest.fixture
def recordings(tmp_path: Path) -> list[Recording]:
    """Twelve speakers who say eight words."""
    found = []
    for speaker in range(12):
        for number in range(8):
            word = "abcdefgh"[number]
            random = np.random.default_rng([speaker, number])
            sound = ring(random.integers(0, 4, 30).tolist(), random.integers(0, 4, 30).tolist())
            facts = {"speaker": f"s{speaker}", "text": word, "fold": "test" if speaker > 9 else "train"}
            found.append(written(tmp_path, f"{speaker}-{number}", sound, **facts, keyword=word))
    return found


def _source(recordings: list[Recording]) -> Extraction:
    source = Extraction(Chimes(), recordings)
    source.prints = [np.zeros(0, dtype=np.uint32)] * len(recordings)
    return source


def test_noise_is_as_loud_as_asked_and_the_same_each_time(recordings: list[Recording]) -> None:
    for number in range(3):
        scene = noisy(recordings[0], recordings[20:26], "abc", number=number, ratios=(5.0, 5.0))
        heard, (wanted,), rate = scene.make()
        noise = heard.astype(np.float64) - wanted
        assert rate == RATE and heard.size == wanted.size == 30 * HOP
        assert 10 * np.log10(np.square(wanted).mean() / np.square(noise).mean()) == pytest.approx(5.0, abs=0.01)
        assert (scene.make().heard == heard).all()
    keys = {noisy(recordings[0], [], "abc", number=number).key for number in range(3)}
    assert len(keys) == 3


def test_recordings_of_noise_are_mixed_in_and_those_of_the_test_are_not_learnt(
    recordings: list[Recording], tmp_path: Path
) -> None:
    tones = [
        written(tmp_path / "noise", str(n), np.full(4000, 0.01 * (n + 1), np.float32), noise="wind") for n in range(9)
    ]
    speech = [
        Recording(one.path, one.name, {"speaker": str(one.speaker), "fold": one.facts["fold"]}) for one in recordings
    ]
    stage = find_task("enhancement").stage(_source([*speech, *tones]))  # type: ignore[attr-defined]
    flat: list[set[int]] = []
    for side in stage.split[0], stage.split[2]:
        flat.append(set())
        for number in side[:12]:
            heard, (wanted,), _ = stage.scenes[number].make()
            noise = heard - wanted
            if np.ptp(noise) < 1e-4:
                flat[-1].add(number)
    assert [len(found) for found in flat] == [3, 1]
    assert {scene.speakers for scene in stage.tested} == {("s10",), ("s11",)}


def test_two_at_once_are_the_sum_of_both(recordings: list[Recording]) -> None:
    heard, wanted, _ = together(recordings[0], recordings[95], "ab", number=1).make()
    np.testing.assert_allclose(heard, wanted[0] + wanted[1], atol=1e-6)
    powers = [10 * np.log10(np.square(one.astype(np.float64)).mean()) for one in wanted]
    assert abs(powers[0] - powers[1]) <= 5.01


def test_words_follow_each_other_with_pauses(recordings: list[Recording]) -> None:
    scene = said(recordings[:1], recordings[1:4], "abc", number=0)
    heard, (wanted,), rate = scene.make()
    assert scene.texts == ("b c d",) and heard.size == 30 * HOP
    assert 3 * 30 * HOP + 2 * 0.05 * rate - 2 <= wanted.size <= 3 * 30 * HOP + 2 * 0.25 * rate


@pytest.mark.parametrize("make", [in_noise, in_pairs, in_words, in_sentences])
def test_no_speaker_and_no_text_of_the_test_is_learnt(make: object, recordings: list[Recording]) -> None:
    source = _source(recordings)
    stage = staged(source, range(len(recordings)), make(source))  # type: ignore[operator]
    sides = [{speaker for n in side for speaker in stage.scenes[n].speakers} for side in stage.split]
    assert all(sides) and not (sides[0] | sides[1]) & sides[2] and not sides[0] & sides[1]
    assert sides[2] == {"s10", "s11"}
    assert len({scene.key for scene in stage.scenes}) == len(stage.scenes)
    if make is in_words:
        texts = [{stage.scenes[n].texts[0] for n in side} for side in stage.split]
        assert not (texts[0] | texts[1]) & texts[2]
        assert all(len(scene.texts[0].split()) == WORDS for scene in stage.scenes)
    again = staged(source, range(len(recordings)), make(source))  # type: ignore[operator]
    assert [scene.key for scene in again.scenes] == [scene.key for scene in stage.scenes]


def _filled(folder: Path) -> None:
    """Put sound into the empty files of a miniature."""
    for number, path in enumerate(sorted(folder.rglob("*.wav"))):
        random = np.random.default_rng(number)
        written(path.parent, path.stem, ring(random.integers(0, 4, 20).tolist(), random.integers(0, 4, 20).tolist()))


def _stage(corpus: str, task: str, folder: Path):
    getattr(miniatures, corpus.replace("-", "_"))(folder)
    for number, path in enumerate(sorted(folder.rglob("mix_clean/*.wav"))):
        for part in path.parent.parent.glob(f"*/{path.name}"):
            part.rename(part.with_name(f"{number}1-1-1_{number}2-2-2.wav"))
    _filled(folder)
    return find_task(task).stage(_source(read_corpus(corpus, folder)))  # type: ignore[attr-defined]


def test_corpora_of_mixtures_give_their_own_scenes(tmp_path: Path) -> None:
    stage = _stage("voicebank-demand", "enhancement", tmp_path / "voicebank")
    assert [scene.speakers for scene in stage.tested] == [("p232",)]
    assert stage.tested[0].texts == ("Please call Stella.",)
    assert len(stage.tested[0].make().wanted) == 1
    stage = _stage("libri2mix", "separation", tmp_path / "libri2mix")
    assert stage.tested[0].speakers == ("11", "12") and len(stage.tested[0].make().wanted) == 2


def test_corpora_of_speech_give_sentences(tmp_path: Path) -> None:
    rows = []
    for number in range(20):
        sound = ring(np.random.default_rng(number).integers(0, 4, 20).tolist())
        rows.append(
            written(tmp_path / "lj", str(number), sound, speaker="LJ", text=f"text {'abcdefghijklmnopqrst'[number]}")
        )
    stage = find_task("tts").stage(_source(rows))  # type: ignore[attr-defined]
    texts = [{stage.scenes[n].texts[0] for n in side} for side in stage.split]
    assert all(texts) and not (texts[0] | texts[1]) & texts[2]
    assert recorded(_source(rows), ("clean",))([], False, 0) == []
