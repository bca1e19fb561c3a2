"""`tokaudio decode` and `tokaudio roundtrip`."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import soundfile
import torch

from tests.cli.support import Cli, names, voice
from tokaudio import Tokenizer, Tokens
from tokaudio.audio import read_audio


def test_decodes_to_what_the_library_gives(cli: Cli, place: Path) -> None:
    done = cli("decode", "in.npz", "out.wav")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("decoded 1 file, 0.0001417 h, 208 tokens, ")
    expected = Tokenizer.from_pretrained("mini-codec").decode(Tokens.load("in.npz"))[0]
    found, rate = read_audio("out.wav")
    assert rate == 16_000
    assert found.shape == expected.shape
    assert torch.allclose(found, expected.clamp(-1, 1), atol=1 / 32_000)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3", "aiff", "w64"])
def test_format_by_suffix(cli: Cli, place: Path, suffix: str) -> None:
    assert cli("decode", "in.npz", f"out.{suffix}").code == 0
    info = soundfile.info(f"out.{suffix}")
    assert info.samplerate == 16_000
    assert info.format == {"wav": "WAV", "ogg": "OGG", "opus": "OGG"}.get(suffix, suffix.upper())
    if suffix not in ("mp3", "opus"):
        assert info.frames == 8160


def test_folder_with_format(cli: Cli, place: Path) -> None:
    Path("src/deep").mkdir(parents=True)
    for name in ("a.npz", "b.wav.npz", "c.wav.npz", "c.flac.npz", "deep/d.npz"):
        shutil.copy("in.npz", Path("src", name))
    assert cli("decode", "src", "-o", "out", "--format", "flac").code == 0
    assert names(Path("out")) == ["a.flac", "b.flac", "c.flac.npz.flac", "c.wav.npz.flac", "deep", "deep/d.flac"]


def test_named_tokenizer_decodes_tokens_of_a_folder(cli: Cli, place: Path) -> None:
    model = Tokenizer.from_pretrained("mini-codec")
    model.spec = dataclasses.replace(model.spec, name="my-codec")
    model.save_pretrained("mine")
    assert cli("encode", "-t", "mine", "in.wav", "mine.npz").code == 0
    assert cli("decode", "mine.npz", "out.wav").code == 2
    assert cli("decode", "-t", "mine", "mine.npz", "out.wav").code == 0
    assert soundfile.info("out.wav").frames == 8160


def test_fewer_codebooks_decode_too(cli: Cli, place: Path) -> None:
    Tokens.load("in.npz").select_codebooks(1).save("one.npz")
    document = json.loads(cli("decode", "--json", "one.npz", "out.wav").out)
    (result,) = document["results"]
    assert (result["codebooks"], result["bitrate_kbps"], result["sample_rate"]) == (1, 0.5, 16_000)
    assert soundfile.info("out.wav").frames == 8160


@pytest.mark.parametrize("arguments", [["--format", "exe"], ["-k", "3"], ["-t", "no-such"], ["-j", "0"]])
def test_misuse(cli: Cli, place: Path, arguments: list[str]) -> None:
    done = cli("decode", "in.npz", "out.wav", *arguments)
    assert (done.code, len(done.failures)) == (2, 1)
    assert not Path("out.wav").exists()


def test_roundtrip_equals_encode_and_decode(cli: Cli, place: Path) -> None:
    soundfile.write("in.flac", voice(1.3, 48_000, 2), 48_000)
    done = cli("roundtrip", "-k", 2, "in.flac", "once.wav")
    assert (done.code, done.err) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert facts["duration"] == "1.30 s"
    assert facts["bitrate"] == "1 kbps"
    assert facts["tokens"] == "130 (2 codebooks x 65 frames)"
    assert facts["encoding"].endswith("x real time")
    assert facts["decoding"].endswith("x real time")
    assert cli("encode", "-k", 2, "in.flac", "twice.npz").code == 0
    assert cli("decode", "twice.npz", "twice.wav").code == 0
    assert Path("once.wav").read_bytes() == Path("twice.wav").read_bytes()


def test_roundtrip_json_and_quiet(cli: Cli, place: Path) -> None:
    document = json.loads(cli("roundtrip", "--json", "in.wav", "out.wav").out)
    (result,) = document["results"]
    assert result["encode_times_real_time"] > 0
    assert result["decode_times_real_time"] > 0
    assert result["truncated"] is False
    assert cli("roundtrip", "-q", "-f", "in.wav", "out.wav").out == ""


def test_roundtrip_takes_one_file(cli: Cli, place: Path) -> None:
    Path("src").mkdir()
    done = cli("roundtrip", "src", "out.wav")
    assert (done.code, len(done.failures)) == (2, 1)
