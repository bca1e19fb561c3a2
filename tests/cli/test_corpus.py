"""`tokaudio corpus`: what is said, and with which exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import soundfile

from tests.cli.support import Cli, voice
from tests.corpus.support import RATE, encode_here, tree, write_sounds, write_tokenizer
from tokaudio.cli.corpus.telling import Teller, clock
from tokaudio.corpus.job import Job


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished corpus, beside its sounds."""
    folder = tmp_path_factory.mktemp("corpus")
    write_sounds(folder / "in", 6)
    (folder / "in/bad.wav").write_bytes(b"")
    encode_here(folder / "in", folder / "out", write_tokenizer(folder / "tiny"), items=3)
    return folder


def test_encode_says_what_it_did(cli: Cli, tmp_path: Path, done: Path) -> None:
    arguments = ["corpus", "encode", done / "in", "-t", done / "tiny", "--shard-items", 3, "--device", "cpu"]
    told = cli(*arguments, "-o", tmp_path / "out")
    assert told.code == 1
    assert told.failure == f"tokaudio: {done}/in/bad.wav: the file is empty; record or copy it again"
    assert told.out.startswith(f"{tmp_path}/out: 6 of 7 inputs in 3 shards, 0.000")
    see = f"(see {tmp_path}/out/.tokaudio/failed.jsonl; --retry-failed tries them again)"
    assert told.out.rstrip().endswith(f"1 failed {see}")
    assert tree(tmp_path / "out") == tree(done / "out")
    again = json.loads(cli(*arguments, "-o", tmp_path / "out", "--json").out)
    assert (again["listed"], again["ok"], again["failed"], again["skipped"]) == (7, 6, 1, 0)
    assert cli(*arguments, "-o", tmp_path / "out", "-q").out == ""


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["none"], 2, "none: no such file or folder; check the path"),
        (["{in}", "--shard-seconds", "0"], 2, "--shard-seconds 0.0: is no length; give seconds, more than 0"),
        (["{in}", "--format", "zip"], 2, "no format of datasets is called 'zip'"),
        (["{in}", "--format", "megatron"], 2, "needs a layout; encode to parquet"),
        (["{in}", "-t", "nobody"], 2, "nobody"),
        (["{in}", "-t", "{tiny}", "-k", "9"], 2, "tiny has 3 codebooks; give 1 to 3"),
    ],
)
def test_misuse_is_one_line(
    cli: Cli, tmp_path: Path, done: Path, arguments: list[str], code: int, problem: str
) -> None:
    names = {"in": str(done / "in"), "tiny": str(done / "tiny")}
    told = cli("corpus", "encode", *(text.format(**names) for text in arguments), "-o", tmp_path / "out")
    assert (told.code, told.out) == (code, "")
    assert problem in told.failure


def test_verify_finds_and_mends(cli: Cli, tmp_path: Path, done: Path) -> None:
    out = shutil.copytree(done / "out", tmp_path / "out")
    told = cli("corpus", "verify", out)
    assert (told.code, told.out) == (0, f"{out}: every file is as it was written\n")
    shard = out / "part-00001.parquet"
    shard.write_bytes(shard.read_bytes()[::-1])
    told = cli("corpus", "verify", out)
    assert told.code == 1
    assert told.failure == f"tokaudio: {shard}: is damaged; repair it with corpus verify --repair"
    told = cli("corpus", "verify", out, "--repair", "--json")
    document = json.loads(told.out)
    assert (told.code, document["shards"], document["intact"]) == (0, [1], True)
    assert tree(out) == tree(done / "out")
    assert cli("corpus", "verify", tmp_path).failure.endswith("holds no corpus; give the folder of corpus encode")


def test_stats_tell_what_there_is(cli: Cli, done: Path) -> None:
    told = cli("corpus", "stats", done / "out")
    assert told.code == 0
    for part in ("tiny (", "7: 6 ok, 1 failed, 0 skipped", "codebook  size  used"):
        assert part in told.out
    document = json.loads(cli("corpus", "stats", done / "out", "--json").out)
    assert document["summary"]["ok"] == 6 and len(document["codebooks"]) == 3
    assert cli("corpus", "stats", done / "in").code == 2


def test_progress_says_how_long_it_will_take(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tokaudio.cli.corpus import telling

    soundfile.write(tmp_path / "a.wav", voice(1.0, RATE), RATE)
    monkeypatch.setattr(telling, "_EVERY_SECONDS", 0.0)
    with Job.prepare(done / "in", tmp_path / "out") as job, Teller() as teller:
        teller.begin(job)
        teller.tell("", 2, 3.5)
        teller.tell("a.wav: is bad; mend it", 1, 0.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("tokaudio: 2 of 7 inputs, ") and lines[0].endswith(" left")
    assert lines[1] == "tokaudio: a.wav: is bad; mend it"
    assert [clock(seconds) for seconds in (0, 59.6, 3600)] == ["0:00", "1:00", "1:00:00"]


def test_a_converted_dataset_is_told_from_a_corpus(tmp_path: Path, cli: Cli, done: Path) -> None:
    cli("corpus", "convert", done / "out", tmp_path / "npz", "--to", "npz")
    for command in ("verify", "stats"):
        failure = cli("corpus", command, tmp_path / "npz").failure
        assert failure.endswith("was converted, and has neither journal nor hashes; give the folder of corpus encode")
