"""The command line run within the test's own process, and short inputs for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile

from tests.cli.support import Cli, Outcome, voice
from tokaudio import Tokenizer
from tokaudio.cli import run


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run `tokaudio ARGUMENTS` in this process."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of audio and its tokens: `in.wav` and `in.npz`."""
    folder = tmp_path_factory.mktemp("seed")
    soundfile.write(folder / "in.wav", voice(0.51, 16_000), 16_000)
    Tokenizer.from_pretrained("mini-codec").encode(folder / "in.wav").save(folder / "in.npz")
    return folder


@pytest.fixture
def place(seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `in.wav` and `in.npz`, which is also the current one."""
    for name in ("in.wav", "in.npz"):
        shutil.copy(seed / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
