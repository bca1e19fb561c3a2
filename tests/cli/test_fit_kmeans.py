"""`tokaudio fit-kmeans`: what may be given, what is said, what broken data costs."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from tests.cli.support import Cli, names
from tests.training.speech import write_backbone, write_sounds
from tokaudio.training import fit_semantic
from tokaudio.training.extraction import Listener

FILES = ["README.md", "config.json", "fit.json", "model.safetensors", "self_check.json"]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone, a folder of recordings, and manifests."""
    root = tmp_path_factory.mktemp("seeds")
    write_backbone(root / "backbone")
    write_sounds(root / "data", {"a.wav": 0.5, "b.wav": 0.6})
    write_sounds(root / "data" / "deep", {"c.wav": 0.4})
    rows = [("data/a.wav", "train"), ("data/b.wav", "eval"), ("data/deep/c.wav", "train")]
    lines = [json.dumps({"path": path, "split": split, "n": n}) for n, (path, split) in enumerate(rows)]
    (root / "all.jsonl").write_text("\n".join(lines) + "\n\n")
    return root


@pytest.fixture
def here(seeds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("backbone", "data", "all.jsonl"):
        (tmp_path / name).symlink_to(seeds / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


SHORT = ("--backbone", "backbone", "--layers", "1,3", "-k", "6", "-o", "out")


def test_recordings_become_a_tokenizer(cli: Cli, here: Path) -> None:
    done = cli("fit-kmeans", "data", *SHORT)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("fitted 2 codebooks of 6, 3 files, 0.0004 h, 72 frames, 0 failures: out (")
    assert names(Path("out")) == FILES and not Path("out.unfinished").exists()
    done = cli("encode", "data/a.wav", "a.npz", "-t", "./out", "--json")
    assert json.loads(done.out)["results"][0]["codebooks"] == 2
    again = cli("fit-kmeans", "data", *SHORT)
    assert again.code == 2
    assert again.failures == [
        "tokaudio: out: holds a config.json already; choose another folder, or allow overwriting (-f)"
    ]
    before = (Path("out/model.safetensors")).read_bytes()
    assert cli("fit-kmeans", "data", *SHORT, "-f", "-q").out == ""
    assert Path("out/model.safetensors").read_bytes() == before
    assert cli("fit-kmeans", "data", *SHORT, "-f", "-k", "5,7", "--name", "mine").code == 0
    config = json.loads(Path("out/config.json").read_text())
    assert config["spec"]["name"] == "mine" and config["kmeans"]["codebook_size"] == [5, 7]


def test_broken_recordings_are_skipped_listed_and_counted(cli: Cli, here: Path) -> None:
    write_sounds(here / "more", {"z.wav": 0.3, "short.wav": 0.01, "cut.wav": 0.5})
    (here / "more" / "junk.flac").write_bytes(b"junk")
    (here / "more" / "cut.wav").write_bytes((here / "more" / "cut.wav").read_bytes()[:9_000])
    (here / "more" / "notes.txt").write_text("")
    done = cli("fit-kmeans", "data", "more", *SHORT, "--json")
    document = json.loads(done.out)
    assert done.code == 1 and names(Path("out")) == FILES
    assert [line.split(": ")[1] for line in sorted(done.failures)] == ["more/cut.wav", "more/junk.flac"]
    summary = document["summary"]
    counted = {name: summary[name] for name in ("files", "failures", "too_short", "ignored", "resumed", "frames")}
    assert counted == {"files": 4, "failures": 2, "too_short": 1, "ignored": 1, "resumed": 0, "frames": 86}
    assert {failure["input"] for failure in document["failures"]} == {"more/cut.wav", "more/junk.flac"}
    assert document["data"]["too_short"] == ["more/short.wav"] and set(document["data"]["failed"]) == {
        "more/cut.wav",
        "more/junk.flac",
    }
    assert document["output"] == "out" and summary["elapsed_seconds"] > 0
    taken = cli("fit-kmeans", "data", "more", *SHORT, "-f", "--allow-truncated", "--json")
    assert json.loads(taken.out)["summary"]["failures"] == 1


def test_manifests_and_conditions(cli: Cli, here: Path) -> None:
    quick = ("--restarts", "1", "--steps", "0")
    document = json.loads(cli("fit-kmeans", "all.jsonl", *SHORT, *quick, "--where", "split=train", "--json").out)
    assert document["data"]["files"] == 2
    assert [book["steps"] for book in document["codebooks"]] == [document["options"]["steps"], 0] == [0, 0]
    both = json.loads(cli("fit-kmeans", "data/a.wav", "data/deep/c.wav", *SHORT, "-f", "--json").out)
    assert both["data"]["sha256"] == document["data"]["sha256"]
    Path("bad.jsonl").write_text('{"path": "data/a.wav"}\n{"voice": "ann"}\n')
    for arguments, told in (
        (("all.jsonl", "--where", "split=none"), "all.jsonl: holds no rows that meet the conditions; "),
        (("all.jsonl", "--where", "split"), "--where split: is no condition; "),
        (("data", "--where", "split=train"), "--where split=train: there is no manifest to filter; "),
        (("bad.jsonl",), "bad.jsonl: line 2 has no path; "),
        (("no-such",), "no-such: no such file or folder; "),
        (("backbone",), "backbone: holds none of .wav"),
    ):
        done = cli("fit-kmeans", *arguments, *SHORT, "-f")
        assert done.code == 2 and done.failures[0].startswith(f"tokaudio: {told}"), done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--layers", "1,x"), "--layers 1,x: is no list of numbers from 0 on; write numbers with commas between"),
        (("--layers", "-1"), "--layers -1: is no list"),
        (("--layers", "4"), "4"),
        (("-k", "0"), "-k 0: is no list of numbers from 1 on"),
        (("-k", "3,4,5"), "-k 3,4,5: there are 2 layers; give one number, or one per layer"),
        (("-k", "74"), "k-means: 72 frames for 74 centroids; give more audio or a smaller k"),
        (("--backbone", "nowhere"), "nowhere"),
        (("--device", "tpu"), "--device tpu: is no device"),
        (("-o", "all.jsonl"), "all.jsonl: is not a folder; choose another name"),
    ],
)
def test_what_cannot_be_is_one_line(cli: Cli, here: Path, arguments: tuple[str, str], told: str) -> None:
    done = cli("fit-kmeans", "data", *SHORT, *arguments)
    assert (done.code, done.out) == (2, "")
    (line,) = done.failures
    assert told in line
    assert not Path("out").exists()


