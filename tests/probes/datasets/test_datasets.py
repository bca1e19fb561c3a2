"""Readers of corpora on miniatures in their official layouts: what is read, and what is said of what is missing."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.probes.datasets.miniatures import MINIATURES
from tokaudio.audio.manifest import Recording
from tokaudio.errors import UnknownNameError
from tokaudio.probes.data.splits import official_split
from tokaudio.probes.datasets import CORPORA, read_corpus
from tokaudio.probes.datasets.labelled_speech import Trial, voxceleb1_trials
from tokaudio.probes.errors import ProbeError


def read(name: str, root: Path) -> list[Recording]:
    return read_corpus(name, MINIATURES[name](root))


def sides(recordings: list[Recording]) -> dict[str, int]:
    return dict(Counter(one.facts["split"] for one in recordings))


@pytest.mark.parametrize("name", list(CORPORA))
def test_every_corpus_is_read_from_its_miniature(name: str, tmp_path: Path) -> None:
    found = read(name, tmp_path)
    assert found and all(one.path.is_file() for one in found)
    assert len({one.name for one in found}) == len(found)
    # Names are paths inside, the same on every machine; facts are text.
    assert all(not Path(one.name).is_absolute() and one.path.as_posix().endswith(one.name) for one in found)
    assert all(isinstance(value, str) and value for one in found for value in one.facts.values())
    # Splits are official: all three sides, or none at all.
    if any("split" in one.facts for one in found):
        split = official_split([one.facts.get("split") for one in found])
        assert split is not None and all(split)


# The folders of Hedgewars say what there is, so that nothing can be missed.
@pytest.mark.parametrize("name", sorted(set(CORPORA) - {"hedgewars"}))
def test_a_recording_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    found = read(name, tmp_path)
    # Where folders and not lists say what there is, a whole folder must be gone to be missed.
    listed = {"voicebank-demand": "clean", "libri2mix": "source_2", "musdb18": "drums", "fuss": "source_2"}
    # Speech Commands lists what is to validate and to test on, GTZAN what it has, here at the end.
    gone = Path(found[0].facts[listed[name]]) if name in listed else found[-1].path
    gone.unlink()
    with pytest.raises(ProbeError) as refused:
        read_corpus(name, tmp_path)
    assert gone.name in str(refused.value) and CORPORA[name].title.split("-HQ")[0] in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", list(CORPORA))
def test_a_folder_without_the_corpus_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ProbeError) as refused:
        read_corpus(name, tmp_path)
    assert str(tmp_path) in str(refused.value) and "; " in str(refused.value)
    with pytest.raises(ProbeError, match="is no folder; give the folder"):
        read_corpus(name, tmp_path / "none")


def test_an_unknown_corpus_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"timit: is no corpus .* librispeech, common-voice"):
        read_corpus("timit", ".")


def test_librispeech(tmp_path: Path) -> None:
    found = read("librispeech", tmp_path)
    assert sides(found) == {"train": 2, "valid": 2, "test": 2}
    one = next(one for one in found if one.facts["split"] == "test")
    assert one.name == "test-clean/61/70968/61-70968-0000.flac"
    facts = {"split": "test", "subset": "test-clean", "speaker": "61", "text": "he began a 6", "language": "en"}
    assert dict(one.facts) == facts
    # The folder itself, or the one that it is in.
    assert [one.name for one in read_corpus("librispeech", tmp_path / "LibriSpeech")] == [one.name for one in found]
    (tmp_path / "LibriSpeech/dev-other/116/70968/116-70968.trans.txt").unlink()
    with pytest.raises(ProbeError, match=r"LibriSpeech has no dev-other/116/70968/116-70968\.trans\.txt"):
        read_corpus("librispeech", tmp_path)


def test_libritts(tmp_path: Path) -> None:
    found = read("libritts", tmp_path)
    assert sides(found) == {"train": 1, "valid": 1, "test": 1} and {one.facts["text"] for one in found} == {
        "He said: one."
    }


def test_ljspeech(tmp_path: Path) -> None:
    found = read("ljspeech", tmp_path)
    assert [one.facts["text"] for one in found] == ["Printing, in fourteen fifty-five", 'a "b"']
    assert {one.speaker for one in found} == {"LJ"} and "split" not in found[0].facts
    (tmp_path / "LJSpeech-1.1/metadata.csv").write_text("LJ001-0001|a\n", encoding="utf-8")
    with pytest.raises(ProbeError, match="line 1 is not NAME"):
        read_corpus("ljspeech", tmp_path)


def test_common_voice(tmp_path: Path) -> None:
    found = read("common-voice", tmp_path)
    assert Counter(one.facts["language"] for one in found) == {"cy": 3, "eu": 3}
    assert found[0].name == "cy/clips/common_voice_cy_train.mp3" and found[0].facts["text"] == "Mae'n \"dda"
    alone = read_corpus("common-voice", tmp_path / "eu")
    assert sides(alone) == {"train": 1, "valid": 1, "test": 1} and alone[0].speaker == "5e3ftrain"
    (tmp_path / "cy/dev.tsv").write_text("client_id\tpath\n", encoding="utf-8")
    with pytest.raises(ProbeError, match=r"dev\.tsv: has no column sentence"):
        read_corpus("common-voice", tmp_path)


def test_speech_commands(tmp_path: Path) -> None:
    found = read("speech-commands", tmp_path)
    assert sides(found) == {"train": 4, "valid": 4, "test": 4}
    by_speaker = {one.speaker: one.facts["split"] for one in found}
    assert by_speaker == {"0a7c": "train", "1b2d": "valid", "c3e4": "test"}
    assert {one.facts["keyword"] for one in found} == {"yes", "no"}
    (tmp_path / "no/c3e4_nohash_1.wav").unlink()
    with pytest.raises(ProbeError, match=r"Speech Commands lacks 1 of 12 recordings, such as no/c3e4_nohash_1\.wav"):
        read_corpus("speech-commands", tmp_path)
    (tmp_path / "testing_list.txt").unlink()
    with pytest.raises(ProbeError, match=r"has no testing_list\.txt"):
        read_corpus("speech-commands", tmp_path)


def test_slurp(tmp_path: Path) -> None:
    found = read("slurp", tmp_path)
    assert sides(found) == {"train": 2, "valid": 2, "test": 2}
    assert found[0].facts["intent"] == "alarm" and found[0].facts["action"] == "set" and found[0].speaker == "FO-460"
    assert [one.facts["microphone"] for one in found[:2]] == ["headset", "distant"]
    (tmp_path / "dataset/slurp/metadata.json").unlink()
    assert read_corpus("slurp", tmp_path)[0].speaker is None
    (tmp_path / "dataset/slurp/devel.jsonl").write_text('{"scenario": "alarm"}\n', encoding="utf-8")
    with pytest.raises(ProbeError, match=r"devel\.jsonl: an entry has no 'action'"):
        read_corpus("slurp", tmp_path)
    (tmp_path / "dataset/slurp/devel.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(ProbeError, match=r"devel\.jsonl: is no JSON"):
        read_corpus("slurp", tmp_path)


def test_iemocap(tmp_path: Path) -> None:
    found = read("iemocap", tmp_path)
    assert Counter(one.facts["emotion"] for one in found) == {"neutral": 2, "happiness": 2, "anger": 2, "sadness": 2}
    assert {one.speaker for one in found} == {"Ses01F", "Ses01M", "Ses02F", "Ses02M"}
    assert found[0].name == "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"


def test_voxceleb1_and_its_trials(tmp_path: Path) -> None:
    found = read("voxceleb1", tmp_path)
    assert sides(found) == {"train": 2, "valid": 2, "test": 2}
    assert {one.speaker: one.facts["verification"] for one in found} == {"id10001": "train", "id10270": "test"}
    names = {one.name for one in found}
    trials = voxceleb1_trials(tmp_path)
    assert trials[0] == Trial(True, "wav/id10270/aB1/00001.wav", "wav/id10270/c_D/00002.wav") and not trials[1].same
    assert {name for trial in trials for name in trial[1:]} <= names
    (tmp_path / "veri_test.txt").write_text("2 a b\n", encoding="utf-8")
    with pytest.raises(ProbeError, match="line 1 is no trial"):
        voxceleb1_trials(tmp_path)
    (tmp_path / "veri_test.txt").unlink()
    assert "verification" not in read_corpus("voxceleb1", tmp_path)[0].facts
    (tmp_path / "iden_split.txt").write_text("4 id10001/a/b.wav\n", encoding="utf-8")
    with pytest.raises(ProbeError, match="not a side and a recording"):
        read_corpus("voxceleb1", tmp_path)


def test_voicebank_demand(tmp_path: Path) -> None:
    found = read("voicebank-demand", tmp_path)
    assert [(one.facts["fold"], one.speaker) for one in found] == [
        ("train", "p226"),
        ("train", "p287"),
        ("test", "p232"),
    ]
    assert Path(found[0].facts["clean"]) == tmp_path / "clean_trainset_28spk_wav/p226_001.wav"
    assert found[0].facts["text"] == "Please call Stella."
    shutil.rmtree(tmp_path / "testset_txt")
    assert "text" not in read_corpus("voicebank-demand", tmp_path)[2].facts


def test_libri2mix(tmp_path: Path) -> None:
    found = read("libri2mix", tmp_path)
    assert sides(found) == {"train": 1, "valid": 1, "test": 1}
    assert (found[0].facts["speaker_1"], found[0].facts["speaker_2"]) == ("4077", "5142") and found[0].facts[
        "noisy"
    ] == "no"
    assert {Path(found[0].facts[name]).parent.name for name in ("source_1", "source_2")} == {"s1", "s2"}


def test_musdb18(tmp_path: Path) -> None:
    found = read("musdb18", tmp_path)
    assert {one.facts["song"]: one.facts["split"] for one in found} == {
        "A Classic Education - NightOwl": "train",
        "ANiMAL - Rockshow": "valid",
        "AM Contra - Heart Peripheral": "test",
    }
    assert found[0].facts["artist"] == "A Classic Education" and Path(found[0].facts["vocals"]).name == "vocals.wav"
    (tmp_path / "train/A - B.stem.mp4").touch()
    with pytest.raises(ProbeError, match=r"compressed release \(\.stem\.mp4\); give MUSDB18-HQ"):
        read_corpus("musdb18", tmp_path)


def test_fuss(tmp_path: Path) -> None:
    found = read("fuss", tmp_path)
    assert sides(found) == {"train": 1, "valid": 1, "test": 1} and found[0].facts["sources"] == "2"
    assert Path(found[0].facts["source_2"]).name == "foreground0_sound.wav"


def test_esc50(tmp_path: Path) -> None:
    found = read("esc-50", tmp_path)
    assert sides(found) == {"train": 3, "valid": 1, "test": 1}
    assert {one.facts["event"] for one in found} == {"dog", "rain"} and found[4].facts["esc50_fold"] == "5"


def test_gtzan_with_and_without_lists(tmp_path: Path) -> None:
    found = read("gtzan", tmp_path)
    assert sides(found) == {"train": 2, "valid": 2, "test": 2} and found[0].facts["genre"] == "blues"
    (tmp_path / "valid_filtered.txt").unlink()
    bare = read_corpus("gtzan", tmp_path)
    assert len(bare) == 6 and all("split" not in one.facts for one in bare)


def test_hedgewars(tmp_path: Path) -> None:
    found = read("hedgewars", tmp_path)
    russian = [one for one in found if one.facts["language"] == "ru"]
    assert len(found) == 18 and {one.facts.get("keyword") for one in russian} == {None}
    assert {one.facts.get("keyword") for one in found if one.facts["language"] == "en"} == {"hello", "ow1"}
    assert {one.facts["text"] for one in russian} == {"hello", "ow1"} and {one.speaker for one in russian} == {
        "Default_ru"
    }
    # One voice's sound that is another's word for word is there once; seven voices are too few for a keyword.
    voices = tmp_path / "Data/Sounds/voices"
    (voices / "H/Hello.ogg").write_bytes((voices / "A/Hello.ogg").read_bytes())
    again = read_corpus("hedgewars", tmp_path)
    assert len(again) == 17 and {one.facts.get("keyword") for one in again} == {None, "ow1"}
