"""Semantic tokenizers from recordings: complete, recorded, repeatable, and the same after any interruption."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.near import assert_near
from tests.tokenizers.test_speech_files import made
from tests.training.speech import write_sounds
from tokaudio import Tokenizer
from tokaudio.errors import CheckpointError
from tokaudio.quantizers.search import nearest_exact
from tokaudio.tokenizers.self_check import run_self_check
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.training.extraction import Listener, Sound, data_hash
from tokaudio.training.fit_semantic import fit_semantic_tokenizer, work_folder
from tokaudio.training.kmeans import FitError
from tokaudio.training.resumable import WorkError

FILES = ["README.md", "config.json", "fit.json", "model.safetensors", "self_check.json"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Sound]:
    folder = write_sounds(tmp_path_factory.mktemp("data"), {f"{name}.wav": 0.7 for name in "abcde"})
    write_sounds(folder, {"short.wav": 0.01})
    (folder / "broken.wav").write_bytes(b"junk")
    return [Sound(str(path), path.name) for path in sorted(folder.iterdir())]


def fit(data: list[Sound], output: Path, layers: tuple[int, ...] = (3, 1), **options: Any) -> dict[str, Any]:
    return fit_semantic_tokenizer(data, made(), layers, output, **{"codebook_size": 8, **options}).record


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_complete_folder(data: list[Sound], tmp_path: Path) -> None:
    record = fit(data, tmp_path / "new" / "units", codebook_size=(8, 5), licence="MIT", backbone_name="tiny-wavlm")
    folder = tmp_path / "new" / "units"
    assert sorted(contents(folder)) == FILES and os.listdir(tmp_path / "new") == ["units"]  # noqa: PTH208
    tokenizer = Tokenizer.from_pretrained(folder)
    assert isinstance(tokenizer, SemanticTokenizer) and tokenizer.spec.name == "units"
    assert tokenizer.layers == (3, 1) and tokenizer.layer_sizes == (8, 5)
    assert str(run_self_check(tokenizer, folder)).startswith("exact")
    assert json.loads((folder / "fit.json").read_text()) == record
    states = [made().hidden_states(tokenizer_input(sound), layers=(3, 1)) for sound in good(data)]
    rows = torch.cat(states, dim=1)
    for book, layer, told in zip(tokenizer.quantizer.books, rows, record["codebooks"], strict=True):
        found = nearest_exact(layer, book.table)
        distances = (layer - book.table[found]).square().sum(1)
        assert_near(torch.tensor(told["inertia"]), distances.mean(), within=1e-3)
        assert sum(told["counts"]) == len(layer) and len(told["counts"]) == told["size"] == len(book.table)
        assert 0.3 < told["explained"] < 1
    card = (folder / "README.md").read_text()
    assert "license: other" in card or "license: MIT" in card
    for part in (
        "tiny-wavlm",
        record["data"]["sha256"],
        "| 3 | 0 | 0 | 8 | 8 |",
        "5 recordings",
        "1 could not be read",
    ):
        assert part in card


def good(data: list[Sound]) -> list[Sound]:
    return [sound for sound in data if len(sound.name) == 5]


def tokenizer_input(sound: Sound) -> torch.Tensor:
    from tokaudio.audio import read_audio

    return read_audio(sound.path)[0][0]


def test_the_record(data: list[Sound], tmp_path: Path) -> None:
    record = fit(data, tmp_path / "units", seed=3, restarts=1, steps=0, max_frames=100, dtype=torch.float32)
    assert record["options"] == {
        "layers": [3, 1],
        "codebook_size": [8, 8],
        "groups": 1,
        "stages": 1,
        "seed": 3,
        "restarts": 1,
        "steps": 0,
        "most_frames": 100,
        "features": "float32",
        "allow_truncated": False,
        "device": "cpu",
    }
    assert [book["steps"] for book in record["codebooks"]] == [0, 0]
    assert record["data"]["frames"] == 100 and record["data"]["files"] == 3
    assert record["data"]["hours"] == pytest.approx(2 / 3600)
    assert record["fingerprint"] == Tokenizer.from_pretrained(tmp_path / "units").fingerprint
    assert set(record["versions"]) == {"tokaudio", "torch", "python", "resampler"}
    whole = fit(data, tmp_path / "whole")["data"]
    assert (whole["files"], whole["frames"], whole["too_short"]) == (5, 170, ["short.wav"])
    assert list(whole["failed"]) == ["broken.wav"] and str(tmp_path) not in json.dumps(whole)
    assert fit(data, tmp_path / "hours", max_hours=1 / 3600, max_frames=70)["data"]["frames"] == 50


def test_the_same_wherever_and_however(data: list[Sound], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(data, tmp_path / "a" / "units")
    copies = tmp_path / "moved"
    copies.mkdir()
    for sound in data:
        (copies / sound.name).write_bytes(Path(sound.path).read_bytes())
    moved = [Sound(str(copies / sound.name), sound.name) for sound in reversed(data)]
    fit(moved, tmp_path / "b" / "units", threads=3)
    assert contents(tmp_path / "a" / "units") == contents(tmp_path / "b" / "units"), "to the last byte"
    other = fit(data, tmp_path / "c" / "units", seed=1)
    assert other["fingerprint"] != Tokenizer.from_pretrained(tmp_path / "a" / "units").fingerprint


def test_groups_and_stages(data: list[Sound], tmp_path: Path) -> None:
    record = fit(data, tmp_path / "units", layers=(2,), groups=2, stages=2, codebook_size=6)
    places = [(book["layer"], book["group"], book["stage"]) for book in record["codebooks"]]
    assert places == [(2, 0, 0), (2, 0, 1), (2, 1, 0), (2, 1, 1)]
    first, second = record["codebooks"][:2]
    assert second["inertia"] < 0.9 * first["inertia"]
    tokenizer = Tokenizer.from_pretrained(tmp_path / "units")
    sound = tokenizer_input(data[0])
    features, tokens = tokenizer.features(sound), tokenizer.encode(sound)
    left = (features - tokenizer.embed(tokens)).square().sum(1).mean()
    one = SemanticTokenizer.from_pretrained(fit_folder(data, tmp_path / "one", layers=(2,), codebook_size=6))
    alone = (features - one.embed(one.encode(sound))).square().sum(1).mean()
    assert left < 0.8 * alone, "more codebooks on the same layer lose less"


def fit_folder(data: list[Sound], output: Path, **options: Any) -> Path:
    fit(data, output, **options)
    return output


def test_what_cannot_be_fitted(data: list[Sound], tmp_path: Path) -> None:
    with pytest.raises(FitError, match="170 frames for 171 centroids; give more audio or a smaller k"):
        fit(data, tmp_path / "units", codebook_size=(3, 171))
    assert work_folder(tmp_path / "units").exists()
    heard = Counts()
    fit(data, tmp_path / "units", codebook_size=20, listener=heard)
    assert heard.before == 7, "features are there for another k"
    with pytest.raises(FitError, match="100 frames for 200 centroids"):
        fit(data, tmp_path / "other", codebook_size=200, max_frames=100)
    for layers, problem in (((4,), "from 0 to 3"), ((1, 1), "different")):
        with pytest.raises(CheckpointError, match=problem):
            fit(data, tmp_path / "other", layers=layers)
    part = made()
    del part.layers[1:]
    with pytest.raises(CheckpointError, match=r"lacks layers\.1.*layer 3 needs; load it with more layers"):
        fit_semantic_tokenizer(data, part, (3,), tmp_path / "other", codebook_size=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["units"]


class Counts(Listener):
    before = 0

    def finished(self, sound: Sound, entry: Any, error: Exception | None, *, before: bool) -> None:
        self.before += before


def test_other_options_are_refused_while_work_is_unfinished(data: list[Sound], tmp_path: Path) -> None:
    class Stops(Listener):
        def fitted(self, done: int, total: int) -> None:
            if done:
                raise KeyboardInterrupt

    def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            fit(data, tmp_path / "units", listener=Stops())

    interrupted()
    for change, told in (({"seed": 1}, "seed 0, now 1"), ({"max_frames": 99}, "most_frames null, now 99")):
        with pytest.raises(WorkError, match=told):
            fit(data, tmp_path / "units", **change)
    with pytest.raises(WorkError, match=r"recordings \w{8}, now \w{8}"):
        fit(data[1:], tmp_path / "units")
    fit(data, tmp_path / "units")
    fit(data, tmp_path / "whole", name="units")
    assert contents(tmp_path / "units") == contents(tmp_path / "whole")
    interrupted()
    fit(data, tmp_path / "units", seed=1, start_over=True)
    assert not work_folder(tmp_path / "units").exists()


KILLS = """
import os, signal, sys
from pathlib import Path
from tests.training.test_fit_semantic import contents, fit
from tokaudio.training import extraction
from tokaudio.training.extraction import Sound

