"""The command line with a tokenizer that has no decoder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.support import Cli, names
from tests.tokenizers.families.test_s3tokenizer import make, saved
from tokaudio import Tokens

REFUSAL = "turns sound into tokens only; make sound with the CosyVoice models"


@pytest.fixture
def model(place: Path) -> str:
    saved(make(), "v2", place / "model.onnx")
    return "model.onnx"


def test_encoding_a_file(cli: Cli, place: Path, model: str) -> None:
    assert cli("encode", "in.wav", "s3.npz", "-t", model).code == 0
    tokens = Tokens.load("s3.npz")
    assert (tokens.spec.kind, tokens.spec.codebook_sizes, tokens.codes.shape[2]) == ("semantic", (6561,), 13)


def test_decoding_is_refused_and_leaves_nothing(cli: Cli, place: Path, model: str) -> None:
    assert cli("encode", "in.wav", "s3.npz", "-t", model).code == 0
    before = names(place)
    done = cli("decode", "s3.npz", "out.wav", "-t", model)
    assert done.code == 2
    assert len(done.failures) == 1 and REFUSAL in done.failures[0] and "s3.npz" in done.failures[0]
    assert names(place) == before


def test_a_roundtrip_is_refused_before_any_work(cli: Cli, place: Path, model: str) -> None:
    before = names(place)
    done = cli("roundtrip", "in.wav", "out.wav", "-t", model)
    assert done.code == 2
    assert len(done.failures) == 1 and REFUSAL in done.failures[0]
    assert names(place) == before


def test_the_list_knows_it(cli: Cli) -> None:
    listed = json.loads(cli("list", "--json").out)["tokenizers"]
    found = {row["name"]: row for row in listed}
    assert {name for name in found if name.startswith("s3-")} == {"s3-v1-50hz", "s3-v1-25hz", "s3-v2", "s3-v3"}
    assert (found["s3-v3"]["verification"], found["s3-v3"]["where"]) == ("verified", "files")
