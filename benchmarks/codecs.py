"""Are published codecs faster and smaller here than in their references? `python benchmarks/codecs.py [NAME ...]`.

Both sides run in one process on the same sound, in turns, with equal weights: random ones, at the published model's
full widths, which tokaudio reads from the published file layout. Times are CPU seconds; a speed-up is the median over
rounds of theirs divided by ours. Codes are compared at each length (margin-exact: a flip between two codewords that
are equally near to within 1e-4 is a tie). Peak memory is that of separate processes. Every codec has its own section
of RESULTS.md, with its own machine line; rows that a run does not measure stay in it. A minute and more is measured
with one thread only.

Needs the environment that `python tests/parity/install.py` makes. `--long` adds 300 s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from results import machine_line, read_section, write_section

MEASURE = Path(__file__).with_name("codec_measure.py")
MINUTE = 60
LENGTHS = (0.5, 1, 10, MINUTE)
OUR_PEAKS, THEIR_PEAKS = (10.0, 60.0, 600.0), (60.0,)


def measure(*arguments: str, threads: int = 1) -> Any:
    """Run one measurement in a fresh process and return what it printed.

    Raises:
        RuntimeError: it failed; the message is its last line.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, MEASURE, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def speed_up(rounds: list[list[float]]) -> float:
    """Return the median over rounds of theirs divided by ours.

    Example:
        >>> speed_up([[2.0, 1.0], [3.0, 1.0], [9.0, 1.0]])
        3.0
    """
    return statistics.median(theirs / ours for theirs, ours in rounds)


def time_rows(found: dict[str, Any], threads: int) -> list[str]:
    """Return table rows of one thread count: seconds of both sides and speed-ups at each length.

    Example:
        >>> cell = {"encode": [[0.2, 0.1]], "equality": {"total": 9, "equal": 8, "ties": 1, "others": 0}}
        >>> time_rows({"lengths": {"10": cell}}, 1)
        ['| 10 s | 1 | 0.200 | 0.100 | 2.00 | - | - | - | 8 of 9, 1 ties, 0 others |']
    """
    rows = []
    for seconds, cell in found["lengths"].items():
        texts = []
        for verb in ("encode", "decode"):
            rounds = cell.get(verb)
            if rounds is None:
                texts += ["-"] * 3
                continue
            sides = (statistics.median(column) for column in zip(*rounds, strict=True))
            texts += [*(f"{side:.3f}" for side in sides), f"{speed_up(rounds):.2f}"]
        same = cell["equality"]
        equal = f"{same['equal']:,} of {same['total']:,}, {same['ties']} ties, {same['others']} others"
        rows.append(f"| {seconds} s | {threads} | {' | '.join(texts)} | {equal} |")
    return rows


def peak_rows(name: str, ours: list[float], theirs: list[float]) -> list[str]:
    """Return table rows of peak memory at our lengths and at theirs, each measured in its own process."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        measure("save", name, folder)
        for side, all_seconds in (("ours", ours), ("theirs", theirs)):
            label = {"ours": "tokaudio", "theirs": "reference"}[side]
            for seconds in all_seconds:
                peak = measure("peak", name, side, f"{seconds}", folder)
                texts = (f"{peak[verb]:.0f} MB" if verb in peak else "-" for verb in ("encode", "decode"))
                rows.append(f"| {label}, {seconds:g} s | {' | '.join(texts)} |")
    return rows


TIMES = "| length | threads | encode, theirs | ours | speed-up | decode, theirs | ours | speed-up | equal codes |"
PEAKS = "| peak memory | encode | decode |"


def rows_below(text: str, header: str) -> list[str]:
    r"""Return the rows of the table with this header, none where there is no such table.

    Example:
        >>> rows_below("text\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n| c |", "| a | b |")
        ['| 1 | 2 |']
    """
    table = text.partition(header)[2].partition("\n\n")[0]
    return [line for line in table.splitlines() if line.startswith("| ")]


def merge_rows(old: list[str], new: list[str], keys: int) -> list[str]:
    """Return the new rows and the old ones whose first cells no new one has, by thread count or side, then length.

    Example:
        >>> merge_rows(["| 1 s | 2 | a |", "| 10 s | 1 | b |"], ["| 9 s | 1 | c |", "| 10 s | 1 | d |"], 2)
        ['| 9 s | 1 | c |', '| 10 s | 1 | d |', '| 1 s | 2 | a |']
    """
    rows = {tuple(row.split(" | ")[:keys]): row for row in [*old, *new]}

    def place(key: tuple[str, ...]) -> tuple[bool, str, float]:
        side, length = (key[1], key[0]) if keys == 2 else key[0].split(", ")
        return side == "| reference", side, float(length.strip("| s"))

    return [rows[key] for key in sorted(rows, key=place)]


def section(name: str, lengths: list[float], threads: list[int], *, ours: list[float], theirs: list[float]) -> str:
    """Measure one codec and return its section: times of both sides, and peak memory at its own lengths.

    Raises:
        RuntimeError: a measurement failed.
    """
    before = read_section(f"codecs-{name}")
    rows = []
    oracle = before.partition("Reference: ")[2].partition(";")[0]
    for count in threads:
        measured = [seconds for seconds in lengths if count == 1 or seconds < MINUTE]
        if measured:
            found = measure("time", name, *(f"{seconds:g}" for seconds in measured), threads=count)
            oracle = found["oracle"]
            rows += time_rows(found, count)
    body = [
        f"## Published codecs: {name}",
        "",
        machine_line(("torch", "numpy")),
        f"Reference: {oracle}; random weights at full size. CPU seconds, medians; speed-up: median of theirs / ours.",
        "",
        TIMES,
        f"|{'---|' * 9}",
        *merge_rows(rows_below(before, TIMES), rows, 2),
    ]
    peaks = merge_rows(rows_below(before, PEAKS), peak_rows(name, ours, theirs) if ours or theirs else [], 1)
    if peaks:
        body += ["", PEAKS, "|---|---|---|", *peaks]
    return "\n".join(body)


def main() -> int:
    """Measure the chosen codecs and return the exit code: 0, or 1 if any of them failed."""
    from tests.parity.builders import FAMILIES

    parser = argparse.ArgumentParser(description="Measure published codecs beside their references.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"from: {' '.join(FAMILIES)} (default: all)")
    parser.add_argument("--lengths", type=float, nargs="*", default=list(LENGTHS), help="seconds of audio to time")
    parser.add_argument("--long", action="store_true", help="add 300 s")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peaks", type=float, nargs="*", default=list(OUR_PEAKS), help="seconds for our peak memory")
    parser.add_argument("--their-peaks", type=float, nargs="*", default=list(THEIR_PEAKS), help="and for theirs")
    parser.add_argument("--dry-run", action="store_true", help="print, but do not write RESULTS.md")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in FAMILIES]:
        parser.error(f"unknown codec {', '.join(unknown)}; choose from {', '.join(FAMILIES)}")
    lengths = options.lengths + ([300.0] if options.long else [])
    failed = []
    for name in options.names or FAMILIES:
        try:
            body = section(name, lengths, options.threads, ours=options.peaks, theirs=options.their_peaks)
        except RuntimeError as error:
            print(f"{name}: not measured: {error}", file=sys.stderr)
            failed.append(name)
            continue
        print(body, flush=True)
        if not options.dry_run:
            write_section(f"codecs-{name}", body)
    if failed:
        print(f"failed: {', '.join(failed)}; their sections of RESULTS.md are unchanged", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
