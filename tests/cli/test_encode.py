"""`tokaudio encode`: files, folders, options."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.cli.support import Cli, names, voice
from tokaudio import Tokenizer, Tokens


def test_file_gives_the_codes_of_the_library(cli: Cli, place: Path) -> None:
    done = cli("encode", "in.wav", "out.npz")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("encoded 1 file, 0.0001417 h, 208 tokens, ")
    assert done.out.rstrip().endswith("0 failures")
    tokens = Tokens.load("out.npz")
    assert tokens == Tokenizer.from_pretrained("mini-codec").encode("in.wav")
    assert names(place) == ["in.npz", "in.wav", "out.npz"]


def test_token_file_says_what_the_source_was(cli: Cli, place: Path) -> None:
    soundfile.write("stereo.flac", voice(0.2, 44_100, 2), 44_100)
    assert cli("encode", "stereo.flac", "out.npz").code == 0
    facts = Tokens.load("out.npz").provenance
    assert facts["resampler"].startswith("soxr-hq")
    expected = {"source_sample_rate": "44100", "source_channels": "2", "source_num_samples": "8820"}
    assert {name: facts[name] for name in expected} == expected


def test_first_codebooks_are_those_of_the_full_encode(cli: Cli, place: Path) -> None:
    assert cli("encode", "-k", 3, "in.wav", "out.npz").code == 0
    tokens = Tokens.load("out.npz")
    assert tokens.spec.num_codebooks == 3
    assert torch.equal(tokens.codes, Tokens.load("in.npz").codes[:, :3])


@pytest.mark.parametrize("count", [0, 9, "two"])
def test_impossible_number_of_codebooks_is_misuse(cli: Cli, place: Path, count: object) -> None:
    done = cli("encode", "-k", count, "in.wav", "out.npz")
    assert done.code == 2
    assert len(done.failures) == 1
    assert not Path("out.npz").exists()


@pytest.mark.parametrize(
    ("tokenizer", "code"), [("mini-codec", 0), ("no-such", 2), ("./mini-codec", 2), ("empty", 2), ("saved", 0)]
)
def test_tokenizer_by_name_or_folder(cli: Cli, place: Path, tokenizer: str, code: int) -> None:
    Tokenizer.from_pretrained("mini-codec").save_pretrained("saved")
    Path("mini-codec").mkdir()  # does not stand in the way of the built-in one
    Path("empty").mkdir()
    done = cli("encode", "-t", tokenizer, "in.wav", "out.npz")
    assert done.code == code
    assert len(done.failures) == (code != 0)
    assert Path("out.npz").exists() == (code == 0)


@pytest.mark.parametrize(("device", "code"), [("auto", 0), ("cpu", 0), ("cuda:99", 3), ("teapot", 2), ("meta", 2)])
def test_device(cli: Cli, place: Path, device: str, code: int) -> None:
    done = cli("encode", "--device", device, "in.wav", "out.npz")
    assert done.code == code
    assert len(done.failures) == (code != 0)


def test_json_describes_results_and_summary(cli: Cli, place: Path) -> None:
    document = json.loads(cli("encode", "--json", "in.wav", "out.npz").out)
    assert document["tokenizer"] == "mini-codec"
    assert document["fingerprint"] == Tokens.load("out.npz").fingerprint
    (result,) = document["results"]
    assert (result["input"], result["output"], result["truncated"]) == ("in.wav", "out.npz", False)
    assert (result["seconds"], result["tokens"], result["frames"]) == (0.51, 208, 26)
    assert document["failures"] == []
    assert document["summary"]["files"] == 1
    assert document["summary"]["times_real_time"] > 0


def test_json_describes_failures_too(cli: Cli, place: Path) -> None:
    Path("bad.wav").write_bytes(b"")
    for arguments in (["bad.wav", "out.npz"], ["in.wav", "in.npz"]):
        done = cli("encode", "--json", *arguments)
        document = json.loads(done.out)
        (failure,) = document.get("failures", [document])
        assert failure["exit_code"] == done.code == 2
        assert done.failures == [f"tokaudio: {failure['error']}"]


def test_quiet_says_nothing(cli: Cli, place: Path) -> None:
    done = cli("encode", "-q", "in.wav", "out.npz")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_folder_is_mirrored(cli: Cli, place: Path) -> None:
    Path("src/deep/er").mkdir(parents=True)
    for name in ("a.wav", "deep/b.WAV", "deep/er/c.wav", "deep/.hidden.wav"):
        shutil.copy("in.wav", Path("src", name))
    Path("src/notes.txt").write_text("no audio")
    done = cli("encode", "src", "-o", "out/of/this")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("encoded 3 files, 0.000425 h, 624 tokens, ")
    assert done.out.rstrip().endswith("0 failures, other files left alone: 1")
    assert names(Path("out/of/this")) == ["a.npz", "deep", "deep/b.npz", "deep/er", "deep/er/c.npz"]


def test_inputs_that_would_share_an_output_keep_their_names(cli: Cli, place: Path) -> None:
    Path("src").mkdir()
    other = voice(0.3, 16_000)
    shutil.copy("in.wav", "src/a.wav")
    soundfile.write("src/a.flac", other, 16_000)
    shutil.copy("in.wav", "src/b.wav")
    assert cli("encode", "src", "out").code == 0
    assert names(Path("out")) == ["a.flac.npz", "a.wav.npz", "b.npz"]
    assert Tokens.load("out/a.flac.npz").num_samples.tolist() == [4800]
    assert Tokens.load("out/a.wav.npz").num_samples.tolist() == [8160]


def test_several_inputs_keep_their_folders_names(cli: Cli, place: Path) -> None:
    for name in ("x/same/a.wav", "y/same/a.wav"):
        Path(name).parent.mkdir(parents=True)
        shutil.copy("in.wav", name)
    done = cli("encode", "x/same", "y/same", "in.wav", "./in.wav", "-o", "out")
    assert done.code == 0
    found = names(Path("out"))
    assert found[0] == "in.npz"  # named twice, encoded once
    assert len([name for name in found if name.startswith("same/a.wav.")]) == 2


@pytest.mark.parametrize(("output", "written"), [("new", "new/in.npz"), ("new/", "new/in.npz"), ("x.npz", "x.npz")])
def test_one_file_with_o(cli: Cli, place: Path, output: str, written: str) -> None:
    assert cli("encode", "in.wav", "-o", output).code == 0
    assert Path(written).is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ["in.wav"],
        ["in.wav", "out.txt"],
        ["in.wav", "out"],
        ["in.wav", "other.wav"],
        ["in.wav", "b.wav", "out.npz"],
        ["in.wav", "b.wav", "-o", "out.npz"],
        ["in.wav", "-o", "out.txt"],
        ["folder", "out.npz"],
        ["folder", "-o", "in.wav"],
        ["folder", "-o", "out"],
        ["folder"],
        ["in.wav", "out.npz", "--bogus"],
        [],
    ],
)
def test_misuse_is_one_line_and_exit_2(cli: Cli, place: Path, arguments: list[str]) -> None:
    Path("folder").mkdir()
    before = names(place)
    done = cli("encode", *arguments)
    assert (done.code, len(done.failures), done.out) == (2, 1, "")
    assert "; " in done.err
    assert names(place) == before


def test_a_bad_file_does_not_stop_the_others(cli: Cli, place: Path) -> None:
    Path("src/bad").mkdir(parents=True)
    for name in ("a", "z"):
        shutil.copy("in.wav", f"src/{name}.wav")
    Path("src/bad/m.wav").write_text("not audio")
    done = cli("encode", "src", "-o", "out")
    assert done.code == 1
    (line,) = done.failures
    assert line.startswith("tokaudio: src/bad/m.wav: not an audio file")
    assert "encoded 2 files" in done.out
    assert "1 failure" in done.out
    assert names(Path("out")) == ["a.npz", "z.npz"]


def test_nothing_is_left_where_every_file_fails(cli: Cli, place: Path) -> None:
    Path("src/deep").mkdir(parents=True)
    Path("src/deep/m.wav").write_text("not audio")
    done = cli("encode", "src", "-o", "out")
    assert (done.code, len(done.failures)) == (1, 1)
    assert not Path("out").exists()


def test_jobs_in_parallel_give_the_same_bytes(cli: Cli, place: Path) -> None:
    Path("src").mkdir()
    for index in range(6):
        soundfile.write(f"src/{index}.wav", voice(0.3 + index / 10, 22_050), 22_050)
    assert cli("encode", "src", "-o", "one").code == 0
    assert cli("encode", "src", "-o", "three", "-j", 3).code == 0
    assert len(names(Path("one"))) == 6
    for name in names(Path("one")):
        assert Path("one", name).read_bytes() == Path("three", name).read_bytes()


def test_links_are_followed_but_not_in_circles(cli: Cli, place: Path) -> None:
    Path("src").mkdir()
    Path("elsewhere").mkdir()
    shutil.copy("in.wav", "elsewhere/a.wav")
    Path("src/linked").symlink_to(place / "elsewhere")
    Path("src/circle").symlink_to(place / "src")
    Path("src/b.wav").symlink_to(place / "in.wav")
    assert cli("encode", "src", "-o", "out").code == 0
    assert names(Path("out")) == ["b.npz", "linked", "linked/a.npz"]


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(8_000),
        np.full(8_000, 0.7),
        np.where(np.arange(8_000) // 40 % 2, 1.0, -1.0),
        np.array([0.25]),
    ],
    ids=["silence", "dc", "clipping", "one sample"],
)
@pytest.mark.parametrize("sample_rate", [8_000, 16_000])
def test_odd_sounds_give_valid_codes(cli: Cli, place: Path, samples: np.ndarray, sample_rate: int) -> None:
    soundfile.write("odd.wav", samples, sample_rate)
    assert cli("encode", "odd.wav", "odd.npz").code == 0
    tokens = Tokens.load("odd.npz")
    assert tokens.num_samples.tolist() == [len(samples) * 16_000 // sample_rate]
    assert tokens.lengths.tolist() == [-(-int(tokens.num_samples[0]) // 320)]
    assert 0 <= int(tokens.codes.min()) <= int(tokens.codes.max()) < 1024
    assert cli("decode", "odd.npz", "back.wav").code == 0
    assert soundfile.info("back.wav").frames == int(tokens.num_samples[0])
