"""The shipped semantic tokenizer on the command line, without a network."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.cli.support import Cli
from tokaudio import Tokenizer, Tokens
from tokaudio.audio import read_audio


def test_encodes_and_decodes_what_the_library_does(cli: Cli, place: Path) -> None:
    done = cli("encode", "in.wav", "out.npz", "-t", "mini-semantic")
    assert (done.code, done.err) == (0, "")
    tokens = Tokens.load("out.npz")
    tokenizer = Tokenizer.from_pretrained("mini-semantic")
    assert tokens == tokenizer.encode("in.wav") and tokens.codes.shape == (1, 2, 26)
    assert cli("decode", "out.npz", "out.wav").code == 0
    found, rate = read_audio("out.wav")
    assert rate == 16_000 and found.shape == (1, 8_160)
    assert torch.allclose(found, tokenizer.decode(tokens)[0].clamp(-1, 1), atol=1 / 32_000)


def test_the_content_alone_is_enough(cli: Cli, place: Path) -> None:
    assert cli("encode", "in.wav", "out.npz", "-t", "mini-semantic", "-k", "1").code == 0
    tokens = Tokens.load("out.npz")
    assert tokens.codes.shape == (1, 1, 26) and [book.role for book in tokens.spec.codebooks] == ["semantic"]
    assert cli("decode", "out.npz", "out.wav").code == 0
