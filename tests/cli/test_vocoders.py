"""The command line with semantic tokenizers: sound through a vocoder, and one line where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch

from tests.cli.support import Cli, names
from tests.tokenizers.test_semantic import make
from tests.tokenizers.test_vocoded import vocoder
from tokaudio import Tokenizer, Tokens


@pytest.fixture
def folder(place: Path) -> str:
    make(layers=(3, 1)).with_vocoder(vocoder()).save_pretrained(place / "speaking")
    return "./speaking"


def test_decoding_with_a_vocoder(cli: Cli, place: Path, folder: str) -> None:
    assert cli("encode", "in.wav", "a.npz", "-t", folder).code == 0
    done = cli("decode", "a.npz", "out.wav", "-t", folder)
    assert done.code == 0, done.failures
    tokens = Tokens.load("a.npz")
    sound, rate = soundfile.read("out.wav", dtype="float32")
    assert rate == 16_000 and len(sound) == int(tokens.num_samples[0])
    wanted = Tokenizer.from_pretrained(folder).decode(tokens)[0, 0]
    assert float((torch.from_numpy(sound) - wanted).abs().max()) < 2**-14
    assert cli("roundtrip", "in.wav", "again.wav", "-t", folder).code == 0
    assert Path("again.wav").read_bytes() == Path("out.wav").read_bytes()


def test_some_of_the_layers_are_spoken_as_well(cli: Cli, place: Path, folder: str) -> None:
    assert cli("encode", "in.wav", "a.npz", "-t", folder, "--layers", "1").code == 0
    done = cli("decode", "a.npz", "out.wav", "-t", folder)
    assert done.code == 0, done.failures
    tokens = Tokens.load("a.npz")
    assert tokens.spec.num_codebooks == 1 and len(soundfile.read("out.wav")[0]) == int(tokens.num_samples[0])


def test_without_a_vocoder_it_is_refused_and_nothing_is_left(cli: Cli, place: Path) -> None:
    make(layers=(3, 1)).save_pretrained(place / "mute")
    assert cli("encode", "in.wav", "a.npz", "-t", "./mute").code == 0
    before = names(place)
    done = cli("decode", "a.npz", "out.wav", "-t", "./mute")
    assert done.code == 2 and len(done.failures) == 1
    assert "tiny: has no vocoder to make sound with; give it one" in done.failures[0] and "a.npz" in done.failures[0]
    assert names(place) == before
    done = cli("roundtrip", "in.wav", "out.wav", "-t", "./mute")
    assert done.code == 2 and "no vocoder" in done.failures[0]
