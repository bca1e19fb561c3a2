"""Folders of weights: what is written comes back, and nothing damaged is trusted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tokaudio import Tokenizer
from tokaudio.checkpoints import check_tensors
from tokaudio.errors import CheckpointError, OutputError, UnknownNameError
from tokaudio.tokenizers import SpectralCodec

TABLE = "quantizer.levels.1.book.table"


@pytest.fixture
def saved(codec: SpectralCodec, tmp_path: Path) -> Path:
    return codec.save_pretrained(tmp_path / "saved")


def change_tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def change_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_what_is_saved_comes_back(codec: SpectralCodec, saved: Path, noise: Tensor):
    loaded = Tokenizer.from_pretrained(saved)
    assert loaded.spec == codec.spec
    assert loaded.fingerprint == codec.fingerprint
    assert loaded.encode(noise) == codec.encode(noise)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    assert sorted(path.name for path in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_weights_that_fit_float16_are_stored_in_it_and_come_back_the_same(codec: SpectralCodec, tmp_path: Path):
    codec.half().float()
    folder = codec.save_pretrained(tmp_path)
    assert {value.dtype for value in load_file(folder / "model.safetensors").values()} == {torch.float16}
    assert Tokenizer.from_pretrained(folder).fingerprint == codec.fingerprint


def test_saving_again_replaces_and_saving_nowhere_is_refused(codec: SpectralCodec, saved: Path):
    codec.decoder.out.bias.add_(1)
    codec.save_pretrained(str(saved))
    assert Tokenizer.from_pretrained(saved).fingerprint == codec.fingerprint
    with pytest.raises(OutputError, match=r"config.json: is not a folder; choose another name"):
        codec.save_pretrained(saved / "config.json")
    with pytest.raises(OutputError, match=r"deeper: a part of its path is not a directory; choose another path"):
        codec.save_pretrained(saved / "config.json" / "deeper")
    (saved / "model.safetensors").unlink()
    (saved / "model.safetensors").mkdir()
    with pytest.raises(OutputError, match=r"model.safetensors: is a directory; name a file"):
        codec.save_pretrained(saved)
    assert not list(saved.glob(".*")), "no half-written file stays"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t.pop(TABLE), f"lacks tensor '{TABLE}'"),
        (lambda t: [t.pop(name) for name in list(t) if name.startswith("decoder")], "lacks tensor .* and .* more"),
        (lambda t: t.update(extra=torch.zeros(1)), "has the unknown tensor 'extra'"),
        (lambda t: t.update({TABLE: torch.zeros(16, 9)}), rf"'{TABLE}' has shape \[16, 9\], not \[16, 8\]"),
        (lambda t: t.update({TABLE: torch.zeros(0, 8)}), rf"'{TABLE}' has shape \[0, 8\], not \[16, 8\]"),
        (lambda t: t[TABLE].__setitem__((3, 4), torch.nan), f"'{TABLE}' holds a NaN or an Inf"),
        (lambda t: t[TABLE].__setitem__((3, 4), -torch.inf), f"'{TABLE}' holds a NaN or an Inf"),
        (lambda t: t.update({TABLE: torch.zeros(16, 8, dtype=torch.int32)}), f"'{TABLE}' is torch.int32"),
        (lambda t: t.update({TABLE: torch.full((16, 8), 1e300, dtype=torch.float64)}), f"'{TABLE}' is torch.float64"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(saved: Path, change: Any, problem: str):
    change_tensors(saved, change)
    with pytest.raises(CheckpointError, match=problem) as caught:
        Tokenizer.from_pretrained(saved)
    assert str(caught.value).startswith(str(saved / "model.safetensors"))


def test_denormal_weights_are_weights_like_others(saved: Path, noise: Tensor):
    change_tensors(saved, lambda tensors: tensors[TABLE][3].fill_(1e-40))
    tokenizer = Tokenizer.from_pretrained(saved)
    assert int((tokenizer.codebooks()[1] == 1e-40).sum()) == 8
    assert torch.equal(tokenizer.encode(noise).codes, tokenizer.encode(noise).codes)


@pytest.mark.parametrize("cut", [0, 7, 100, 3_000])
def test_cut_or_garbled_weights_are_refused(saved: Path, cut: int):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(CheckpointError, match=r"model.safetensors: (cannot be read \(.*\)|is empty); .* again"):
        Tokenizer.from_pretrained(saved)
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(CheckpointError, match="cannot be read"):
        Tokenizer.from_pretrained(saved)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c.update(version=2), "has version 2; upgrade tokaudio"),
        (lambda c: c.update(version="1"), "has version '1'"),
        (lambda c: c.update(family="telepathy"), "no family is called 'telepathy'"),
        (lambda c: c.update(family=["x"]), "no family is called"),
        (lambda c: c.pop("network"), "network"),
        (lambda c: c["network"].update(n_fft=161), "n_fft must be a multiple"),
        (lambda c: c["network"].update(hop_length="80"), "config.json"),
        (lambda c: c["network"].update(subframes=0), "config.json"),
        (lambda c: c["network"].update(encoder_dim=-3), "config.json"),
        (lambda c: c.update(quantizer="rvq"), "config.json"),
        (lambda c: c["quantizer"].update(name="rqv"), "no quantizer is called 'rqv'"),
        (lambda c: c["spec"].update(sample_rate=0), "sample_rate"),
        (lambda c: c["spec"].pop("name"), "name"),
    ],
)
def test_configurations_that_make_no_tokenizer_are_refused(saved: Path, change: Any, problem: str):
    change_config(saved, change)
    with pytest.raises(CheckpointError, match=problem) as caught:
        Tokenizer.from_pretrained(saved)
    assert str(caught.value).startswith(str(saved / "config.json")) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b'"x"'])
def test_a_configuration_of_garbage_is_refused(saved: Path, content: bytes):
    (saved / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config.json: (cannot be read|holds no fields)"):
        Tokenizer.from_pretrained(saved)


def test_missing_weights_are_named(saved: Path):
    (saved / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model.safetensors: is missing; check the path"):
        Tokenizer.from_pretrained(saved)


@pytest.mark.parametrize("mark", [None, "other"])
def test_without_our_mark_a_folder_counts_as_published_by_others(saved: Path, mark: str | None):
    change_config(saved, lambda config: config.update(format=mark))
    with pytest.raises(
        CheckpointError, match=r"is of no known family \(configuration with family, .*, 37 tensors such"
    ):
        Tokenizer.from_pretrained(saved)
    (saved / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"is of no known family \(no configuration, 37 tensors such as decoder"):
        Tokenizer.from_pretrained(saved)


def test_absurd_sizes_are_refused_before_memory_is_taken(saved: Path):
    change_config(saved, lambda config: config["network"].update(encoder_dim=2**24))
    with pytest.raises(
        CheckpointError, match=r"has shape \[8, 8\], not \[8, 16777216\]; are these another model's weights"
    ):
        Tokenizer.from_pretrained(saved)


@pytest.mark.parametrize("name", ["mini-kodec", "../mini-codec", "mini-codec/", "nowhere/at/all", "/no/such/folder"])
def test_an_unknown_name_is_answered_with_those_that_exist(name: str):
    with pytest.raises(UnknownNameError, match=r"nor a tokenizer's name; .*mini-codec.*`tokaudio list`"):
        Tokenizer.from_pretrained(name)


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"name; did you mean encodec-24k( or \S+)*\? `tokaudio list`"):
        Tokenizer.from_pretrained("Encodec_24k")


def test_the_arguments_of_the_hub_are_accepted(saved: Path):
    options: dict[str, Any] = {"revision": "main", "cache_dir": saved, "local_files_only": True, "token": False}
    assert Tokenizer.from_pretrained(saved, **options).spec.name == "tiny"
    assert Tokenizer.from_pretrained("mini-codec", **options).spec.name == "mini-codec"


def test_exact_sets_of_tensors_pass():
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        check_tensors({"a": torch.zeros(2, dtype=dtype)}, {"a": torch.ones(2)}, "here")


def test_builtin_name_wins_over_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mini-codec").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Tokenizer.from_pretrained("mini-codec").spec.name == "mini-codec"
    with pytest.raises(CheckpointError, match=r"mini-codec: holds no weights"):
        Tokenizer.from_pretrained("./mini-codec")
