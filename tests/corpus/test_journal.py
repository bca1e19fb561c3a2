"""What is done, line by line, also where lines were cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.test_atomic import largest_file
from tokaudio.corpus.journal import Failed, Journal, ShardRecord, journal_bytes
from tokaudio.errors import OutputError


def record(shard: int, rows: int = 3) -> ShardRecord:
    failed = (Failed("a", "a: is empty; record it again"),) if shard % 2 else ()
    return ShardRecord(shard, ((f"part-{shard:05}.parquet", 100, "ab" * 32),), rows, 7, 9, failed)


def test_records_come_back_in_any_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    assert journal.read() == {}
    for shard in (2, 0, 1):
        journal.add(record(shard))
    assert journal.read() == Journal(tmp_path / "j").read() == {shard: record(shard) for shard in range(3)}
    journal.compact()
    assert (tmp_path / "j").read_bytes() == journal_bytes(journal.read())
    assert journal.read() == {shard: record(shard) for shard in range(3)}


@given(st.integers(0, 400))
def test_a_line_that_was_cut_off_is_no_line(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal(path)
    journal.add(record(0))
    journal.add(record(1))
    second = len(journal_bytes({0: record(0)}))
    whole = path.read_bytes()
    path.write_bytes(whole[: max(second, len(whole) - 1 - cut)])
    late = Journal(path)
    assert (late.read(), late.damaged) == ({0: record(0)}, 0)
    late.add(record(2))
    assert late.read() == {0: record(0), 2: record(2)}
    assert path.read_bytes() == journal_bytes({0: record(0), 2: record(2)})


def test_a_line_longer_than_a_block_is_cut_off_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    with (tmp_path / "j").open("wb") as stream:
        stream.write(b"x" * 200_000)
    journal.add(record(0))
    assert (tmp_path / "j").read_bytes() == journal_bytes({0: record(0)})


def test_readers_see_what_others_add(tmp_path: Path) -> None:
    one, other = Journal(tmp_path / "j"), Journal(tmp_path / "j")
    one.add(record(0))
    assert other.read() == {0: record(0)}
    other.add(record(1))
    other.compact()
    assert one.read() == {0: record(0), 1: record(1)}


def test_damaged_lines_are_counted_and_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for shard in range(3):
        journal.add(record(shard))
    content = bytearray((tmp_path / "j").read_bytes())
    content[len(journal_bytes({0: record(0)})) + 9] ^= 1
    (tmp_path / "j").write_bytes(content)
    late = Journal(tmp_path / "j")
    assert (set(late.read()), late.damaged) == ({0, 2}, 1)


def test_shards_that_are_taken_back_are_remembered(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.add(record(0))
    journal.add(record(1))
    journal.reopen([1])
    journal.reopen([])
    assert (journal.read(), journal.open_again) == ({0: record(0)}, {1: record(1)})
    journal.add(record(1, rows=4))
    assert (journal.read()[1].rows, journal.open_again) == (4, {})


def test_a_step_is_told_when_a_line_lies_on_the_disk(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    journal = Journal(tmp_path / "j", step=lambda name: told.append((name, (tmp_path / "j").stat().st_size)))
    journal.add(record(0))
    assert told == [("journalled", len(journal_bytes({0: record(0)})))]


def test_a_line_that_the_disk_does_not_take_is_no_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.add(record(0))
    with largest_file(len(journal_bytes({0: record(0)})) + 20), pytest.raises(OutputError, match="larger than allowed"):
        journal.add(record(1))
    assert journal.read() == {0: record(0)}
    journal.add(record(1))
    assert (tmp_path / "j").read_bytes() == journal_bytes({0: record(0), 1: record(1)})
