"""`tokaudio convert`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.cli.support import Cli, names
from tests.tokenizers.test_published import Toy, publish
from tokaudio import Tokenizer
from tokaudio.tokenizers.registry import FAMILIES

WRITTEN = ["README.md", "config.json", "model.safetensors"]


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, Toy.FAMILY, Toy)


@pytest.mark.parametrize("source", ["in", "in/weights.pth"])
def test_published_files_become_ours(cli: Cli, place: Path, source: str) -> None:
    publish(Path("in"))
    done = cli("convert", source, "out")
    wanted, found = Tokenizer.from_pretrained("in"), Tokenizer.from_pretrained("out")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("converted tiny (toy, ") and wanted.fingerprint in done.out
    assert len(done.out.splitlines()) == 1
    assert names(Path("out")) == WRITTEN
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in wanted.state_dict().items())


def test_builtin_names_json_and_quiet(cli: Cli, place: Path) -> None:
    document = json.loads(cli("convert", "mini-codec", "out", "--json").out)
    model = Tokenizer.from_pretrained("mini-codec")
    assert document["fingerprint"] == model.fingerprint == Tokenizer.from_pretrained("./out").fingerprint
    assert document["bytes"] == sum(path.stat().st_size for path in Path("out").iterdir())
    assert (document["family"], document["output"]) == ("spectral-codec", "out")
    assert cli("convert", "mini-codec", "quiet", "-q").out == ""


def test_nothing_is_overwritten_without_force(cli: Cli, place: Path) -> None:
    Path("out").mkdir()
    Path("out/README.md").write_text("mine")
    done = cli("convert", "mini-codec", "out")
    assert (done.code, done.out) == (2, "")
    assert done.failures == [
        "tokaudio: out: holds a README.md already; choose another folder, or allow overwriting (-f)"
    ]
    assert names(Path("out")) == ["README.md"]
    assert cli("convert", "mini-codec", "out", "-f").code == 0
    assert names(Path("out")) == WRITTEN
    assert cli("convert", "out", "out", "-f").code == 0, "onto itself"
    assert Tokenizer.from_pretrained("./out").spec.name == "mini-codec"
    done = cli("convert", "mini-codec", "in.wav", "-f")
    assert (done.code, done.failures) == (2, ["tokaudio: in.wav: is not a folder; choose another name"])


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"garbage"])
def test_bad_sources_are_one_line_and_leave_nothing(cli: Cli, place: Path, content: bytes) -> None:
    Path("a.pth").write_bytes(content)
    done = cli("convert", "a.pth", "out")
    (line,) = done.failures
    assert done.code == 2 and line.startswith("tokaudio: a.pth: ")
    assert not Path("out").exists()
