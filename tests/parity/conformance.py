"""Make docs/conformance.md from what the parity tests kept: `python -m tests.parity.conformance [--check]`.

Run `pytest tests/parity` before. With `--check` nothing is written; the exit code is 1 if the committed page tells of
other references, versions, layouts, cases, numbers of codes or non-tie flips than this run. Tie flips and differences
of audio and features depend on the machine's arithmetic and are not compared.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from pathlib import Path

from tests.parity.records import FOLDER, ParityRecord, load_records

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"

INTRODUCTION = """# Conformance

Every published codec is read from its own file layout and compared with the reference implementation, which runs in
the same process on the same sound: made-up speech-like signals and a recording, of the lengths listed, alone and in
batches, stereo where the codec is stereo, with all codebooks and with fewer. The weights are random (no published
weights are at hand where these tests run), filled so that codes are diverse; channel widths are reduced, every layer
kind, ratio and codebook is there.

- **equal**: codes that are identical. **tie flips**: the first difference of a frame where two codewords are equally
  near to within 1e-4 of the squared distance. **non-tie flips**: any other first difference; the tests fail on one.
- **distinct**: the least number of different codes that any codebook showed: equality of few codes would say little.
- **audio**: greatest absolute difference of decoded samples, from the same codes. **features**: of the vectors before
  quantization, relative to their peak where that is above 1.

This page is written by `pytest tests/parity && python -m tests.parity.conformance`. The references and their versions
are in `tests/parity/oracles.txt`.
"""
COLUMNS = ("reference", "oracle", "layout", "codes", "equal", "tie flips", "non-tie flips", "distinct")
VARYING = ("audio", "features")


def page(records: list[ParityRecord]) -> str:
    """Return the page: a table per family, and which lengths were tried.

    Example:
        >>> page([]).splitlines()[0]
        '# Conformance'
    """
    parts = [INTRODUCTION]
    for family, group in itertools.groupby(records, key=lambda row: row.family):
        rows = list(group)
        parts.append(f"\n## {family}\n")
        tried = dict.fromkeys(case for row in rows for case in row.cases)
        parts.append(f"Tried: {', '.join(tried)}.\n")
        header = (*COLUMNS, *VARYING)
        parts += [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
        parts += [f"| {' | '.join(cells(row))} |" for row in rows]
    return "\n".join(parts) + "\n"


def cells(row: ParityRecord) -> list[str]:
    """Return the cells of one row, in the order of the columns."""
    counts = (row.codes, row.equal, row.tie_flips, row.non_tie_flips, row.distinct)
    differences = (row.audio_difference, row.feature_difference)
    return [
        row.name,
        row.oracle,
        row.layout,
        *(f"{count:,}" for count in counts),
        *("-" if value is None else f"{value:.0e}" for value in differences),
    ]


def steady(text: str) -> str:
    r"""Return a page without the figures that may differ between machines.

    Example:
        >>> row = "| snac-24k | snac 1.2.1 | snac | 9 | 8 | 1 | 0 | 4 | 3e-07 | 2e-07 |"
        >>> steady(row)
        '| snac-24k | snac 1.2.1 | snac | 9 | 0 |'
    """
    return re.sub(r"^((?:\|[^|\n]*){4})\|[^|\n]*\|[^|\n]*(\|[^|\n]*\|)(?:[^|\n]*\|){3}$", r"\1\2", text, flags=re.M)


def main(arguments: list[str] | None = None, *, folder: Path = FOLDER, target: Path = PAGE) -> int:
    """Write or check the page and return the exit code."""
    parser = argparse.ArgumentParser(description="Make docs/conformance.md from the kept results.")
    parser.add_argument("--check", action="store_true", help="compare with the committed page instead of writing it")
    check = parser.parse_args(arguments).check
    records = load_records(folder)
    if not records and check and not target.exists():
        print("no family is compared yet, and no page says so")
        return 0
    if not records:
        print(f"{folder}: holds no results; run pytest tests/parity first", file=sys.stderr)
        return 1
    new = page(records)
    if not check:
        target.write_text(new, encoding="utf-8")
        return 0
    old = target.read_text(encoding="utf-8") if target.exists() else ""
    if steady(old) == steady(new):
        return 0
    for line in sorted(set(steady(new).splitlines()) ^ set(steady(old).splitlines())):
        print(f"{'found' if line in steady(new).splitlines() else 'page '}: {line}", file=sys.stderr)
    print(f"{target}: does not tell what the tests found; run python -m tests.parity.conformance", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
