"""`tokaudio info` and `tokaudio list`."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.cli.support import Cli, voice
from tokaudio import Tokenizer, Tokens, catalogue, list_tokenizers, tokenizer_spec
from tokaudio.catalogue import Entry


def test_token_file(cli: Cli, place: Path) -> None:
    done = cli("info", "in.npz")
    assert (done.code, done.err) == (0, "")
    tokens = Tokens.load("in.npz")
    for text in ("mini-codec", tokens.fingerprint, "0.510 s (8,160 samples", "8 codebooks x 26 frames", "4 kbps"):
        assert text in done.out
    document = json.loads(cli("info", "--json", "in.npz").out)
    assert (document["type"], document["tokenizer"]) == ("tokens", "mini-codec")
    assert (document["num_samples"], document["num_frames"], document["seconds"]) == (8160, 26, 0.51)
    assert document["spec"]["bitrate_bps"] == 4000


@pytest.mark.parametrize(
    ("name", "rate", "channels", "kind"),
    [
        ("a.wav", 16_000, 1, "PCM_16"),
        ("a.flac", 96_000, 6, "PCM_16"),
        ("a.ogg", 44_100, 2, "VORBIS"),
        ("a.mp3", 22_050, 1, "MPEG_LAYER_III"),
        ("a.opus", 48_000, 2, "OPUS"),
    ],
)
def test_audio_file_and_its_treatment(cli: Cli, place: Path, name: str, rate: int, channels: int, kind: str) -> None:
    options = {"format": "OGG", "subtype": "OPUS"} if name.endswith("opus") else {}
    soundfile.write(name, voice(0.5, rate, channels), rate, **options)
    done = cli("info", name)
    assert (done.code, done.err) == (0, "")
    assert (f"resampled from {rate} to 16000 Hz" in done.out) == (rate != 16_000)
    assert (f"{channels} channels averaged to 1" in done.out) == (channels != 1)
    document = json.loads(cli("info", "--json", name).out)
    assert (document["type"], document["sample_rate"], document["channels"]) == ("audio", rate, channels)
    assert (document["subtype"], document["truncated"]) == (kind, False)
    assert cli("encode", name, "out.npz").code == 0
    assert document["treatment"]["frames"] == int(Tokens.load("out.npz").lengths[0])


def test_cut_off_audio_is_described_and_not_refused(cli: Cli, place: Path) -> None:
    Path("in.wav").write_bytes(Path("in.wav").read_bytes()[:8_000])
    done = cli("info", "in.wav")
    assert done.code == 0
    assert "yes; refused unless --allow-truncated" in done.out


def test_tokenizer_by_name_and_folder(cli: Cli, place: Path) -> None:
    model = Tokenizer.from_pretrained("mini-codec")
    model.save_pretrained("saved")
    count = sum(value.numel() for value in model.state_dict().values())
    by_name, by_folder = cli("info", "mini-codec"), cli("info", "saved")
    assert by_name.out == by_folder.out
    for text in (model.fingerprint, f"{count:,}", "apache-2.0", "8 x 1024", "50 Hz", "compression"):
        assert text in by_name.out
    document = json.loads(cli("info", "--json", "saved").out)
    assert (document["type"], document["parameters"]) == ("tokenizer", count)
    assert document["config"]["family"] == "spectral-codec"


def test_treatment_by_the_tokenizer_of_a_folder(cli: Cli, place: Path) -> None:
    Tokenizer.from_pretrained("mini-codec").save_pretrained("saved")
    assert cli("info", "-t", "saved", "in.wav").out == cli("info", "in.wav").out
    done = cli("info", "-t", "no-such", "in.wav")
    assert (done.code, len(done.failures)) == (2, 1)


@pytest.mark.parametrize("subject", ["no-such", "no/such", "folder", "fifo.wav", "text.wav"])
def test_what_is_not_known_is_one_line(cli: Cli, place: Path, subject: str) -> None:
    Path("folder").mkdir()
    os.mkfifo("fifo.wav")
    Path("text.wav").write_text("text")
    for option in ([], ["--json"]):
        done = cli("info", subject, *option)
        (line,) = done.failures
        assert done.code == 2
        assert line.startswith(f"tokaudio: {subject}: ")
        assert "; " in line


def test_list_has_every_tokenizer(cli: Cli) -> None:
    done = cli("list")
    assert done.code == 0
    header, *rows = done.out.splitlines()
    assert header.split() == ["name", "kind", "kHz", "frames/s", "codebooks", "kbps", "where", "compared", "licence"]
    assert max(map(len, done.out.splitlines())) <= 120
    assert [row.split()[0] for row in rows] == list_tokenizers(published=True)
    document = json.loads(cli("list", "--json").out)
    for entry in document["tokenizers"]:
        spec = tokenizer_spec(entry["name"])
        assert entry["bitrate_bps"] == spec.bitrate_bps
        assert entry["num_codebooks"] == spec.num_codebooks
        assert entry["chunking"] == spec.chunking


def test_list_says_where_weights_come_from_and_how_far_codes_were_compared(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {entry.name: entry for entry in catalogue.published()}
    shown: list[Entry] = [
        dataclasses.replace(known["mimi"], status="by parts"),
        dataclasses.replace(known["s3-v2"], status="planned"),
    ]
    monkeypatch.setattr(catalogue, "published", lambda: tuple(shown))
    *shipped, entry = json.loads(cli("list", "--json").out)["tokenizers"]
    for row in shipped:
        assert (row["where"], row["verification"], row["repo"]) == ("built-in", None, None)
    assert (entry["where"], entry["verification"], entry["repo"]) == ("hub", "by parts", "kyutai/mimi")
    assert (entry["revision"], entry["files"]) == ("main", ["config.json", "model.safetensors"])
    assert cells(cli("list").out.splitlines()[-1])[-3:] == ["hub", "by parts", "cc-by-4.0?"]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell]


def test_list_says_the_essentials_in_short(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {entry.name: entry for entry in catalogue.published()}
    shown = [known[name] for name in ("dualcodec-25hz", "neucodec", "snac-24k", "nanocodec-0.6kbps")]
    odd = dataclasses.replace(shown[3], spec=dataclasses.replace(shown[3].spec, name="n" * 26, licence="l" * 40))
    monkeypatch.setattr(catalogue, "published", lambda: (*shown, odd))
    rows = cli("list").out.splitlines()[-5:]
    assert cells(rows[0])[2:6] == ["24", "25", "1 x 16384 + 11 x 1024", "3.10"]
    assert cells(rows[1])[2:6] == ["16/24", "50", "1 x 65536", "0.80"]
    assert cells(rows[1])[-1] == cells(rows[0])[-1] == "not stated"
    assert cells(rows[2])[2:6] == ["24", "46.875", "3 x 4096", "0.98"]
    assert len(rows[4]) == 120 and rows[4].endswith("ll..")


def test_list_leaves_torch_alone() -> None:
    code = "import sys\nfrom tokaudio.cli import run\nrun(['list', '--json'])\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_list_by_kind(cli: Cli) -> None:
    for kind in ("semantic", "compression", "hybrid"):
        rows = cli("list", "--kind", kind).out.splitlines()[1:]
        assert [row.split()[0] for row in rows] == list_tokenizers(kind=kind, published=True)
    assert cli("list", "--kind", "tasty").code == 2
