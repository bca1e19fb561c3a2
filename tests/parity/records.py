"""What the parity tests found, kept as one small JSON file per reference and layout until the table is made.

`python -m tests.parity.conformance` reads the folder and writes docs/conformance.md.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.parity.compare import CodeComparison

# Ignored by git: results belong to one run on one machine.
FOLDER = Path(os.environ.get("TOKAUDIO_PARITY_RESULTS", Path(__file__).with_name(".parity-results")))


@dataclass(frozen=True)
class ParityRecord:
    """One row of the table: a reference, a file layout, and what was found.

    Attributes:
        family: first part of the reference's name (`encodec`).
        name: of the reference (`encodec-24k`).
        oracle: distribution and version.
        layout: of the published files that were read.
        cases: what was tried, in words: lengths, batches, numbers of codebooks.
        codes: compared.
        equal: of these, identical.
        tie_flips: first differences of a frame that are ties.
        non_tie_flips: those that are not; the test fails on any.
        distinct: least number of distinct codes that a codebook showed.
        audio_difference: greatest of the decoded audio, absolute; None where nothing is decoded.
        feature_difference: greatest of the features, relative to their peak if above 1; None if not compared.
    """

    family: str
    name: str
    oracle: str
    layout: str
    cases: tuple[str, ...]
    codes: int
    equal: int
    tie_flips: int
    non_tie_flips: int
    distinct: int
    audio_difference: float | None
    feature_difference: float | None


def record(
    name: str,
    oracle: str,
    layout: str,
    cases: tuple[str, ...],
    comparison: CodeComparison,
    *,
    audio_difference: float | None = None,
    feature_difference: float | None = None,
    folder: Path = FOLDER,
) -> ParityRecord:
    """Keep one result for the table; a later one of the same reference and layout replaces it.

    Example:
        >>> import tempfile
        >>> from tests.parity.compare import compare_codes
        >>> import torch
        >>> codes = torch.tensor([[1, 2, 3]])
        >>> found = record("toy-8k", "toy 1.0", "toy.bin", ("long",), compare_codes(codes, codes),
        ...                folder=Path(tempfile.mkdtemp()))
        >>> found.equal, found.distinct
        (3, 3)
    """
    row = ParityRecord(
        name.partition("-")[0],
        name,
        oracle,
        layout,
        tuple(cases),
        comparison.total,
        comparison.equal,
        comparison.tie_flips,
        comparison.non_tie_flips,
        min(comparison.distinct, default=0),
        audio_difference,
        feature_difference,
    )
    folder.mkdir(parents=True, exist_ok=True)
    slug = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in f"{name}--{layout}")
    (folder / f"{slug}.json").write_text(json.dumps(asdict(row), indent=1) + "\n", encoding="utf-8")
    return row


def load_records(folder: Path = FOLDER) -> list[ParityRecord]:
    """Return all kept results, sorted by family, name and layout.

    Example:
        >>> import tempfile
        >>> load_records(Path(tempfile.mkdtemp()))
        []
    """
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    records = [ParityRecord(**{**row, "cases": tuple(row["cases"])}) for row in rows]
    return sorted(records, key=lambda row: (row.family, row.name, row.layout))
