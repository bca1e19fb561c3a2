"""`--layers`: some layers of a semantic tokenizer, encoded and decoded without a further thought."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch

from tests.cli.support import Cli
from tests.tokenizers.test_semantic_files import SMALL, hub, kmeans
from tokaudio import Tokenizer, Tokens
from tokaudio.nn.unit_hifigan import UnitHiFiGANSizes
from tokaudio.tokenizers.centroids import write_centroids
from tokaudio.tokenizers.semantic import SemanticTokenizer
from tokaudio.tokenizers.unit_vocoder import UnitFacts, UnitVocoder


@pytest.fixture
def folder(place: Path) -> Path:
    """A backbone as on the Hub, with safe centroids of three layers beside it."""
    folder = hub(place / "hubert-folder")
    (folder / "kmeans").mkdir()
    for layer in (0, 1, 3):
        table = torch.from_numpy(kmeans(layer).cluster_centers_)
        write_centroids(folder / f"kmeans/L{layer}.safetensors", table)
    return folder


def test_layers_are_those_codebooks_of_the_whole(cli: Cli, place: Path, folder: Path) -> None:
    assert cli("encode", "in.wav", "all.npz", "-t", "./hubert-folder").code == 0
    whole = Tokens.load("all.npz")
    assert whole.spec.num_codebooks == 3
    for layers, books in (("1,3", [1, 2]), ("3", [2]), ("1, 0", [1, 0])):
        done = cli("encode", "in.wav", "some.npz", "-t", "./hubert-folder", "--layers", layers, "-f")
        assert (done.code, done.err) == (0, "")
        some = Tokens.load("some.npz")
        assert torch.equal(some.codes, whole.codes[:, books]) and some.fingerprint != whole.fingerprint
        assert some.spec.name == "hubert-folder-" + "-".join(f"L{n}" for n in layers.replace(" ", "").split(","))
    assert cli("encode", "in.wav", "some.npz", "-t", "./hubert-folder", "--layers", "1,3", "-k", "3", "-f").code == 2


def test_layers_that_are_not_there_are_refused_in_one_line(cli: Cli, place: Path, folder: Path) -> None:
    for command in ("encode", "roundtrip"):
        out = "out.npz" if command == "encode" else "out.wav"
        for arguments, problem in (
            (("-t", "./hubert-folder", "--layers", "1,7"), r"has no layers [1, 7]; give different ones of [0, 1, 3]"),
            (("-t", "./hubert-folder", "--layers", "1,1"), r"has no layers [1, 1]; give different ones of [0, 1, 3]"),
            (
                ("-t", "mini-codec", "--layers", "1"),
                "--layers 1: mini-codec is a compression tokenizer (SpectralCodec)",
            ),
            (("-t", "./hubert-folder", "--layers", "a"), "--layers a: is no list of numbers"),
        ):
            done = cli(command, "in.wav", out, *arguments)
            (line,) = done.failures
            assert done.code == 2 and problem in line and not Path(out).exists()


def spoken(folder: Path) -> SemanticTokenizer:
    """Save a tokenizer with a vocoder in `spoken`."""
    tokenizer = Tokenizer.from_pretrained(folder)
    assert isinstance(tokenizer, SemanticTokenizer)
    sizes = UnitHiFiGANSizes(3 * 12 + 1, unit_dim=8, channels=32, attention_dim=4, **SMALL)
    torch.manual_seed(0)
    vocoder = UnitVocoder(UnitFacts("vocoder", 12, tokenizer.layers, reserved=1), sizes)
    tokenizer = tokenizer.with_vocoder(vocoder.eval().requires_grad_(False))
    tokenizer.save_pretrained(folder.parent / "spoken")
    return tokenizer


def test_tokens_of_some_layers_are_decoded_by_the_whole(cli: Cli, place: Path, folder: Path) -> None:
    tokenizer = spoken(folder)
    for layers in ("1,3", "3"):
        assert cli("encode", "in.wav", "some.npz", "-t", "./spoken", "--layers", layers, "-f").code == 0
        done = cli("decode", "some.npz", "out.wav", "-t", "./spoken", "-f")
        assert (done.code, done.err) == (0, "")
        kept = tokenizer.keep_layers([int(layer) for layer in layers.split(",")])
        sound, rate = soundfile.read("out.wav", dtype="float32")
        wanted = kept.decode(Tokens.load("some.npz"))[0, 0]
        assert rate == 16_000 and len(sound) == len(wanted) == 8160
        assert float((torch.from_numpy(sound) - wanted).abs().max()) < 1e-4
        assert cli("roundtrip", "in.wav", "trip.wav", "-t", "./spoken", "--layers", layers, "-f").code == 0
        assert Path("trip.wav").read_bytes() == Path("out.wav").read_bytes()


def test_tokens_of_other_tokenizers_are_still_refused(cli: Cli, place: Path, folder: Path) -> None:
    assert cli("encode", "in.wav", "some.npz", "-t", "./hubert-folder", "--layers", "1").code == 0
    done = cli("decode", "some.npz", "out.wav", "-t", "./hubert-folder")
    assert done.code == 2 and "has no vocoder" in done.failures[0]
    (done,) = cli("decode", "some.npz", "out.wav").failures
    assert "made by hubert-folder-L1, which does not ship with tokaudio" in done
    (done,) = cli("decode", "some.npz", "out.wav", "-t", "mini-codec").failures
    assert "made by hubert-folder-L1, not by mini-codec" in done
    folder.rename(place / "hubert")
    (done,) = cli("decode", "some.npz", "out.wav", "-t", "./hubert").failures
    assert "made by hubert-folder-L1, not by hubert" in done
