"""The study of layers, on a backbone whose layers are known to hear one thing each."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.analysis.support import RATE, Ears, write_corpus
from tokaudio.analysis.annotated.labels import find_labs
from tokaudio.analysis.layer_study import gathering, layers
from tokaudio.analysis.layer_study.gathering import Listener, gather
from tokaudio.analysis.layer_study.layers import assigned, study_layers
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.analysis.statistics.information import Information
from tokaudio.audio.manifest import Recording, read_manifest
from tokaudio.errors import TokaudioError
from tokaudio.nn.ssl import SpeechModel, SpeechSizes
from tokaudio.training.frames import FramesInMemory


class Heard(Listener):
    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.errors: list[str] = []
        self.clusterings: list[tuple[int, int]] = []

    def read(self, recording: Recording, seconds: float, error: TokaudioError | None) -> None:
        self.seconds.append(seconds)
        self.errors += [str(error)] if error else []

    def unlabelled(self, recording: Recording, error: TokaudioError) -> None:
        self.errors.append(str(error))

    def clustered(self, done: int, total: int) -> None:
        self.clusterings.append((done, total))


def test_each_layer_is_found_to_keep_what_it_hears(tmp_path: Path) -> None:
    recordings = write_corpus(tmp_path)
    heard = Heard()
    study = study_layers(
        recordings, Ears(), tmp_path / "work", name="ears", sizes=(30, 8), labs=find_labs(tmp_path / "lab"),
        listener=heard,
    )  # fmt: skip
    assert study.attributes == ("phone", "speaker", "pitch", "energy") and study.sizes == (8, 30)
    share = {(one.attribute, one.layer): one.share for one in study.measurements if one.clusters == 8}
    assert share["phone", 1] > 0.9 and share["phone", 0] < 0.2 and share["phone", 2] < 0.1
    assert share["speaker", 0] > 0.8 and share["speaker", 1] < 0.2 and share["speaker", 2] < 0.1
    assert share["energy", 0] > share["energy", 2] + 0.1 and share["phone", None] > 0.5
    assert (study.best("phone").layer, study.best("speaker").layer) == (1, 0)
    assert study.sentences()[-2].startswith("For content, cluster layer 1 with k = 8")
    assert "cluster layer 0: of speaker" in study.sentences()[-1]
    assert (study.facts["recordings"], study.facts["measured_recordings"]) == (16, 4)
    assert len(heard.seconds) == 16 and sum(heard.seconds) == pytest.approx(60 * float(study.facts["minutes"]))
    assert heard.clusterings == [(done, 8) for done in range(9)] and not heard.errors
    again = study_layers(
        recordings[::-1][::-1], Ears(), tmp_path / "again", name="ears", sizes=(8,), layers=(1,), cepstra=False,
        labs=find_labs(tmp_path / "lab"),
    )  # fmt: skip
    assert again.at("phone", 1, 8) == study.at("phone", 1, 8) and len(again.measurements) == 4


def test_a_real_backbone_and_what_is_missing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = SpeechSizes(width=16, layers=2, heads=2, inner=16, conv_widths=(8,) * 7, position_taps=16)
    write_corpus(tmp_path, recordings=4, segments=5)
    recordings = [dataclasses.replace(one, facts={}) for one in read_manifest(tmp_path / "all.csv")]
    model = SpeechModel(sizes).eval()
    study = study_layers(recordings, model, tmp_path / "work", name="tiny", sizes=(4, 9_999), layers=(2, 0))
    assert study.attributes == ("pitch", "energy") and study.layers == (2, 0) and study.sizes == (4,)
    notes = " ".join(study.notes)
    for phrase in ("9999 clusters are left out", "No phones", "No speakers: a manifest with a column"):
        assert phrase in notes, phrase


def test_features_and_labels_are_of_the_same_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = write_corpus(tmp_path, recordings=6)
    labs = find_labs(tmp_path / "lab")
    whole = gather(recordings, Ears(), tmp_path / "a", layers=(1, 0), labs=labs, seed=3)
    monkeypatch.setattr(gathering, "_PIECE_SECONDS", 1)
    cut = gather(recordings, Ears(), tmp_path / "b", layers=(1, 0), labs=labs, seed=3)
    for name in ("phone", "speaker"):
        assert np.array_equal(whole.labels[name], cut.labels[name])
    heights = next(iter(whole.held_out.blocks()))[:, 0]
    for phone in set(whole.labels["phone"].tolist()) - {-1}:
        assert heights[torch.from_numpy(whole.labels["phone"] == phone)].std() < 1e-2
    assert whole.measured == 2 and whole.held_out.shape == (len(whole.labels["pitch"]), 4)
    assert torch.equal(next(iter(cut.held_out.blocks())), next(iter(whole.held_out.blocks())))
    assert [frames.shape[1] for frames in whole.cepstra] == [39, 39]


def test_broken_recordings_and_labels_are_left_out(tmp_path: Path) -> None:
    recordings = write_corpus(tmp_path, recordings=8)
    recordings[1].path.write_bytes(b"RIFF")
    recordings[2].path.unlink()
    (tmp_path / "lab" / "3.lab").write_text("#\n99.0 125 a\n")
    (tmp_path / "lab" / "4.lab").write_text("nothing\n")
    heard = Heard()
    labs = find_labs(tmp_path / "lab")
    found = gather(recordings, Ears(), tmp_path / "work", layers=(0,), labs=labs, listener=heard)
    assert (found.recordings, found.failed, found.unlabelled) == (6, 2, 2)
    assert len(heard.errors) == 4 and any("its labels end at 99.00 s" in line for line in heard.errors)


def test_no_more_is_read_than_asked_for(tmp_path: Path) -> None:
    recordings = write_corpus(tmp_path, recordings=8)
    heard = Heard()
    gather(recordings, Ears(), tmp_path / "work", layers=(0,), max_minutes=4 / 60, listener=heard)
    assert 4 <= sum(heard.seconds) < 4 + max(heard.seconds)


def test_studies_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    recordings = write_corpus(tmp_path, recordings=2, segments=2)
    for options, message in (
        ({"layers": (3,)}, r"ears: layers are \[3\]; give different ones from 0 to 2"),
        ({"layers": (1, 1)}, r"layers are \[1, 1\]"),
        ({"layers": ()}, r"layers are \[\]"),
        ({"sizes": (1, 5)}, r"numbers of clusters are \[1, 5\]; give 2 or more"),
        ({"sizes": (500,)}, "frames for 500 clusters; give more audio or fewer clusters"),
    ):
        with pytest.raises(AnalysisError, match=message):
            study_layers(recordings, Ears(), tmp_path / message[:6], name="ears", **options)  # type: ignore[arg-type]
    with pytest.raises(AnalysisError, match="1 of 1 recordings can be used; give two at least"):
        gather(recordings[:1], Ears(), tmp_path / "one", layers=(0,))


def test_features_beyond_float16_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = write_corpus(tmp_path, recordings=2, segments=2)
    monkeypatch.setattr(Ears, "hidden_states", lambda self, wave, layers: torch.full((1, len(wave) // 320, 2), 1e6))
    with pytest.raises(AnalysisError, match="its features do not fit float16"):
        gather(recordings, Ears(), tmp_path / "work", layers=(0,))


def test_frames_have_the_number_of_the_nearest_centroid() -> None:
    rows = torch.tensor([[0.0], [0.9], [5.0]])
    assert assigned(FramesInMemory(rows), torch.tensor([[4.0], [0.0], [1.0]])).tolist() == [1, 2, 0]


def test_the_sounds_of_the_corpus_are_as_long_as_their_labels(tmp_path: Path) -> None:
    import soundfile

    from tokaudio.analysis.annotated.labels import read_lab

    write_corpus(tmp_path, recordings=1)
    read_lab(tmp_path / "lab" / "0.lab").check(soundfile.info(tmp_path / "wav" / "0.wav").frames / RATE, "0.lab")


def test_labels_that_last_have_a_floor_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lasting: dict[int, bool] = {}
    real = layers.evaluate

    def noted(codes: Integers, labels: Integers, *, seed: int, runs: bool) -> Information:
        lasting[len(set(labels.tolist()) - {-1})] = runs
        return real(codes, labels, seed=seed, runs=runs)

    monkeypatch.setattr(layers, "evaluate", noted)
    recordings = write_corpus(tmp_path, recordings=12, segments=6)
    labs = find_labs(tmp_path / "lab")
    study_layers(recordings, Ears(), tmp_path / "w", name="e", sizes=(4,), layers=(0,), labs=labs, cepstra=False)
    assert lasting[2] and not lasting[5]  # two speakers among what is measured, five phones
