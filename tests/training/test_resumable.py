"""Unfinished work: gone on with if it is the same, refused if it is other, safe from torn lines and others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokaudio.errors import OutputError
from tokaudio.training.resumable import WorkError, WorkFolder

FACTS = {"seed": 1, "layers": (1, 3), "digest": "a" * 64}


def test_the_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "work"
    with WorkFolder(path, FACTS) as work:
        assert work.noted() == []
        work.note([{"n": 1}, {"n": 2}])
        work.note([])
    with WorkFolder(path, FACTS) as work:
        assert work.noted() == [{"n": 1}, {"n": 2}]
        work.note([{"n": 3}])
        assert [row["n"] for row in work.noted()] == [1, 2, 3]
        work.remove()
    assert not path.exists()


@pytest.mark.parametrize("torn", [b'{"n": 3', b'{"n": 3}', b"\xff\xfe\n", b"\n", b'{"n": 3}\x00\x00'])
def test_a_torn_last_line_is_done_again(tmp_path: Path, torn: bytes) -> None:
    with WorkFolder(tmp_path, FACTS) as work:
        work.note([{"n": 1}, {"n": 2}])
        whole = (tmp_path / "journal.jsonl").read_bytes()
        (tmp_path / "journal.jsonl").write_bytes(whole + torn)
        assert work.noted() == [{"n": 1}, {"n": 2}]
        assert (tmp_path / "journal.jsonl").read_bytes() == whole


def test_other_options_are_refused_in_one_line_and_can_be_given_up(tmp_path: Path) -> None:
    path = tmp_path / "work"
    with WorkFolder(path, FACTS) as work:
        work.note([{"n": 1}])
        (path / "finished").mkdir()
    other = {**FACTS, "seed": 2, "digest": "b" * 64}
    with pytest.raises(WorkError) as caught, WorkFolder(path, other):
        pass
    message = str(caught.value)
    assert message.startswith(f"{path}: holds unfinished work with other options (") and "\n" not in message
    assert "(seed 1, now 2)" in message, "the first that differs"
    assert "-f" in message
    with (
        pytest.raises(WorkError, match="digest aaaaaaaa, now bbbbbbbb"),
        WorkFolder(path, {**FACTS, "digest": "b" * 64}),
    ):
        pass
    with WorkFolder(path, FACTS) as work:
        assert work.noted() == [{"n": 1}], "the refusal changed nothing"
    with WorkFolder(path, other, start_over=True) as work:
        assert work.noted() == [] and not (path / "finished").exists()
    with WorkFolder(path, other, start_over=True) as work:
        work.note([{"n": 5}])
    with WorkFolder(path, other, start_over=True) as work:
        assert work.noted() == [{"n": 5}], "the same work is never given up"


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(WorkError, match="holds no unfinished work; move it away"), WorkFolder(tmp_path, FACTS):
        pass
    (tmp_path / "job.json").write_text('{"format": "another"}')
    with pytest.raises(WorkError, match="is not of unfinished work"), WorkFolder(tmp_path, FACTS, start_over=True):
        pass
    (tmp_path / "job.json").write_text("{")
    with pytest.raises(WorkError, match="cannot be read"), WorkFolder(tmp_path, FACTS):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError), WorkFolder(tmp_path / "file", FACTS):
        pass


def test_what_a_process_left_before_it_began_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / ".job.json.tmp-1-abc").touch()
    with WorkFolder(tmp_path, FACTS) as work:
        assert work.noted() == []


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with WorkFolder(tmp_path, FACTS), pytest.raises(OutputError, match="another process is at work in it"):
        WorkFolder(tmp_path, FACTS).__enter__()
    with WorkFolder(tmp_path, FACTS):
        pass
