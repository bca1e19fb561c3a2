"""Which input lies in which shard: decided once, by the inputs alone, and kept in a file.

The plan does not know how many processes there will be. It is written before the first shard, and a job that is gone
on with takes it from there, so that a file that was mended meanwhile changes its own shard only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokaudio.corpus.inputs import Input, Listing
from tokaudio.corpus.sealed import seal, unseal
from tokaudio.errors import CorpusError, TokaudioError, one_line
from tokaudio.storage.dataset_info import ColumnType

FORMAT, VERSION = "tokaudio-plan", 1

_FEWEST_SHARDS = 64
_SHORTEST_SECONDS, _LONGEST_SECONDS = 600.0, 36_000.0


@dataclass(frozen=True)
class Sharding:
    """When a shard is full: at whichever limit comes first.

    Args:
        seconds: of sound; None for the whole corpus in about 64 shards, but 10 minutes at least and 10 hours at most.
        items: inputs.

    Raises:
        ValueError: a limit that is not positive.
    """

    seconds: float | None = None
    items: int = 10_000

    def __post_init__(self) -> None:
        if (self.seconds is not None and not self.seconds > 0) or self.items < 1:
            raise ValueError(f"shards of {self.seconds} seconds and {self.items} inputs; give positive limits")


def cut_shards(inputs: Iterable[tuple[Input, float]], sharding: Sharding) -> list[list[Input]]:
    """Return the inputs of each shard, in order, given each with its seconds.

    A shard is closed as soon as it is full, so that only the last one holds less than the limits.

    Example:
        >>> three = [(Input(key, key), 4.0) for key in "abc"]
        >>> [len(shard) for shard in cut_shards(three, Sharding(seconds=6))]
        [2, 1]
    """
    limit = sharding.seconds
    if limit is None:
        inputs = list(inputs)
        total = sum(seconds for _, seconds in inputs)
        limit = min(max(total / _FEWEST_SHARDS, _SHORTEST_SECONDS), _LONGEST_SECONDS)
    shards: list[list[Input]] = []
    full, held = True, 0.0
    for one, seconds in inputs:
        if full:
            shards.append([])
            held = 0.0
        shards[-1].append(one)
        held += seconds
        full = held >= limit or len(shards[-1]) >= sharding.items
    return shards


def plan_lines(
    listing: Listing, sharding: Sharding, *, measure: Callable[[Path], float] | None = None
) -> Iterator[bytes]:
    """Yield the lines of a plan's file: what holds for all of it, then one line per shard.

    Args:
        listing: what is to be encoded.
        sharding: when a shard is full.
        measure: returns the seconds of a file whose length the manifest does not say; `file_seconds` if None.

    Example:
        >>> lines = list(plan_lines(Listing("/", [Input("a", "a.wav", seconds=2.0)]), Sharding()))
        >>> len(lines)
        2
    """
    measure = measure or file_seconds
    timed = [(one, seconds_of(one, listing.root, measure)) for one in listing.inputs]
    shards = cut_shards(timed, sharding)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "listing": listing.digest(),
        "sharding": asdict(sharding),
        "shards": len(shards),
        "inputs": len(listing.inputs),
        "seconds": round(sum(seconds for _, seconds in timed), 3),
        "columns": dict(listing.columns),
        "skipped": listing.skipped,
    }
    yield seal(header).encode() + b"\n"
    for index, shard in enumerate(shards):
        yield seal({"shard": index, "inputs": [one.to_row() for one in shard]}).encode() + b"\n"


def seconds_of(one: Input, root: str, measure: Callable[[Path], float]) -> float:
    """Return how long an input is, as far as that is known without decoding it."""
    if one.seconds is not None:
        return one.seconds
    return max(0.0, measure(Path(root, one.name)) - (one.start or 0.0))


def file_seconds(path: Path) -> float:
    """Return how long a file says that it is; 0 where it does not say, or cannot be read, as will be seen later."""
    from tokaudio.audio import audio_info

    try:
        return audio_info(path).duration or 0.0
    except (TokaudioError, OSError):
        return 0.0


@dataclass(frozen=True)
class ShardPlan:
    """A plan's file, of which shards are read one at a time.

    Attributes:
        path: of the file.
        header: its first line: `listing`, `sharding`, `shards`, `inputs`, `seconds`, `columns`, `skipped`.
        offsets: where the line of each shard begins, and where the last one ends.
        sha256: of the file.
    """

    path: Path
    header: dict[str, Any]
    offsets: tuple[int, ...]
    sha256: str

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> ShardPlan:
        """Read a plan's header and where its shards are.

        Raises:
            CorpusError: if the file is not there, or is damaged as a whole.
        """
        digest, at, ends, first = hashlib.sha256(), 0, [], b""
        try:
            with Path(path).open("rb") as stream:
                for line in stream:
                    first = first or line
                    digest.update(line)
                    at += len(line)
                    ends.append(at)
        except OSError as error:
            raise CorpusError(
                one_line(path, f"cannot be read ({error.strerror})", "encode the corpus again")
            ) from error
        header = _unsealed(first, path)
        if (header.get("format"), header.get("version")) != (FORMAT, VERSION) or len(ends) != header["shards"] + 1:
            raise CorpusError(one_line(path, "is no whole plan of this version", "run corpus verify --repair"))
        return cls(Path(path), header, tuple(ends), digest.hexdigest())

    @property
    def columns(self) -> dict[str, ColumnType]:
        """Type of each column."""
        return dict(self.header["columns"])

    def __len__(self) -> int:
        """Number of shards."""
        return int(self.header["shards"])

    def __getitem__(self, index: int) -> list[Input]:
        """Return the inputs of a shard.

        Raises:
            CorpusError: if its line is damaged.
        """
        start, end = self.offsets[index], self.offsets[index + 1]
        with self.path.open("rb") as stream:
            stream.seek(start)
            record = _unsealed(stream.read(end - start), self.path)
        return [Input.from_row(row) for row in record["inputs"]]


def _unsealed(line: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return unseal(line.decode("ascii").removesuffix("\n"))
    except (CorpusError, UnicodeDecodeError):
        raise CorpusError(one_line(path, "is damaged", "run corpus verify --repair")) from None
