"""What is done: one sealed line per shard, added when the shard lies on the disk.

Lines are only ever added, by one process at a time. A line that a dying process did not finish is no line, and is
taken away by the next one that writes. What lines say depends on the inputs alone (no times, no machines), and the
finished journal has one line per shard in their order, so that it is the same file however the job went.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokaudio.atomic import AtomicFile, Step, output_error
from tokaudio.corpus.sealed import seal, unseal
from tokaudio.errors import CorpusError


@dataclass(frozen=True)
class Failed:
    """An input that was tried and could not be encoded.

    Attributes:
        key: of the input.
        reason: one line: the file, what is wrong, what to do.
        environment: whether the machine is to blame (memory, permission, missing package) and not the file.
    """

    key: str
    reason: str
    environment: bool = False


@dataclass(frozen=True)
class ShardRecord:
    """A shard that is done.

    Attributes:
        shard: its number.
        files: name, bytes and SHA-256 of each of its files, relative to the job's folder; none where no input was fit.
        rows: inputs that were encoded.
        frames: of all rows.
        samples: of all rows, at the tokenizer's rate.
        failed: inputs that could not be.
    """

    shard: int
    files: tuple[tuple[str, int, str], ...]
    rows: int
    frames: int
    samples: int
    failed: tuple[Failed, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ShardRecord:
        """Return what `to_dict` gave.

        Example:
            >>> record = ShardRecord(0, (("part-00000.parquet", 9, "ab"),), 1, 50, 16_000, (Failed("a", "is empty"),))
            >>> ShardRecord.from_dict(record.to_dict()) == record
            True
        """
        files = tuple((str(name), int(size), str(sha256)) for name, size, sha256 in data["files"])
        failed = tuple(Failed(**one) for one in data["failed"])
        return cls(data["shard"], files, data["rows"], data["frames"], data["samples"], failed)


class Journal:
    """The file of the records, read as far as it has grown.

    Args:
        path: of the file; it need not exist.
        step: is told `journalled` when a line lies on the disk.

    Attributes:
        done: record of each shard that is done.
        damaged: lines that were no records when they were read, the unfinished last one left aside.
    """

    def __init__(self, path: str | os.PathLike[str], *, step: Step | None = None) -> None:
        self.path = Path(path)
        self._step = step or (lambda name: None)
        self._forget()

    def _forget(self) -> None:
        self.done: dict[int, ShardRecord] = {}
        self.open_again: dict[int, ShardRecord] = {}
        self.damaged = 0
        self._at, self._inode = 0, 0

    def read(self) -> dict[int, ShardRecord]:
        """Read what was added since the last time, and return the records of all shards that are done.

        Raises:
            OutputError: if the file is there and cannot be read.
        """
        try:
            with self.path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                if status.st_ino != self._inode or status.st_size < self._at:
                    self._forget()
                    self._inode = status.st_ino
                stream.seek(self._at)
                text = stream.read()
        except FileNotFoundError:
            self._forget()
            return self.done
        except OSError as error:
            raise output_error(self.path, error) from error
        whole = text[: text.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            self._take(line)
        return self.done

    def _take(self, line: bytes) -> None:
        try:
            fields = unseal(line.decode("ascii"))
            if "again" in fields:
                record = self.done.pop(fields["again"], None)
                if record is not None:
                    self.open_again[record.shard] = record
                return
            record = ShardRecord.from_dict(fields)
            self.done[record.shard] = record
            self.open_again.pop(record.shard, None)
        except (CorpusError, LookupError, TypeError, ValueError):
            # Cut off, changed, or sealed by something else.
            self.damaged += 1

    def add(self, record: ShardRecord) -> None:
        """Add a shard that is done; the caller has the job to itself.

        Raises:
            OutputError: if the disk takes no more.
        """
        self._append([seal(record.to_dict())])
        self._step("journalled")

    def reopen(self, shards: Iterable[int]) -> None:
        """Take shards back to be done once more; the caller has the job to itself.

        Raises:
            OutputError: if the disk takes no more.
        """
        if lines := [seal({"again": shard}) for shard in shards]:
            self._append(lines)

    def _append(self, lines: list[str]) -> None:
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                size = os.fstat(file).st_size
                os.ftruncate(file, _whole(file, size))
                os.lseek(file, 0, os.SEEK_END)
                data = memoryview("".join(f"{line}\n" for line in lines).encode())
                while data:
                    data = data[os.write(file, data) :]
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise output_error(self.path, error) from error

    def compact(self) -> None:
        """Write the file anew: one line per shard that is done, in order; the caller has the job to itself.

        Raises:
            OutputError: if it cannot be written.
        """
        content = journal_bytes(self.read())
        if not self.path.exists() or self.path.read_bytes() != content:
            with AtomicFile(self.path, overwrite=True) as output:
                output.temporary.write_bytes(content)


def journal_bytes(done: Mapping[int, ShardRecord]) -> bytes:
    """Return a finished journal."""
    return "".join(f"{seal(done[shard].to_dict())}\n" for shard in sorted(done)).encode()


def _whole(file: int, size: int) -> int:
    """Return how many bytes of a journal are whole lines."""
    block = 1 << 16
    end = size
    while end > 0:
        start = max(0, end - block)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
