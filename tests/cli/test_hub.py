"""The command line with tokenizers from the Hub: a server on the loopback, the real client."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import Cli
from tests.hub_server import Hub
from tokaudio import Tokens, catalogue
from tokaudio.catalogue import builtin_folder


@pytest.fixture
def mini(hub: Hub) -> Hub:
    folder = builtin_folder("mini-codec")
    assert folder is not None
    hub.add("someone/mini", {name: (folder / name).read_bytes() for name in ("config.json", "model.safetensors")})
    return hub


def test_encode_and_decode_with_a_repository(cli: Cli, place: Path, mini: Hub) -> None:
    assert cli("encode", "in.wav", "out.npz", "-t", "someone/mini").code == 0
    assert Tokens.load("out.npz") == Tokens.load("in.npz")
    assert cli("decode", "out.npz", "out.wav", "-t", "someone/mini@main").code == 0


def test_offline_the_command_to_run_is_the_answer(cli: Cli, place: Path, mini: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    started = time.perf_counter()
    done = cli("encode", "in.wav", "out.npz", "-t", "someone/mini")
    assert time.perf_counter() - started < 2
    assert (done.code, len(done.failures)) == (3, 1)
    line = "tokaudio: someone/mini: is not in the cache, and HF_HUB_OFFLINE is set; run: hf download someone/mini"
    assert done.failures == [line]
    assert mini.requests == []


def test_names_that_do_not_exist_are_misuse(cli: Cli, place: Path, mini: Hub) -> None:
    done = cli("encode", "in.wav", "out.npz", "-t", "someone/mimi")
    assert (done.code, len(done.failures)) == (2, 1)
    assert "someone/mimi: is no repository of the Hub" in done.failures[0]


def test_a_published_name_in_a_token_file_is_fetched_and_others_are_not(
    cli: Cli, place: Path, mini: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens.load("in.npz")
    for name in ("named", "someone/mini"):
        renamed = dataclasses.replace(tokens, spec=dataclasses.replace(tokens.spec, name=name))
        renamed.save(f"{name.replace('/', '-')}.npz")
    done = cli("decode", "someone-mini.npz", "out.wav")
    assert (done.code, mini.requests) == (2, [])
    assert "someone/mini, which does not ship with tokaudio; name the folder" in done.failures[0]
    entry = dataclasses.replace(
        catalogue.published()[0],
        spec=dataclasses.replace(tokens.spec, name="named"),
        status="verified",
        repo="someone/mini",
    )
    monkeypatch.setattr(catalogue, "published", lambda: (entry,))
    cli("decode", "named.npz", "out.wav")
    assert mini.asked("GET")[0] == "/api/models/someone/mini/revision/main"


def test_a_process_of_its_own_reads_the_variables(place: Path, mini: Hub) -> None:
    command = [sys.executable, "-m", "tokaudio", "encode", "in.wav", "out.npz", "-t", "someone/mini"]
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert Tokens.load(place / "out.npz") == Tokens.load(place / "in.npz")


@pytest.mark.parametrize("name", ["facebook/encodec_24khz", "focalcodec-12.5hz"])
def test_info_takes_published_names_for_no_files(cli: Cli, place: Path, mini: Hub, name: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    entries = tuple(dataclasses.replace(entry, status="unverified") for entry in catalogue.published())
    monkeypatch.setattr(catalogue, "published", lambda: entries)
    done = cli("info", name)
    assert done.code == 3
    assert "is not in the cache, and HF_HUB_OFFLINE is set; run: hf download" in done.failures[0]
