"""What is known about recordings, from manifests, CTM files and folders of label files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tokaudio.analysis.annotated.annotations import Annotation, Annotations, facts_of, read_annotations
from tokaudio.analysis.annotated.label_files import segments_of
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio.manifest import Recording, read_manifest
from tokaudio.errors import AudioError

LAB = "#\n0.5 125 a\n1.0 125 b\n"


def recording(folder: Path, name: str, **facts: str) -> Recording:
    return Recording(folder / name, name, facts)


def test_a_manifest_names_label_files_and_facts(tmp_path: Path) -> None:
    (tmp_path / "a.lab").write_text(LAB)
    (tmp_path / "all.ctm").write_text("a 1 0.1 0.4 yes\nb 1 0.0 0.3 no\n")
    (tmp_path / "all.csv").write_text(
        "path,voice,lang,emotion,phones,words\nwav/a.wav,ann,en,calm,a.lab,all.ctm\nwav/b.wav,bob,,,,all.ctm\n"
    )
    known = read_annotations(tmp_path / "all.csv")
    assert len(known) == 2
    first = known.of(recording(tmp_path, "wav/a.wav"))
    assert first.facts == {"speaker": "ann", "language": "en", "emotion": "calm"}
    assert first.segments["phone"].names == ("a", "b") and first.segments["word"].names == ("yes",)
    second = known.of(recording(tmp_path, "wav/b.wav"))
    assert second.facts == {"speaker": "bob"} and list(second.segments) == ["word"]
    elsewhere = known.of(recording(tmp_path / "copy", "b.wav"))  # by its name, where its path is another
    assert elsewhere.facts == {"speaker": "bob"}
    assert known.of(recording(tmp_path, "c.wav", speaker="eve")).facts == {"speaker": "eve"}


def test_recordings_of_one_name_go_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("path,speaker\nx/a.wav,ann\ny/a.wav,bob\n")
    known = read_annotations(tmp_path / "all.csv")
    assert known.of(recording(tmp_path, "y/a.wav")).facts == {"speaker": "bob"}
    assert known.of(recording(tmp_path / "z", "a.wav")).facts == {}


def test_a_manifest_in_json_holds_times_itself(tmp_path: Path) -> None:
    rows = [{"path": "a.wav", "phones": [[0, 0.5, "a"], [0.5, 1, "b"]], "speaker": 7}, {"path": "b.wav", "phones": []}]
    manifest = tmp_path / "all.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert read_manifest(manifest)[0].facts["phones"] == '[[0, 0.5, "a"], [0.5, 1, "b"]]'
    known = read_annotations(manifest)
    found = known.of(recording(tmp_path, "a.wav"))
    assert found.segments["phone"].names == ("a", "b") and found.facts == {"speaker": "7"}
    with pytest.raises(AnalysisError, match=r"b\.wav: holds no label"):
        known.of(recording(tmp_path, "b.wav"))
    manifest.write_text(json.dumps({"path": "a.wav", "words": [[0, 1]]}))
    with pytest.raises(AnalysisError, match=r"a\.wav: its labels are '\[\[0, 1\]\]'; write \[\[0"):
        read_annotations(manifest).of(recording(tmp_path, "a.wav"))


def test_a_folder_of_label_files_goes_by_names(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.lab").write_text(LAB)
    known = read_annotations(tmp_path)
    assert known.of(recording(Path("elsewhere"), "a.flac")).segments["phone"].names == ("a", "b")
    assert known.of(recording(Path("elsewhere"), "b.flac")).segments == {}
    (tmp_path / "a.lab").write_text(LAB)
    with pytest.raises(AnalysisError, match="has the same name as"):
        read_annotations(tmp_path)


def test_a_ctm_file_is_enough(tmp_path: Path) -> None:
    (tmp_path / "words.ctm").write_text("a 1 0.1 0.4 yes\n")
    known = read_annotations(tmp_path / "words.ctm")
    assert known.of(recording(tmp_path, "a.wav")).segments["word"].names == ("yes",)


def test_places_without_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("path,size\na.wav,3\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    for name, message in (
        ("all.csv", "has no column of labels; name one of them speaker,"),
        ("empty", r"holds no \.TextGrid and no \.lab file"),
        ("notes.txt", "holds no labels that are known; give a manifest"),
    ):
        with pytest.raises(AnalysisError, match=message):
            read_annotations(tmp_path / name)
    with pytest.raises(AudioError, match="cannot be read"):
        read_annotations(tmp_path / "none.csv")


def test_unknown_names_are_counted_and_have_no_label() -> None:
    rows = [(0.0, 0.5, "a"), (0.5, 1.0, "SPN"), (1.5, 2.0, "sil")]
    known = Annotation({"phone": segments_of(rows, "a")}, {"emotion": "calm"})
    names, unknown = known.names_at(np.array([0.1, 0.6, 0.7, 1.2, 1.6]))
    assert names == {"phone": ["a", None, None, None, "sil"], "emotion": ["calm"] * 5}
    assert unknown == 2


def test_labels_beyond_the_audio_are_refused() -> None:
    known = Annotation({"word": segments_of([(0.0, 3.0, "a")], "a.ctm")}, source="a.ctm")
    known.check(2.9)
    known.check(60.0)  # silence at the end has no label
    Annotation().check(1.0)
    with pytest.raises(AnalysisError, match=r"^a\.ctm: its labels end at 3\.00 s and the audio at 2\.00 s; give the"):
        known.check(2.0)


def test_facts_have_several_names() -> None:
    assert facts_of({"speaker_id": "7", "locale": "ru", "mood": "calm"}) == {"speaker": "7", "language": "ru"}
    assert Annotations().of(Recording(Path("a.wav"), "a.wav")).facts == {}
