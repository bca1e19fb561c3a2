"""Arithmetic coding of integers with static tables, in integers only: asymmetric numeral systems (arXiv:1311.2540).

A table is the counts of the symbols, scaled to sum to 2**24. Symbols are coded by up to 256 interleaved states
(arXiv:1402.3392), each in 2**31 <= x < 2**63 and refilled with words of 32 bits, so that numpy codes many at once.

A state x that codes a symbol of frequency f, whose range starts at c, becomes (x // f) * 2**24 + c + x % f. Before
that, if x >= f * 2**39, its low word is put out, which leaves it below: so x < 2**63 afterwards. Decoding undoes both.
Symbols are coded from the last to the first, so that they are decoded from the first to the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BITS = 24
_TOTAL = 1 << _BITS
_LOWEST = np.uint64(1 << 31)
_WORD = np.uint64(32)
_EMIT = np.uint64(31 - _BITS + 32)
_SYMBOLS_PER_LANE = 4096
_MAX_LANES = 256

MAX_COUNT = _TOTAL

Words = NDArray[np.uint32]


@dataclass(frozen=True)
class Table:
    """Which symbols occur, and how often each, 2**24 times at most in all.

    Example:
        >>> Table(np.array([5, 9]), np.array([1, 3])).frequencies.tolist()
        [4194304, 12582912]
    """

    symbols: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Table:
        """Return the table of the values themselves."""
        symbols, counts = np.unique(values, return_counts=True)
        return cls(symbols.astype(np.int64), counts.astype(np.int64))

    @property
    def total(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())

    @property
    def frequencies(self) -> NDArray[np.int64]:
        """Counts scaled to a sum of 2**24, each at least 1; what rounding leaves goes to the first of the greatest."""
        if not len(self.counts):
            return self.counts
        scaled = self.counts * _TOTAL // self.total
        scaled[np.argmax(scaled)] += _TOTAL - int(scaled.sum())
        return scaled

    @property
    def entropy(self) -> float:
        """Bits per value that no code with one static table can beat."""
        shares = self.counts / max(1, self.total)
        return float(-(shares * np.log2(shares)).sum()) + 0.0


def num_lanes(symbols: int) -> int:
    """Return how many states code so many symbols."""
    return max(1, min(_MAX_LANES, symbols // _SYMBOLS_PER_LANE))


def encode(streams: Sequence[NDArray[Any]], tables: Sequence[Table]) -> Words:
    """Code streams of symbols, each with its table.

    Args:
        streams: integers [n], each of them in its table.
        tables: one per stream.

    Returns:
        The states after the last symbol, and all words put out, uint32.

    Example:
        >>> values = np.array([7, 7, 2, 7])
        >>> words = encode([values], [Table.of(values)])
        >>> decode(words, [4], [Table.of(values)])[0].tolist()
        [7, 7, 2, 7]
    """
    lanes = num_lanes(sum(len(stream) for stream in streams))
    states = np.full(lanes, _LOWEST)
    out: list[Words] = []
    for stream, table in zip(reversed(streams), reversed(tables), strict=True):
        places = np.searchsorted(table.symbols, stream)
        frequencies = table.frequencies.astype(np.uint64)
        starts = np.cumsum(frequencies) - frequencies
        f, c = frequencies[places], starts[places]
        for first in range((len(stream) - 1) // lanes * lanes, -1, -lanes) if len(stream) else ():
            here = slice(first, min(first + lanes, len(stream)))
            x, many = states[: here.stop - first], f[here]
            full = x >= many << _EMIT
            if full.any():
                out.append(x[full].astype(np.uint32))
                x = np.where(full, x >> _WORD, x)
            states[: here.stop - first] = (x // many << np.uint64(_BITS)) + c[here] + x % many
    words = out[::-1]
    return np.concatenate([states.astype("<u8").view("<u4"), *words]).astype("<u4")


def decode(words: Words, lengths: Sequence[int], tables: Sequence[Table]) -> list[NDArray[np.int64]]:
    """Return the streams that `encode` coded.

    Args:
        words: what it returned.
        lengths: of the streams.
        tables: of the streams.

    Raises:
        ValueError: words that are not those of such streams.
    """
    lanes = num_lanes(sum(lengths))
    if len(words) < 2 * lanes:
        raise ValueError("coded symbols are cut off")
    states = np.ascontiguousarray(words[: 2 * lanes], "<u4").view("<u8").astype(np.uint64)
    rest, place = words[2 * lanes :].astype(np.uint64), 0
    streams = []
    for length, table in zip(lengths, tables, strict=True):
        frequencies = table.frequencies.astype(np.uint64)
        starts = np.cumsum(frequencies) - frequencies
        stream = np.empty(length, np.int64)
        for first in range(0, length, lanes):
            width = min(lanes, length - first)
            x = states[:width]
            slots = x & np.uint64(_TOTAL - 1)
            found = np.searchsorted(starts, slots, "right") - 1
            stream[first : first + width] = table.symbols[found]
            x = frequencies[found] * (x >> np.uint64(_BITS)) + slots - starts[found]
            low = np.flatnonzero(x < _LOWEST)
            if place + len(low) > len(rest):
                raise ValueError("coded symbols are cut off")
            x[low] = x[low] << _WORD | rest[place : place + len(low)]
            place += len(low)
            states[:width] = x
        streams.append(stream)
    if place != len(rest) or (states != _LOWEST).any():
        raise ValueError("coded symbols do not end where they began")
    return streams
