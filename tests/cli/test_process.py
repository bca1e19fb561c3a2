"""What only a process of its own can show: exit codes, signals, imports, pipes and terminals."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.cli.support import names
from tests.training.speech import write_backbone
from tokaudio import Tokens, tokenizer_spec

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
COMMAND = [sys.executable, "-m", "tokaudio"]


pytestmark = pytest.mark.usefixtures("interruptible")


def tokaudio(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run([*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)


def long_audio(path: Path) -> None:
    """Write an hour of silence that takes no room on disk."""
    size = 2 * 16_000 * 3600
    chunks = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16) + b"data" + struct.pack("<I", size)
    path.write_bytes(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVE" + chunks)
    os.truncate(path, 44 + size)


def long_tokens(path: Path) -> None:
    """Write the tokens of an hour."""
    Tokens.from_codes(torch.zeros(8, 180_000, dtype=torch.int64), tokenizer_spec("mini-codec")).save(path)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def has_open(pid: int, path: Path) -> bool:
    """Return whether a process has a file open."""
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        # A descriptor may be closed between being listed and being read.
        with contextlib.suppress(FileNotFoundError):
            if str(link.readlink()) == str(path):
                return True
    return False


def test_exit_codes(place: Path) -> None:
    assert tokaudio("encode", "in.wav", "out.npz").returncode == 0
    done = tokaudio("decode", "in.npz", "no/such/out.wav")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tokaudio: no/such/out.wav: its directory does not exist; create it first\n"
    assert names(place) == ["in.npz", "in.wav", "out.npz"]


@pytest.mark.parametrize("arguments", [["--help"], ["encode", "--help"], ["-h"], ["--version"], []])
def test_help_is_quick_and_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from tokaudio.cli import run\n"
        f"code = run({arguments!r})\n"
        "print(len(sys.modules), file=sys.stderr)\n"
        "heavy = {'torch', 'numpy', 'soundfile', 'soxr', 'rich', 'pydantic', 'importlib.metadata'} & set(sys.modules)\n"
        "sys.exit(f'{heavy}' if heavy else code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if arguments else 2), done.stderr
    assert "tokaudio" in done.stdout
    # What is imported is what takes the time; some 190 modules are imported now, and torch alone has over a thousand.
    assert int(done.stderr) < 300


def test_encoding_does_not_import_what_it_does_not_need(place: Path) -> None:
    code = (
        "import sys\n"
        "from tokaudio.cli import main\n"
        "sys.argv = ['tokaudio', 'encode', '-q', 'in.wav', 'out.npz']\n"
        "code = main()\n"
        "import os, torch\n"
        "unwanted = {'rich', 'librosa', 'torchaudio', 'scipy', 'huggingface_hub', 'concurrent.futures.process'}\n"
        "print(sorted(unwanted & set(sys.modules)), torch.get_num_threads(), os.environ['GOMP_SPINCOUNT'])\n"
        "sys.exit(code)\n"
    )
    plain = {name: value for name, value in ENVIRONMENT.items() if name not in ("OMP_NUM_THREADS", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True)
    assert done.stdout == "[] 1 0\n"


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [("encode", signal.SIGINT, 130), ("decode", signal.SIGINT, 130), ("decode", signal.SIGTERM, 143)],
)
def test_interrupted_while_working(tmp_path: Path, command: str, number: signal.Signals, code: int) -> None:
    if command == "encode":
        long_audio(tmp_path / "in.wav")
    else:
        long_tokens(tmp_path / "in.npz")
    (source,) = tmp_path.iterdir()
    arguments = [command, str(tmp_path), "-o", str(tmp_path / "new" / "out")]
    with subprocess.Popen([*COMMAND, *arguments], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        if command == "encode":
            wait_for(lambda: has_open(process.pid, source))
        else:
            wait_for(lambda: any("tmp-" in name for name in names(tmp_path)))
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err == "tokaudio: interrupted; finished files are kept, unfinished ones are removed\n"
    assert names(tmp_path) == [source.name]


def test_an_interrupted_fit_says_how_to_go_on(tmp_path: Path) -> None:
    write_backbone(tmp_path / "backbone")
    long_audio(tmp_path / "in.wav")
    out, work = tmp_path / "units", tmp_path / "units.unfinished"
    arguments = ["fit-kmeans", str(tmp_path / "in.wav"), "--backbone", str(tmp_path / "backbone"), "--layers", "2"]
    arguments += ["-k", "4", "-o", str(out)]
    with subprocess.Popen([*COMMAND, *arguments], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: (work / "frames.bin").exists() and (work / "frames.bin").stat().st_size > 0)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == f"tokaudio: interrupted; what is done is kept in {work}, and the same command goes on from there\n"
    assert work.is_dir() and not out.exists()


def test_interrupted_while_importing(place: Path) -> None:
    arguments = ["encode", "in.wav", "out.npz"]
    with subprocess.Popen([*COMMAND, *arguments], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: "torch" in Path(f"/proc/{process.pid}/maps").read_text())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "tokaudio: interrupted; finished files are kept, unfinished ones are removed\n"
    assert not Path("out.npz").exists()


@pytest.mark.parametrize("arguments", [["list"], ["info", "--json", "in.npz"], ["--help"]])
def test_reader_that_goes_away_is_no_error(place: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *arguments], env=ENVIRONMENT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_messages_survive_a_silenced_descriptor() -> None:
    code = (
        "import sys\n"
        "from tokaudio import cli\n"
        "from tokaudio.audio.sources import quiet_stderr\n"
        "def run(arguments, **_):\n"
        "    with quiet_stderr():\n"
        "        print('said', file=sys.stderr)\n"
        "    return 0\n"
        "cli.run = run\n"
        "sys.exit(cli.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "said\n")


def test_progress_is_shown_on_a_terminal(place: Path) -> None:
    Path("src").mkdir()
    Path("src/bad.wav").write_text("text")
    Path("src/good.wav").write_bytes(Path("in.wav").read_bytes())
    arguments = ["encode", "src", "-o", "out"]
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, *arguments], env={**ENVIRONMENT, "TERM": "xterm"}, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while process.poll() is None or select.select([ours], [], [], 0.2)[0]:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    shown += os.read(ours, 65_536)
                except OSError:  # how Linux says that the other side is closed
                    break
    os.close(ours)
    assert process.returncode == 1
    text = shown.decode()
    for part in ("encoded 0/2", "encoded 2/2", "audio-hours/s", "tokaudio: src/bad.wav: not an audio file"):
        assert part in text
