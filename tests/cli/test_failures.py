"""From exceptions to lines and exit codes."""

from __future__ import annotations

import errno
import json

import pytest

from tests.cli.support import Cli
from tokaudio.cli import coding
from tokaudio.cli.failures import describe, dooms_the_rest, exit_code
from tokaudio.cli.report import Report, Result, emit
from tokaudio.errors import (
    AudioError,
    CheckpointError,
    MissingDependencyError,
    OutputError,
    TokaudioError,
    UnknownNameError,
)


def caused(number: int) -> OutputError:
    """Return an output error that an operating system's error caused."""
    error = OutputError("out.npz: it cannot be written; choose another path")
    error.__cause__ = OSError(number, "why")
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AudioError("a"), 2),
        (CheckpointError("a"), 2),
        (UnknownNameError("a"), 2),
        (OutputError("a: exists already"), 2),
        (caused(errno.ENOENT), 2),
        (caused(errno.ENOSPC), 3),
        (caused(errno.EACCES), 3),
        (OutputError(errno.EIO, "input/output error"), 3),
        (MissingDependencyError("a"), 3),
        (MemoryError(), 3),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 3),
        (PermissionError(errno.EACCES, "denied"), 3),
        (ZeroDivisionError("oops"), 1),
    ],
)
def test_exit_code(error: Exception, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("error", [RuntimeError("a\nb\r\x1b[31m;" + "x" * 999), OSError(5, "\n"), TokaudioError("\n")])
def test_every_description_is_one_printable_line(error: Exception) -> None:
    line = describe(error, "in\n\udcff.wav")
    assert line.isprintable()
    assert line.startswith("in\\n\\udcff.wav: ")
    assert len(line) < 400


def test_path_is_not_said_twice() -> None:
    assert describe(AudioError("in.wav: bad; mend it"), "in.wav") == "in.wav: bad; mend it"
    assert describe(OutputError("out.npz: bad; mend it"), "in.wav", "out.npz") == "out.npz: bad; mend it"
    assert describe(AudioError("bad; mend it"), "in.wav") == "in.wav: bad; mend it"


def test_only_a_lost_disk_dooms_the_rest() -> None:
    assert dooms_the_rest(caused(errno.ENOSPC))
    assert dooms_the_rest(OutputError(errno.EROFS, "read-only"))
    assert not dooms_the_rest(caused(errno.EACCES))
    assert not dooms_the_rest(AudioError("a"))


def test_unforeseen_error_is_one_line_without_a_traceback(
    cli: Cli, place: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("in the\nmiddle")

    monkeypatch.setattr(coding, "encode_audio", broken)
    done = cli("encode", "in.wav", "out.npz")
    assert done.code == 1
    expected = "unexpected ZeroDivisionError (in the middle); run again with --debug and report it"
    assert done.failures == [f"tokaudio: in.wav: {expected}"]


def test_report_counts_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("encoded", as_json=True, batch=True)
    report.results += [Result("b", "b.npz", 1800.0, 10), Result("a", "a.npz", 1800.0, 20)]
    report.fail("c", AudioError("bad; mend it"))
    assert report.finish(2.0) == 1
    document = json.loads(capsys.readouterr().out)
    assert [result["input"] for result in document["results"]] == ["a", "b"]
    summary = document["summary"]
    assert (summary["files"], summary["failures"], summary["tokens"]) == (2, 1, 30)
    assert (summary["audio_hours"], summary["times_real_time"]) == (1.0, 1800.0)


def test_emit_survives_narrow_encodings(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    emit("hé \udce9", stream)
    assert stream.buffer.getvalue() == b"h\\xe9 \\udce9\n"
