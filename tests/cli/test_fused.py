"""Fused tokenizers on the command line: a folder like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.cli.support import Cli
from tests.tokenizers.conftest import make_codec
from tokaudio import Tokenizer, Tokens, fuse
from tokaudio.audio import read_audio


@pytest.fixture
def fused(place: Path) -> Path:
    return fuse(make_codec(), make_codec(6_000), name="two").save_pretrained("fused")


def test_a_folder_encodes_and_decodes(cli: Cli, fused: Path) -> None:
    done = cli("encode", "-t", "./fused", "in.wav", "out.npz")
    assert (done.code, done.err) == (0, "")
    tokenizer = Tokenizer.from_pretrained(fused)
    tokens = Tokens.load("out.npz")
    assert tokens == tokenizer.encode("in.wav")
    done = cli("decode", "-t", "./fused", "out.npz", "out.wav")
    assert (done.code, done.err) == (0, "")
    found, rate = read_audio("out.wav")
    assert rate == 6_000
    assert torch.allclose(found, tokenizer.decode(tokens)[0].clamp(-1, 1), atol=1 / 32_000)


def test_its_parts_are_folders_of_their_own(cli: Cli, fused: Path) -> None:
    assert cli("encode", "-t", "./fused/semantic", "in.wav", "out.npz").code == 0
    assert Tokens.load("out.npz") == Tokenizer.from_pretrained(fused / "semantic").encode("in.wav")
    facts = json.loads(cli("info", "--json", "./fused").out)
    assert facts["config"] == {"family": "fused", "parts": ["semantic", "compression"]}


def test_units_alone_are_encoded_and_not_decoded(cli: Cli, fused: Path) -> None:
    assert cli("encode", "-t", "./fused", "-k", 3, "in.wav", "out.npz").code == 0
    done = cli("decode", "-t", "./fused", "out.npz", "out.wav")
    assert done.code == 2
    [line] = done.failures
    assert line.endswith("of its semantic part only; encode with 4 codebooks or more")
    assert not Path("out.wav").exists()
