"""Arrays in, arrays out: whatever the batch, the codes are those of the item alone."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.support import RATE
from tests.tokenizers.conftest import make_codec
from tokaudio.corpus import tokenize_batch
from tokaudio.corpus.tokenize_batch import TokenizeBatch, length_buckets
from tokaudio.errors import AudioError, CheckpointError, MissingDependencyError
from tokaudio.tokenizers import Tokenizer
from tokaudio.tokens import Tokens

ROOT = Path(__file__).parents[2]


def clips(*lengths: int) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.normal(0, 0.1, length).astype(np.float32) for length in lengths]


def alone(clip: np.ndarray, rate: int = RATE) -> np.ndarray:
    return make_codec().encode(clip, rate).codes[0].numpy()


@settings(max_examples=8)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=9), st.sampled_from([0.01, 0.2, 60.0]))
def test_codes_do_not_depend_on_the_batch(tokenize: TokenizeBatch, lengths: list[int], seconds: float) -> None:
    given = clips(*lengths)
    out = TokenizeBatch(tokenize.tokenizer, batch_seconds=seconds)({"audio": given})
    for clip, codes in zip(given, out["codes"], strict=True):
        assert codes.dtype == np.uint16
        assert np.array_equal(codes, alone(clip))
    assert out["num_samples"].tolist() == lengths
    assert out["num_frames"].tolist() == [codes.shape[1] for codes in out["codes"]]
    assert out["error"] == [None] * len(lengths)


@given(st.dictionaries(st.integers(0, 99), st.integers(0, 1000), max_size=40), st.integers(1, 3000))
def test_buckets_hold_every_item_once_and_waste_little(lengths: dict[int, int], budget: int) -> None:
    buckets = length_buckets(lengths, budget)
    assert sorted(index for bucket in buckets for index in bucket) == sorted(lengths)
    for bucket in buckets:
        longest = max(lengths[index] for index in bucket)
        assert len(bucket) == 1 or len(bucket) * longest <= budget
        assert all(1.25 * lengths[index] >= longest for index in bucket)


def test_every_form_of_sound_is_taken(tokenize: TokenizeBatch, tmp_path: Path) -> None:
    (clip,) = clips(1_000)
    soundfile.write(tmp_path / "a.wav", clip, 8_000, subtype="FLOAT")
    wanted = alone(clip, 8_000)
    batches: list[dict[str, list[object]]] = [
        {"audio": [clip], "sample_rate": [8_000]},
        {"audio": [clip.tolist()], "sampling_rate": [8_000]},
        {"audio": [torch.from_numpy(clip)], "sample_rate": [8_000]},
        {"audio": [{"array": clip, "sampling_rate": 8_000, "path": "x"}]},
        {"path": [str(tmp_path / "a.wav")]},
        {"path": [str(tmp_path / "a.wav")], "start": [None], "end": [float("nan")]},
    ]
    for batch in batches:
        assert np.array_equal(tokenize(batch)["codes"][0], wanted), batch.keys()
    part = tokenize({"path": [str(tmp_path / "a.wav")], "start": [0.025], "end": [0.1]})
    assert np.array_equal(part["codes"][0], alone(clip[200:800], 8_000))


def test_other_columns_pass_and_sound_does_not(tokenize: TokenizeBatch) -> None:
    out = tokenize({"audio": clips(100), "text": ["yes"], "n": np.array([3])})
    assert (out["text"], out["n"].tolist(), "audio" in out) == (["yes"], [3], False)


def test_what_is_wrong_with_an_item_is_said_of_it_alone(tokenize: TokenizeBatch) -> None:
    good, other = clips(300, 200)
    wrong = np.array([np.nan], np.float32)
    out = tokenize({"audio": [good, wrong, np.zeros(0, np.float32), other]})
    assert [error is None for error in out["error"]] == [True, False, False, True]
    assert "is nan" in out["error"][1] and "no samples" in out["error"][2]
    assert [codes.shape[1] > 0 for codes in out["codes"]] == [True, False, False, True]
    assert {codes.shape[0] for codes in out["codes"]} == {3}
    assert np.array_equal(out["codes"][3], alone(other))
    with pytest.raises(AudioError, match="is nan"):
        TokenizeBatch(tokenize.tokenizer, errors="raise")({"audio": [good, wrong]})
    assert tokenize({"path": ["/none.wav"]})["error"][0].startswith("/none.wav: no such file")
    with pytest.raises(AudioError, match="no column audio and no path"):
        tokenize({"text": ["a"]})


def test_memory_that_does_not_suffice_halves_the_batch(
    tokenize: TokenizeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, sizes = clips(*[400] * 7, 4_000), []
    real = Tokenizer.encode

    def encode(self: Tokenizer, audio: list[torch.Tensor], *args: object, **options: object) -> Tokens:
        sizes.append(len(audio))
        if sum(clip.shape[1] for clip in audio) > 1_000:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, audio, *args, **options)

    wanted = [alone(clip) for clip in given[:7]]
    monkeypatch.setattr(Tokenizer, "encode", encode)
    out = tokenize({"audio": given})
    assert [error is None for error in out["error"]] == [True] * 7 + [False]
    assert "not enough memory" in out["error"][7]
    assert all(np.array_equal(*pair) for pair in zip(out["codes"], wanted, strict=False))
    assert sizes == [1, 7, 4, 2, 2, 3, 2, 1]


def test_a_failure_of_the_model_costs_its_item_alone(tokenize: TokenizeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Tokenizer.encode

    def encode(self: Tokenizer, audio: list[torch.Tensor], *args: object, **options: object) -> Tokens:
        if any(clip.shape[1] == 401 for clip in audio):
            raise ZeroDivisionError("no")
        return real(self, audio, *args, **options)

    monkeypatch.setattr(Tokenizer, "encode", encode)
    out = tokenize({"audio": clips(400, 401, 402)})
    assert [error is None for error in out["error"]] == [True, False, True]
    assert "unexpected ZeroDivisionError" in out["error"][1]


def test_it_travels_light_and_loads_once(tokenize: TokenizeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenize.load()
    there = pickle.loads(pickle.dumps(tokenize))
    assert there == tokenize and len(pickle.dumps(tokenize)) < 600
    monkeypatch.setattr(tokenize_batch, "_load", None)
    assert there.load() is tokenize.load()


def test_it_works_in_a_process_that_has_never_heard_of_it(tokenize: TokenizeBatch) -> None:
    (clip,) = clips(500)
    code = (
        "import pickle, sys\n"
        "tokenize, batch = pickle.load(sys.stdin.buffer)\n"
        "sys.stdout.buffer.write(pickle.dumps(tokenize(batch)))\n"
    )
    sent = pickle.dumps((tokenize, {"audio": [clip]}))
    done = subprocess.run([sys.executable, "-c", code], input=sent, cwd=ROOT, capture_output=True, check=True)
    assert np.array_equal(pickle.loads(done.stdout)["codes"][0], alone(clip))


def test_fewer_codebooks_and_layers(tokenize: TokenizeBatch) -> None:
    (clip,) = clips(500)
    out = TokenizeBatch(tokenize.tokenizer, num_codebooks=2)({"audio": [clip]})
    assert np.array_equal(out["codes"][0], alone(clip)[:2])
    with pytest.raises(CheckpointError, match="has no layers to choose"):
        TokenizeBatch(tokenize.tokenizer, layers=(1,)).load()
    for device in ("cuda:99", "nonsense"):
        with pytest.raises(MissingDependencyError, match=f"device {device}: cannot be used here .*; use auto or cpu"):
            TokenizeBatch(tokenize.tokenizer, device=device).load()
    assert TokenizeBatch(tokenize.tokenizer, device="auto").load().device.type in ("cpu", "cuda")