def test_interrupted_and_gone_on_with(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("fit-kmeans", "data", *SHORT).code == 0
    whole = {name: Path("out", name).read_bytes() for name in FILES}

    def stop(self: Listener, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tokaudio.cli.fitting.FitProgress.fitted", stop)
        done = cli("fit-kmeans", "data", *SHORT, "-f")
    kept = Path("out.unfinished").absolute()
    told = f"tokaudio: interrupted; what is done is kept in {kept}, and the same command goes on from there\n"
    assert (done.code, done.err) == (130, told) and kept.is_dir()
    again = cli("encode", "data/a.wav", "a.npz", "-t", "./nowhere")
    assert again.code == 2 and "interrupted" not in again.err
    other = cli("fit-kmeans", "data", *SHORT[:-1], "out", "--seed", "1", "-f")
    assert other.code == 0 and not Path("out.unfinished").exists(), "-f gives up the other one"
    with monkeypatch.context() as patch:
        patch.setattr("tokaudio.cli.fitting.FitProgress.fitted", stop)
        assert cli("fit-kmeans", "data", *SHORT[:-1], "new").code == 130
    refused = cli("fit-kmeans", "data", *SHORT[:-1], "new", "--layers", "1,2")
    assert refused.code == 2 and "holds unfinished work with other options (layers [1, 3], now [1, 2])" in refused.err
    done = cli("fit-kmeans", "data", *SHORT[:-1], "new", "--name", "out", "--json")
    assert json.loads(done.out)["summary"]["resumed"] == 3
    assert {name: Path("new", name).read_bytes() for name in FILES} == whole


def test_a_full_disk_is_the_environment(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def write(file: int, content: bytes) -> int:
        if Path(f"/proc/self/fd/{file}").readlink().name == "frames.bin":
            raise OSError(errno.ENOSPC, "no space")
        return real(file, content)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        done = cli("fit-kmeans", "data", *SHORT)
    assert done.code == 3
    assert done.failures[0].endswith("frames.bin: the disk is full; free some space or write elsewhere")
    assert cli("fit-kmeans", "data", *SHORT).code == 0, "and the same command goes on"


def test_progress_tells_recordings_and_codebooks(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokaudio.cli.fitting import FitProgress
    from tokaudio.cli.progress import Meter
    from tokaudio.cli.report import Report
    from tokaudio.training.extraction import Entry, Sound

    shown: list[tuple[str, int, int, Meter]] = []

    class Bar(Meter):
        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def meter(verb: str, size: int, count: int, *, show: bool) -> Bar:
        shown.append((verb, size, count, bar := Bar()))
        return bar

    monkeypatch.setattr("tokaudio.cli.fitting.meter", meter)
    sounds = [Sound("data/a.wav", "a.wav"), Sound("gone.wav", "gone.wav")]
    with FitProgress(Report("read"), sounds, None) as progress:
        progress.finished(sounds[0], Entry("a.wav", 24, 0.48), None, before=True)
        progress.finished(sounds[1], Entry("gone.wav"), None, before=False)
        progress.fitted(0, 3)
        progress.fitted(1, 3)
    (read, size, count, first), (fitted, total, books, second) = shown
    assert (read, size, count) == ("read", Path("data/a.wav").stat().st_size, 2)
    assert (first.files, first.seconds, second.files) == (2, 0.48, 1)
    assert (fitted, total, books, progress.resumed, len(progress.times)) == ("fitted", 3, 3, 1, 3)


def test_help_says_how_to_go_on(cli: Cli) -> None:
    text = " ".join(cli("fit-kmeans", "--help").out.split())
    assert "the same command goes on there" in text and "--max-hours" in text and "--stages" in text
    assert fit_semantic.work_folder(Path("/x/out")) == Path("/x/out.unfinished")
