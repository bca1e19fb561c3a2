"""What a corpus holds: hours, tokens, bytes, who speaks which language, and how much of each codebook is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tokaudio.corpus.finishing import Summary, read_marker
from tokaudio.corpus.folder import META, require_corpus
from tokaudio.corpus.journal import Journal
from tokaudio.corpus.shards import corpus_format, shard_name
from tokaudio.storage.dataset_info import read_info

COUNTED = ("speaker", "speaker_id", "voice", "language", "lang", "split")
"""Columns whose values are counted, in seconds of sound."""

_MOST_VALUES = 100_000


@dataclass(frozen=True)
class CodebookCounts:
    """How one codebook is used.

    Attributes:
        size: codes that it has.
        used: different codes that occur.
        perplexity: 2**entropy: as many codes, all equally frequent, would carry as much.
    """

    size: int
    used: int
    perplexity: float

    @property
    def utilisation(self) -> float:
        """Share of the codes that occur."""
        return self.used / self.size


@dataclass(frozen=True)
class CorpusStatistics:
    """What a corpus holds.

    Attributes:
        summary: inputs, shards, hours, bytes.
        tokenizer: that made the codes.
        fingerprint: of its weights.
        tokens: codes, a slow codebook counted at its own rate.
        shortest: seconds of the shortest row.
        longest: seconds of the longest row.
        seconds_by: of every column in `COUNTED` that rows have, the seconds of sound by value.
        codebooks: how each is used.
    """

    summary: Summary
    tokenizer: str
    fingerprint: str
    tokens: int
    shortest: float
    longest: float
    seconds_by: Mapping[str, Mapping[str, float]]
    codebooks: tuple[CodebookCounts, ...]

    @property
    def bytes_per_hour(self) -> float:
        """Bytes of shards per hour of sound."""
        return self.summary.bytes / self.summary.hours if self.summary.hours else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Codes per second of sound."""
        return self.tokens / self.summary.hours / 3600 if self.summary.hours else 0.0


def corpus_statistics(folder: str | os.PathLike[str], *, tell: Callable[[int], None] | None = None) -> CorpusStatistics:
    """Read all shards of a finished corpus, one row at a time, and return what they hold.

    Args:
        folder: of `corpus encode`.
        tell: is told the number of every shard that has been read.

    Raises:
        CorpusError: if there is no corpus, it is not finished, or its marker is damaged.
        TokensError: if a shard is damaged.
    """
    out = require_corpus(folder)
    marker = read_marker(out)
    info, form = read_info(out), corpus_format(marker["job"]["options"]["format"])
    counts = [np.zeros(size, np.int64) for size in info.spec.codebook_sizes]
    times: dict[str, dict[str, float]] = {name: {} for name in COUNTED if name in info.columns}
    tokens, shortest, longest = 0, np.inf, 0.0
    for shard, record in sorted(Journal(out / META / "journal.jsonl").read().items()):
        for row in form.read_shard(out / shard_name(shard, form)) if record.files else ():
            shortest, longest = min(shortest, row.duration), max(longest, row.duration)
            for k, codebook in enumerate(info.spec.codebooks):
                codes = row.codes[k, :: codebook.stride]
                if row.depth is not None:
                    codes = codes[row.depth[:: codebook.stride] > k]
                tokens += len(codes)
                counts[k] += np.bincount(codes, minlength=len(counts[k]))
            _count(times, row.columns, row.duration)
        if tell is not None:
            tell(shard)
    return CorpusStatistics(
        Summary(**marker["counts"]),
        info.spec.name,
        info.fingerprint,
        tokens,
        0.0 if longest == 0 else float(shortest),
        longest,
        {name: dict(sorted(by.items(), key=lambda one: (-one[1], one[0]))) for name, by in times.items()},
        tuple(_used(count) for count in counts),
    )


def _count(times: Mapping[str, dict[str, float]], columns: Mapping[str, Any], seconds: float) -> None:
    for name, by in times.items():
        value = columns.get(name)
        text = "" if value is None else str(value)
        # Names without end are no groups, and must not fill the memory.
        text = text if text in by or len(by) < _MOST_VALUES else "(others)"
        by[text] = by.get(text, 0.0) + seconds


def _used(counts: np.ndarray[Any, np.dtype[np.int64]]) -> CodebookCounts:
    """Return the usage of a codebook whose codes occur so often."""
    share = counts[counts > 0] / max(int(counts.sum()), 1)
    entropy = float(-(share * np.log2(share)).sum())
    return CodebookCounts(len(counts), int((counts > 0).sum()), 2.0**entropy if len(share) else 0.0)