extraction._SYNC_SECONDS = -1.0
root, data = Path(sys.argv[1]), [Sound(str(path), path.name) for path in sorted(Path(sys.argv[2]).iterdir())]

def child(action):
    pid = os.fork()
    if not pid:
        action()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def counted(owner, name, state):
    real = getattr(owner, name)
    def call(*given, **named):
        state[0] -= 1
        if state[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)
    setattr(owner, name, call)

def run(output, moment):
    # Every call that changes a file may be the last one.
    state = [moment]
    for owner, name in ((os, "write"), (os, "fsync"), (os, "ftruncate"), (Path, "replace"), (Path, "rename")):
        counted(owner, name, state)
    fit(data, output, codebook_size=3, restarts=1)
    (root / "calls").write_text(str(moment - state[0]))

fit(data, root / "imports", codebook_size=3, restarts=1)  # once, for all children
assert child(lambda: run(root / "whole" / "units", 0)) == 0
calls = int((root / "calls").read_text())
for moment in (3, calls // 2, calls - 8, calls - 1):
    output = root / str(moment) / "units"
    assert child(lambda: run(output, moment)) == -signal.SIGKILL, moment
    assert child(lambda: run(output, 0)) == 0
    assert contents(output) == contents(root / "whole" / "units"), moment
    assert [path.name for path in output.parent.iterdir()] == ["units"]
print("killed", calls)
"""


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    data = write_sounds(tmp_path / "data", {"a.wav": 0.2, "b.wav": 0.2, "c.wav": 0.01})
    command = [sys.executable, "-c", KILLS, str(tmp_path), str(data)]
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) > 30


def test_the_hash_is_of_contents_only(data: list[Sound], tmp_path: Path) -> None:
    record = fit(data, tmp_path / "units")["data"]
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for number, sound in enumerate(good(data)):
        (renamed / f"{number}.wav").write_bytes(Path(sound.path).read_bytes())
    sounds = [Sound(str(path), path.name) for path in renamed.iterdir()]
    assert fit(sounds, tmp_path / "other")["data"]["sha256"] == record["sha256"]
    assert fit(sounds[1:], tmp_path / "fewer")["data"]["sha256"] != record["sha256"] != data_hash([])
