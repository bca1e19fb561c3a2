"""Reports of sound and of saved tokens: what is read, counted and left out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.analysis.support import RATE, write_corpus
from tokaudio import Tokenizer, Tokens
from tokaudio.analysis import sound_measures
from tokaudio.analysis.annotated.annotations import Annotation, Annotations
from tokaudio.analysis.report_builder import ReportBuilder
from tokaudio.analysis.reporting import Listener, report, report_tokens
from tokaudio.analysis.robustness.robustness import RobustnessMeter
from tokaudio.analysis.robustness.transforms import Gain
from tokaudio.analysis.sounds import Clip, sounds_of
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio.manifest import Recording
from tokaudio.errors import TokaudioError, TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec

SECTIONS = {
    "usage",
    "rarefaction",
    "power_laws",
    "runs",
    "temporal_redundancy",
    "redundancy",
    "predictability",
    "incremental",
    "probes",
    "prototypes",
    "ablation",
    "robustness",
    "maps",
    "neighbours",
}


class Ear(Listener):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def read(self, name: str, seconds: float, error: TokaudioError | None) -> None:
        self.lines.append(f"read {Path(name).name} {seconds:.1f}" if error is None else f"failed {Path(name).name}")

    def unlabelled(self, name: str, error: TokaudioError) -> None:
        self.lines.append(f"unlabelled {Path(name).name}")

    def measured(self, done: int, total: int) -> None:
        self.lines.append(f"{done} of {total}")


@pytest.fixture(scope="module")
def codec() -> Tokenizer:
    return Tokenizer.from_pretrained("mini-semantic")


def test_sound_with_labels_becomes_a_report(tmp_path: Path, codec: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_measures, "RobustnessMeter", partial(RobustnessMeter, transforms=[Gain(-6.0)]))
    write_corpus(tmp_path, recordings=12, segments=8)
    (tmp_path / "wav" / "3.wav").write_bytes(b"RIFF")
    (tmp_path / "lab" / "4.lab").write_text("#\n99.0 125 a\n")
    ear = Ear()
    found = report(codec, tmp_path / "all.csv", tmp_path / "lab", intervention_seconds=1, listener=ear)
    assert found.facts["recordings"] == 11 and found.facts["failed_recordings"] == 1
    assert found.facts["unlabelled_recordings"] == 1 and found.facts["different_phones"] == 5
    assert "failed 3.wav" in ear.lines and "unlabelled 4.wav" in ear.lines
    assert ear.lines[-3:] == ["0 of 2", "1 of 2", "2 of 2"]
    names = {one.attribute for one in found.associations}
    assert {"phone", "speaker", "energy", "centroid", "4 to 8 kHz energy"} <= names
    assert found.facts["different_speakers"] == 3  # of the manifest
    phone = found.at(0, "phone")
    assert phone is not None and phone.score > 0.3
    assert any(note.startswith("Recordings are few (11): intervals are from stretches") for note in found.notes)
    assert any(note.startswith("Recordings that could not be read and were left out: 1.") for note in found.notes)
    # Swaps were not asked for.
    assert set(found.sections) == SECTIONS | {"swaps"}
    assert [name for name, section in found.sections.items() if section is None] == ["swaps"]
    assert found.held is not None and set(found.held.sounds) <= {
        (one.codebook, one.code) for book in found.sections["prototypes"].codebooks for one in book
    }
    document = found.to_dict()["sections"]
    assert len(document["prototypes"]["codebooks"]) == len(document["maps"]["rows"]) == 2
    assert document["prototypes"]["codebooks"][0][0]["phones"]
    assert {row["attribute"] for row in document["probes"]["rows"]} == names
    assert found.tokenizer["name"] == "mini-semantic" and found.tokenizer["fingerprint"] == codec.fingerprint


def test_recordings_without_labels_are_counted_and_labels_of_others_refused(tmp_path: Path, codec: Tokenizer) -> None:
    recordings = write_corpus(tmp_path, recordings=4, segments=6)
    (tmp_path / "lab" / "2.lab").unlink()
    found = report(codec, recordings, tmp_path / "lab", intervention_seconds=0)
    assert found.facts["unlabelled_recordings"] == 1
    assert any(note.startswith("Recordings without labels that can be used: 1;") for note in found.notes)
    other = Annotations(by_stem={"x": lambda recording: Annotation()})
    with pytest.raises(AnalysisError, match=r"labels are of other recordings than 'wav/0\.wav' and 3 others; name"):
        report(codec, recordings, other)


def test_the_order_of_recordings_and_the_seed_say_the_same(tmp_path: Path, codec: Tokenizer) -> None:
    recordings = write_corpus(tmp_path, recordings=4, segments=6)
    first, again = (report(codec, recordings, tmp_path / "lab", intervention_seconds=0).to_json() for _ in range(2))
    assert first == again
    few = report(codec, recordings, tmp_path / "lab", max_minutes=0.03, intervention_seconds=0, limit=50)
    assert few.facts["recordings"] < 4 and few.facts["sampled_frames"] == 50
    assert any(note.startswith("Information is of 50 frames, drawn") for note in few.notes)


def test_saved_tokens_are_enough(tmp_path: Path, codec: Tokenizer) -> None:
    files = []
    for recording in write_corpus(tmp_path, recordings=6, segments=6):
        files.append(tmp_path / f"{recording.path.stem}.npz")
        codec.encode(recording.path).save(files[-1])
    found = report_tokens(files, tmp_path / "lab")
    assert {one.attribute for one in found.associations} == {"phone"} and len(found.roles) == 2
    assert any(note.startswith("There was no sound") for note in found.notes)
    bare = report_tokens([Tokens.load(file) for file in files])
    assert bare.roles == () and bare.facts["recordings"] == 6 and bare.sentences() == []
    assert bare.facts["seconds"] == pytest.approx(found.facts["seconds"])
    ear = Ear()
    (tmp_path / "bad.npz").write_bytes(b"no")
    assert report_tokens([*files, tmp_path / "bad.npz"], listener=ear).facts["failed_recordings"] == 1
    assert "failed bad.npz" in ear.lines
    with pytest.raises(AnalysisError, match="none of 1 token files can be read"):
        report_tokens([tmp_path / "bad.npz"])


def test_tokens_of_another_tokenizer_are_refused(codec: Tokenizer) -> None:
    spec = TokenizerSpec("toy", "compression", RATE, 320, (CodebookSpec(8),))
    builder = ReportBuilder(spec)
    with pytest.raises(TokensError, match="were made by mini-semantic"):
        builder.add(codec.encode(torch.zeros(RATE)), None, None)
    with pytest.raises(TokensError, match="2 items; give one at a time"):
        builder.add(Tokens.from_codes(torch.zeros(2, 1, 5, dtype=torch.int64), spec), None, None)


def test_frames_without_all_codebooks_count_where_they_have_one() -> None:
    spec = TokenizerSpec("toy", "compression", RATE, 320, (CodebookSpec(8),) * 2)
    builder = ReportBuilder(spec)
    for number in range(30):
        codes = torch.from_numpy(np.random.default_rng(number).integers(0, 8, (1, 2, 40)))
        depth = torch.tensor([[2] * 10 + [1] * 30])
        codes[:, 1, 10:] = 0
        whole = Tokens.from_codes(codes, spec)
        tokens = Tokens(codes, whole.lengths, whole.num_samples, spec, depth=depth)
        builder.add(tokens, None, Annotation(facts={"speaker": str(number % 3)}))
    found = builder.finish()
    assert [one.information.frames for one in found.associations] == [1200, 300]


def test_audio_is_given_in_many_forms(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("path,speaker\na.wav,ann\n")
    samples = np.zeros(8)
    given = [
        "b.wav",
        tmp_path / "all.csv",
        Recording(Path("c.wav"), "c"),
        [samples],
        Clip(samples, 8000, "d"),
        torch.zeros(3),
    ]
    sounds = list(sounds_of(given, 16_000))
    assert [sound.name for sound in sounds] == ["b.wav", "a.wav", "c", "clip 0", "d", "clip 5"]
    assert isinstance(sounds[1], Recording) and sounds[1].speaker == "ann"
    for audio, message in ((tmp_path, "is a folder; list"), (samples, "no sample rate"), (3, "audio is a int")):
        with pytest.raises(AnalysisError, match=message):
            list(sounds_of(audio))


def test_too_little_is_refused(tmp_path: Path, codec: Tokenizer) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), RATE)
    with pytest.raises(AnalysisError, match="1 recordings were given and 0 of them could not be read; give more audio"):
        report(codec, tmp_path / "a.wav")
    with pytest.raises(AnalysisError, match="1 of them could not be read"):
        report(codec, tmp_path / "none.wav")


def test_names_are_found_where_they_are_used() -> None:
    import tokaudio.analysis as package

    assert package.report is report and package.report_tokens is report_tokens
    assert package.Report.__name__ == "Report"
    with pytest.raises(AttributeError, match="it has Comparison, Report, compare, report, report_tokens"):
        package.nonsense
