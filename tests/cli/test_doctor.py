"""`tokaudio doctor`."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import pytest
import torch

from tests.cli.support import Cli
from tests.tokenizers.conftest import make_codec
from tokaudio.cli import doctor
from tokaudio.tokenizers.self_check import SelfCheck, _digest


def test_versions_devices_and_checks(cli: Cli) -> None:
    done = cli("doctor")
    assert done.err == ""
    for text in (
        platform.python_version(),
        torch.__version__,
        "libsndfile",
        "libsoxr",
        "cpu (",
        "self-check mini-codec",
    ):
        assert text in done.out
    document = json.loads(cli("doctor", "--json").out)
    assert document["versions"]["torch"] == torch.__version__
    (check,) = [check for check in document["self_check"] if check["tokenizer"] == "mini-codec"]
    assert check["status"] in ("exact", "differs")  # and never of other weights
    assert check["equal"] >= 0.98 * check["total"] > 0
    assert done.code == (0 if check["passed"] else 1)


@pytest.mark.parametrize(
    ("check", "code", "text"),
    [
        (SelfCheck("exact", 8, 8), 0, "exact (8 codes)"),
        (SelfCheck("differs", 6, 8), 1, "differs in 2 of 8 codes (75.00 % equal)"),
        (SelfCheck("missing"), 1, "no codes are stored"),
        (SelfCheck("other weights"), 1, "other weights"),
    ],
)
def test_exit_code_follows_the_checks(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, check: SelfCheck, code: int, text: str
) -> None:
    monkeypatch.setattr(doctor, "self_checks", lambda: {"good": SelfCheck("exact", 1, 1), "toy": check})
    done = cli("doctor")
    assert (done.code, text in done.out) == (code, True)


@pytest.mark.parametrize("kind", [ImportError, OSError, RuntimeError])
def test_torchaudio_that_does_not_load_is_no_failure(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise kind("libtorchaudio.so: undefined symbol\nmore")

    monkeypatch.setattr(doctor, "_version", lambda name: "9.9")
    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    assert doctor._torchaudio() == "9.9, does not load: libtorchaudio.so: undefined symbol"
    assert doctor._libraries()["libsndfile"].startswith("does not load")


def test_absent_packages_are_said_to_be_absent(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    monkeypatch.setattr(doctor, "_optional", lambda: ["no-such-package"])
    monkeypatch.setattr(doctor, "self_checks", dict)
    done = cli("doctor")
    assert "no-such-package  not installed" in done.out
    assert done.code == 1  # nothing could be checked


def test_codes_of_one_tokenizer_are_stored_and_compared(cli: Cli, tmp_path: Path) -> None:
    folder, file = make_codec().save_pretrained(tmp_path / "tiny"), tmp_path / "codes.json"
    done = cli("doctor", "-t", folder)
    assert done.code == 1 and "no codes are stored; store them with --record FILE.json" in done.out
    done = cli("doctor", "-t", folder, "--record", file)
    assert (done.code, done.err) == (0, "") and f"in {file}" in done.out
    done = cli("doctor", "-t", folder, "--codes", file)
    assert done.code == 0 and "exact (" in done.out
    document = json.loads(file.read_text())
    document["codes"][0][0] ^= 1
    document["sha256"] = _digest(torch.tensor(document["codes"]))
    file.write_text(json.dumps(document))
    told = json.loads(cli("doctor", "-t", folder, "--codes", file, "--json").out)
    assert (told["status"], told["total"] - told["equal"], told["device"]) == ("differs", 1, "cpu")
    assert cli("doctor", "-t", "mini-codec", "--codes", file).code == 1, "they are of other weights"
    assert "exact" in cli("doctor", "-t", "mini-codec").out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--record", "a.json"], "--record: is about one tokenizer; name it with -t"),
        (["-t", "mini-codec", "--codes", "none.json"], "is no file; store codes first"),
        (["-t", "mini-codec", "--record", "a.txt"], "is no .json file"),
        (["-t", "mini-codec", "--record", "a.json", "--codes", "b.json"], "exclude each other"),
    ],
)
def test_misuse_is_refused(cli: Cli, arguments: list[str], problem: str) -> None:
    done = cli("doctor", *arguments)
    assert done.code == 2 and problem in done.failure


def test_families_are_checked_on_demand(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "self_checks", lambda: {"good": SelfCheck("exact", 1, 1)})
    assert "family" not in cli("doctor").out
    monkeypatch.setattr("tokaudio.tokenizers.family_check.family_names", lambda: ["dac", "snac"])
    document = json.loads(cli("doctor", "--families", "--json").out)
    names = [check["tokenizer"] for check in document["self_check"]]
    assert names == ["good", "family dac", "family snac"]
    assert all(check["equal"] >= 0.98 * check["total"] > 0 for check in document["self_check"])
