"""Tokenizers by name, through a real client, from a server on the loopback; and back to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.hub_server import GOOD_TOKEN, Hub
from tokaudio import Tokenizer, catalogue, fuse
from tokaudio.catalogue import Entry, builtin_folder
from tokaudio.errors import CheckpointError, HubError, UnknownNameError
from tokaudio.tokenizers import SpectralCodec, resolve
from tokaudio.tokenizers.resolve import check_originals, default_files

# The client's own upload of large files without Xet.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

resolve_name = resolve.resolve
BASE = next(entry for entry in catalogue.published() if entry.name == "wavtokenizer-small-40")


@pytest.fixture
def mini(hub: Hub) -> str:
    """The commit of `someone/mini`, which is the built-in mini-codec next to what nobody needs."""
    folder = builtin_folder("mini-codec")
    assert folder is not None
    files = {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors", "README.md")}
    return hub.add("someone/mini", {**files, "pytorch_model.bin": b"the same again", "optimizer.pt": b"1.7 GB"})


def entry(**changes: Any) -> Entry:
    """An entry of a catalogue that is made for a test."""
    return dataclasses.replace(BASE, **{"status": "unverified", "aliases": ("wave",), **changes})


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """A catalogue of published tokenizers to be filled."""
    found: list[Entry] = []
    monkeypatch.setattr(catalogue, "published", lambda: tuple(found))
    return found


# --- end to end ------------------------------------------------------------------------------------------------------


def test_a_repository_loads_like_its_folder(hub: Hub, mini: str) -> None:
    sound = torch.randn(4_000, generator=torch.Generator().manual_seed(0))
    wanted = Tokenizer.from_pretrained("mini-codec")
    for name in ("someone/mini", "someone/mini@main", f"someone/mini@{mini}"):
        loaded = Tokenizer.from_pretrained(name)
        assert loaded.fingerprint == wanted.fingerprint
    assert loaded.encode(sound) == wanted.encode(sound)
    assert {Path(path).name for path in hub.asked("GET") if "/api/" not in path} == {"config.json", "model.safetensors"}
    assert Tokenizer.from_pretrained("someone/mini", local_files_only=True).fingerprint == wanted.fingerprint


def test_revisions_are_given_once(hub: Hub, mini: str) -> None:
    hub.repos["someone/mini"].commit({"config.json": b"{}"})
    assert Tokenizer.from_pretrained("someone/mini", revision=mini).spec.name == "mini-codec"
    with pytest.raises(CheckpointError):
        Tokenizer.from_pretrained("someone/mini")
    with pytest.raises(UnknownNameError, match=r"someone/mini@v1: names another revision than v2; give one"):
        Tokenizer.from_pretrained("someone/mini@v1", revision="v2")


def test_what_is_pushed_loads(hub: Hub, codec: SpectralCodec) -> None:
    assert codec.push_to_hub("me/tiny", token=GOOD_TOKEN, private=True) == f"{hub.url}/me/tiny"
    loaded = Tokenizer.from_pretrained("me/tiny", token=GOOD_TOKEN)
    assert (loaded.fingerprint, loaded.spec) == (codec.fingerprint, codec.spec)
    files = hub.repos["me/tiny"].commits[hub.repos["me/tiny"].refs["main"]]
    assert set(files) == {".gitattributes", "README.md", "config.json", "model.safetensors"}
    card = files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: tokaudio\n")
    assert 'from_pretrained("me/tiny")' in card and codec.fingerprint in card
    with pytest.raises(HubError, match="me/tiny: could not be uploaded: the Hub refuses access"):
        codec.push_to_hub("me/tiny", token="hf_stale")


def test_a_fused_tokenizer_is_pushed_with_its_parts_and_loads(hub: Hub, codec: SpectralCodec) -> None:
    fused = fuse(codec, codec, name="twice")
    fused.push_to_hub("me/twice", token=GOOD_TOKEN)
    loaded = Tokenizer.from_pretrained("me/twice")
    assert (loaded.fingerprint, loaded.spec) == (fused.fingerprint, fused.spec)
    assert Tokenizer.from_pretrained("me/twice", local_files_only=True).fingerprint == fused.fingerprint


def test_a_folder_wins_over_a_repository(hub: Hub, codec: SpectralCodec, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    codec.save_pretrained("someone/mini")
    assert Tokenizer.from_pretrained("someone/mini").spec.name == "tiny"
    assert hub.requests == []
    with pytest.raises(UnknownNameError, match="someone/other: is missing; check the path"):
        Tokenizer.from_pretrained(Path("someone/other"))


# --- the catalogue ---------------------------------------------------------------------------------------------------


def test_a_name_fetches_its_files_only_and_says_what_it_is_called(hub: Hub, listed: list[Entry]) -> None:
    hub.add("some/repo", dict.fromkeys(("config.json", "model.bin", "other.bin"), b"{}"))
    listed.append(entry(repo="some/repo", files=("config.json", "model.bin")))
    for name in ("wavtokenizer-small-40", "wave", "some/repo", "wave@main"):
        path, called = resolve_name(name)
        assert called == "wavtokenizer-small-40"
        assert sorted(file.name for file in path.iterdir()) == ["config.json", "model.bin"]


def test_a_pinned_revision_and_a_known_digest_count(hub: Hub, listed: list[Entry]) -> None:
    old = hub.add("some/repo", {"model.bin": b"old"})
    hub.repos["some/repo"].commit({"model.bin": b"new"})
    listed.append(entry(repo="some/repo", files=("model.bin",), revision=old))
    assert resolve_name("wave").path.read_bytes() == b"old"
    assert resolve_name("wave", revision="main").path.read_bytes() == b"new"
    listed[0] = dataclasses.replace(listed[0], sha256={"model.bin": "0" * 64})
    with pytest.raises(CheckpointError, match="is damaged"):
        resolve_name("wave")


def test_files_of_two_repositories_and_of_neighbours_come_together(hub: Hub, listed: list[Entry]) -> None:
    hub.add("a/weights", {"w.ckpt": b"weights", "other.ckpt": b"other weights"})
    hub.add("b/configs", {"c.yaml": b"config", "other.yaml": b"other"})
    listed.append(entry(repo="a/weights", files=("b/configs:c.yaml", "w.ckpt")))
    listed.append(entry(repo="a/weights", files=("b/configs:other.yaml", "other.ckpt"), aliases=("second",)))
    for _ in range(2):
        for name, contents in {"wave": [b"config", b"weights"], "second": [b"other weights", b"other"]}.items():
            listed.sort(key=lambda entry, name=name: name not in entry.aliases)
            folder = resolve_name(name).path
            assert [path.read_bytes() for path in sorted(folder.iterdir())] == contents
            assert resolve_name(name, local_files_only=True).path == folder


def test_one_file_in_a_subfolder_is_given_as_a_file(hub: Hub, listed: list[Entry]) -> None:
    hub.add("some/lm", {"model.safetensors": b"15 GB", "sub/codec.safetensors": b"codec"})
    listed.append(entry(repo="some/lm", files=("sub/codec.safetensors",)))
    path = resolve_name("wave").path
    assert (path.name, path.read_bytes()) == ("codec.safetensors", b"codec")
    assert not any("15 GB" in str(request) for request in hub.requests)
    hub.add("some/pair", {"sub/config.json": b"1", "sub/w.pt": b"2", "config.json": b"3"})
    listed[0] = entry(repo="some/pair", files=("sub/config.json", "sub/w.pt"))
    folder = resolve_name("wave").path
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"config.json": b"1", "w.pt": b"2"}


def test_what_cannot_be_loaded_yet_is_said_before_anything_is_fetched(hub: Hub, listed: list[Entry]) -> None:
    listed.append(entry(status="planned"))
    listed.append(entry(repo="", files=(), originals={"a.onnx": "", "b.onnx": ""}, aliases=("elsewhere",)))
    with pytest.raises(UnknownNameError, match=r"family wavtokenizer, which tokaudio cannot read yet; .*mini-codec"):
        Tokenizer.from_pretrained("novateur/WavTokenizer")
    listed.pop(0)
    with pytest.raises(UnknownNameError, match=r"elsewhere: is not on the Hub; download a.onnx or b.onnx from http"):
        Tokenizer.from_pretrained("elsewhere")
    assert hub.requests == []


def test_offline_the_command_names_the_files(hub: Hub, listed: list[Entry]) -> None:
    listed.append(entry(repo="some/repo", files=("config.json", "w.ckpt"), revision="v1"))
    with pytest.raises(HubError, match=r"run: hf download some/repo config.json w.ckpt --revision v1$"):
        Tokenizer.from_pretrained("wave", local_files_only=True)


# --- which files -----------------------------------------------------------------------------------------------------


FUSED = [
    "config.json", "semantic/config.json", "semantic/model.safetensors", "compression/config.json",
    "compression/model.safetensors",
]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["model.bin"], ["model.bin"]),
        (["config.json", "tokenizer.json", "pytorch_model.bin", "x.pt"], ["config.json", "pytorch_model.bin"]),
        (["a.yaml", "b.ckpt", "deep/model.safetensors"], ["a.yaml", "b.ckpt"]),
        (["codec.nemo", "README.md"], ["codec.nemo"]),
        (["README.md", *FUSED], FUSED),
        (["model.safetensors", *FUSED], ["config.json", "model.safetensors"]),
    ],
)
def test_the_files_of_an_unknown_repository(names: list[str], wanted: list[str]) -> None:
    assert default_files(names) == wanted


@pytest.mark.parametrize(
    ("names", "problem"), [(["README.md"], "no weights"), (["a.pt", "b.ckpt"], "2 files .*a.pt, b.ck")]
)
def test_a_repository_that_is_unclear_is_refused(hub: Hub, names: list[str], problem: str) -> None:
    hub.add("some/thing", dict.fromkeys(names, b""))
    with pytest.raises(UnknownNameError, match=rf"^some/thing: holds {problem}.*; "):
        Tokenizer.from_pretrained("some/thing")


def test_a_published_file_with_other_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "speech_tokenizer_v2.onnx").write_bytes(b"half")
    for path in (tmp_path, tmp_path / "speech_tokenizer_v2.onnx"):
        with pytest.raises(CheckpointError, match=r"v2.onnx: is damaged or half-downloaded .* rename it"):
            Tokenizer.from_pretrained(path)
    (tmp_path / "speech_tokenizer_v2.onnx").rename(tmp_path / "mine.onnx")
    check_originals(tmp_path)


def test_pickles_are_not_fetched_and_the_command_is_given() -> None:
    wanted = r"never opened on load; .*tokaudio convert --trust DIR DST --backbone facebook/hubert-large-ll60k"
    for name in ("discrete-hubert-large", "speechbrain/hifigan-hubert-k1000-LibriTTS"):
        with pytest.raises(CheckpointError, match=wanted):
            resolve.resolve(name, local_files_only=True)
