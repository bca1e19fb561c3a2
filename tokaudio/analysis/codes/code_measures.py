"""Everything that codes say by themselves, recording by recording: use, growth, runs, redundancy, predictability.

measures = CodeMeasures(spec)
for codes in recordings:
    measures.add(codes)
sections, notes = measures.finish(sampled_codes)
sections["usage"]
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tokaudio.analysis.codes.pieces import PieceSample
from tokaudio.analysis.codes.power_laws import HeapsCounter, PowerLaws, zipf
from tokaudio.analysis.codes.predictability import predictability
from tokaudio.analysis.codes.rarefaction import Rarefaction, rarefaction
from tokaudio.analysis.codes.redundancy import redundancy
from tokaudio.analysis.codes.runs import RunCounter, temporal_redundancy
from tokaudio.analysis.codes.usage import UsageCounter
from tokaudio.analysis.sections import Rows, Section
from tokaudio.analysis.statistics.contingency import Integers
from tokaudio.analysis.statistics.information import Information
from tokaudio.layouts.units import MAX_UNITS
from tokaudio.spec import TokenizerSpec

_FEWEST_TO_LEARN = 1000


@dataclass(frozen=True, slots=True)
class TemporalRedundancy:
    """What a code tells about the next one of its codebook.

    Attributes:
        information: of the next code.
    """

    information: Information

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return asdict(self.information) | {"share": self.information.share}


class CodeMeasures:
    """Measures codes alone.

    Args:
        spec: of the tokenizer.
        seed: of everything random.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> measures = CodeMeasures(TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),)))
        >>> measures.add([[0, 1, 2, 3] * 50])
        >>> sections, notes = measures.finish([[0, 1, 2, 3]])
        >>> sections["usage"].codebooks[0].utilisation
        0.5
    """

    def __init__(self, spec: TokenizerSpec, *, seed: int = 0) -> None:
        self._spec, self._seed = spec, seed
        self._usage, self._heaps, self._runs = UsageCounter(spec), HeapsCounter(spec), RunCounter(spec)
        self._pieces = PieceSample(spec, seed=seed)

    def add(self, codes: Integers | Sequence[Sequence[int]]) -> None:
        """Take the codes `[K, T]` of one recording, -1 where a frame does not have a codebook.

        Raises:
            AnalysisError: if they cannot be codes of this tokenizer.
        """
        for one in (self._usage, self._heaps, self._runs, self._pieces):
            one.add(codes)

    def finish(self, sampled: Integers | Sequence[Sequence[int]]) -> tuple[dict[str, Section | None], list[str]]:
        """Return the parts of a report, and what is missing in them.

        Args:
            sampled: codes `[K, N]` of frames drawn at random.

        Raises:
            AnalysisError: if there was no frame.
        """
        counts = [self._usage.counts(number)[1] for number in range(self._spec.num_codebooks)]
        pieces = self._pieces.finish()
        notes: list[str] = []
        wanted = self._compressible(counts, notes)
        grown: list[Rarefaction | None] = [
            rarefaction(times, size) if times.size else None
            for times, size in zip(counts, self._spec.codebook_sizes, strict=True)
        ]
        laws = PowerLaws(tuple(zipf(times) for times in counts), self._heaps.finish())
        following = [
            None if one is None else TemporalRedundancy(one) for one in temporal_redundancy(pieces, seed=self._seed)
        ]
        sections: dict[str, Section | None] = {
            "usage": self._usage.finish(),
            "rarefaction": Rows(tuple(grown)),
            "power_laws": laws,
            "runs": self._runs.finish(),
            "temporal_redundancy": Rows(tuple(following)),
            "redundancy": redundancy(sampled, seed=self._seed),
            "predictability": predictability(pieces, bpe=wanted) if min(pieces.frames) else None,
        }
        if sections["predictability"] is None:
            notes.append("Nothing is said about predictability: no frame is left to be foretold.")
        return sections, notes

    def _compressible(self, counts: Sequence[Integers], notes: list[str]) -> list[int]:
        """Return the codebooks that BPE is trained for: the first one, where that can be done."""
        if importlib.util.find_spec("tokenizers") is None:
            notes.append("Nothing is said about BPE: the package tokenizers is missing (pip install 'tokaudio[bpe]').")
            return []
        first = self._spec.codebook_sizes[0] <= MAX_UNITS and int(counts[0].sum()) >= _FEWEST_TO_LEARN
        return [0] if first else []
