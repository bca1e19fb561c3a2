"""The built-in signal and its stored codes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from tokaudio import Tokenizer, list_tokenizers
from tokaudio.catalogue import builtin_folder
from tokaudio.errors import CheckpointError
from tokaudio.tokenizers.self_check import (
    main,
    run_self_check,
    self_check_codes,
    self_check_signal,
    write_self_check,
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The codec that ships."""
    return Tokenizer.from_pretrained("mini-codec")


@pytest.mark.parametrize(
    ("sample_rate", "digest"),
    [(16_000, "42e8effefaa89bf5"), (44_100, "cb02f555c9e4e910")],
)
def test_signal_is_the_same_everywhere(sample_rate: int, digest: str) -> None:
    signal = self_check_signal(sample_rate)
    assert signal.shape == (1, 2 * sample_rate + 123)
    assert hashlib.sha256(signal.numpy().astype("<f4").tobytes()).hexdigest()[:16] == digest


def test_signal_is_a_sound() -> None:
    signal = self_check_signal(16_000)[0]
    assert 0.05 < float(signal.square().mean().sqrt()) < 0.5
    assert float(signal.abs().max()) < 1
    assert signal.unique().numel() > 1_000


def test_channels_differ() -> None:
    left, right = self_check_signal(8_000, 2)
    assert not torch.equal(left, right)
    assert torch.equal(left[:-7], right[7:])


@pytest.mark.parametrize("name", list_tokenizers())
def test_shipped_codes_are_of_the_shipped_weights(name: str) -> None:
    folder = builtin_folder(name)
    assert folder is not None
    check = run_self_check(Tokenizer.from_pretrained(folder), folder)
    assert check.status in ("exact", "differs")
    # Another processor may round a near tie to the other side.
    assert check.equal >= 0.98 * check.total > 0


def test_codes_use_many_entries(tokenizer: Tokenizer) -> None:
    codes = self_check_codes(tokenizer)
    assert codes.shape == (tokenizer.spec.num_codebooks, 101)
    assert all(row.unique().numel() > 20 for row in codes)


def test_written_codes_are_found_exact(tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert run_self_check(tokenizer, tmp_path).status == "missing"
    path = write_self_check(tokenizer, tmp_path)
    check = run_self_check(tokenizer, tmp_path)
    assert (check.status, check.passed, check.equal, check.total) == ("exact", True, 808, 808)
    assert [file.name for file in tmp_path.iterdir()] == ["self_check.json"]
    assert path.stat().st_size < 10_000


def test_one_other_code_is_noticed(tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_self_check(tokenizer, tmp_path)
    codes = self_check_codes(tokenizer)
    codes[3, 50] ^= 1
    monkeypatch.setattr("tokaudio.tokenizers.self_check.self_check_codes", lambda _: codes)
    check = run_self_check(tokenizer, tmp_path)
    assert not check.passed
    assert str(check) == "differs in 1 of 808 codes (99.88 % equal)"


def test_other_weights_are_told_apart(tmp_path: Path) -> None:
    changed = Tokenizer.from_pretrained("mini-codec")
    write_self_check(changed, tmp_path)
    with torch.no_grad():
        next(changed.parameters()).add_(1e-3)
    check = run_self_check(changed, tmp_path)
    assert (check.status, check.passed) == ("other weights", False)


@pytest.mark.parametrize("damage", ["code", "digest", "key", "text", "signal"])
def test_damaged_store_is_refused(tokenizer: Tokenizer, tmp_path: Path, damage: str) -> None:
    path = write_self_check(tokenizer, tmp_path)
    document = json.loads(path.read_text())
    if damage == "code":
        document["codes"][0][0] ^= 1
    elif damage == "digest":
        document["sha256"] = "0" * 64
    elif damage == "key":
        del document["fingerprint"]
    elif damage == "signal":
        document["signal"] = "other"
    path.write_text("{" if damage == "text" else json.dumps(document))
    with pytest.raises(CheckpointError, match=r"self_check\.json: .*; write it again"):
        run_self_check(tokenizer, tmp_path)


def test_command_writes_for_a_folder(tokenizer: Tokenizer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tokenizer.save_pretrained(tmp_path / "saved")
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == f"self_check.json: mini-codec, weights {tokenizer.fingerprint}\n"
    assert run_self_check(tokenizer, folder).passed
