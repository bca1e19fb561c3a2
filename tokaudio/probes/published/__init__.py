"""Published results of other benchmarks, as data: to be ranked again, and to be agreed with or not.

published = dasb_v1()
published.columns("medium")  # what `ranking` ranks
published.contradictions()  # where the published ranking is not that of its own table
"""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokaudio.probes.errors import ProbeError
from tokaudio.probes.evidence import METRICS
from tokaudio.probes.ranking import Column, mean_ranks

PARTS = ("discriminative", "generative", "combined")
"""Of the published ranking: which columns it is the mean over."""
_ROUNDING = 0.01


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A cell of the published ranking that does not follow from the published table.

    Attributes:
        tokenizer: whose rank it is.
        part: one of `PARTS`.
        published: the mean rank as published.
        low: the mean rank from the table where ties get the better rank.
        high: the mean rank from the table where ties get the worse rank.
    """

    tokenizer: str
    part: str
    published: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Published:
    """The tables of a benchmark.

    Attributes:
        source: where they are from.
        tokenizers: in the order of the scores.
        tables: columns by bitrate.
        ranking: mean ranks as published, by tokenizer, in the order of `PARTS`.
    """

    source: str
    tokenizers: tuple[str, ...]
    tables: Mapping[str, tuple[Column, ...]]
    ranking: Mapping[str, Sequence[float]]

    def columns(self, bitrate: str = "medium", part: str = "combined") -> tuple[Column, ...]:
        """Return the columns of a table.

        Args:
            bitrate: `low` or `medium`.
            part: one of `PARTS`.

        Raises:
            ProbeError: if there is no such table or part.
        """
        if bitrate not in self.tables or part not in PARTS:
            known = f"{' or '.join(self.tables)}, and {' or '.join(PARTS)}"
            raise ProbeError(f"{self.source} has no table {bitrate!r}, {part!r}; give {known}")
        table = self.tables[bitrate]
        if part == "combined":
            return table
        return tuple(column for column in table if (column.axis == "generative") == (part == "generative"))

    def contradictions(self) -> list[Contradiction]:
        """Return the cells of the published ranking that its table contradicts, however ties are ranked."""
        found = []
        for place, part in enumerate(PARTS):
            low, high = (mean_ranks(self.columns("medium", part), ties=ties) for ties in ("min", "max"))
            for name, ranks in self.ranking.items():
                if not low[name] - _ROUNDING < ranks[place] < high[name] + _ROUNDING:
                    found.append(Contradiction(name, part, ranks[place], low[name], high[name]))
        return found

    def impossible(self) -> list[str]:
        """Return tokenizers whose combined rank is not between its two parts, as that of no mean of both can be."""
        return [
            name
            for name, (first, second, combined) in self.ranking.items()
            if not min(first, second) <= combined <= max(first, second)
        ]


@functools.cache
def dasb_v1() -> Published:
    """Return the tables of the first version of DASB, of low and medium bitrate.

    Example:
        >>> [(one.tokenizer, one.part) for one in dasb_v1().contradictions()][:2]
        [('DAC', 'discriminative'), ('Discrete WavLM', 'generative')]
        >>> dasb_v1().impossible()
        ['Discrete WavLM', 'Discrete Wav2Vec2', 'EnCodec']
    """
    text = importlib.resources.files("tokaudio.probes.published").joinpath("dasb_v1.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    names = tuple(document["tokenizers"])
    tables = {
        bitrate: tuple(_column(one, names, one[bitrate]) for one in document["columns"])
        for bitrate in ("low", "medium")
    }
    return Published(document["source"], names, tables, document["ranking"])


def _column(one: Mapping[str, Any], names: Sequence[str], values: Sequence[float]) -> Column:
    return Column(
        one["task"], one["axis"], METRICS[one["metric"]].higher_is_better, dict(zip(names, values, strict=True))
    )
