"""What published tokenizers cost, by the tables of `benchmarks/RESULTS.md`: no page states a time of its own.

`<!-- costs: NAME NAME ... -->` becomes a table with a row for each section `Published codecs: NAME`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "benchmarks" / "RESULTS.md"
HEAD = ("name", "encode 10 s", "decode 10 s", "times as fast as the reference", "memory to encode", "to decode")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks by tables."""
    return re.sub(r"<!-- costs: ([\w. -]+) -->", lambda found: costs(found[1].split()), markdown)


def costs(names: list[str]) -> str:
    """Return the table of what some sections measured for 10 s of sound on one thread.

    Raises:
        KeyError: if there is no such section, or it has no such row.
    """
    results = RESULTS.read_text(encoding="utf-8")
    lines = [
        f"| {' | '.join(HEAD)} |",
        "|---" + "|---:" * (len(HEAD) - 1) + "|",
        *(row(name, results) for name in names),
    ]
    about = "CPU seconds and peak memory of 10 s of sound on one thread, with random weights of full size"
    return "\n".join([*lines, "", f"{about} ([machines, other lengths](../benchmarks.md#{anchor(names[0])}))."])


def row(name: str, results: str) -> str:
    """Return the row of a section, whose name links to it."""
    _, found, section = results.partition(f"## Published codecs: {name}\n")
    section = section.partition("<!-- codecs-")[0]
    times, memory = (
        re.search(r"^\| 10 s \| 1 \|(.*)\|$", section, re.M),
        re.search(r"^\| tokaudio, 10 s \|(.*)\|$", section, re.M),
    )
    if not found or times is None or memory is None:
        raise KeyError(f"benchmarks/RESULTS.md: no measurement of 10 s of {name}")
    _, encode, faster, _, decode, faster_back, _ = (cell.strip() for cell in times[1].split("|"))
    gains = faster if faster_back == "-" else f"{faster}, {faster_back}"
    seconds = " | ".join("" if one == "-" else f"{float(one):.2f} s" for one in (encode, decode))
    used = " | ".join("" if (one := cell.strip()) == "-" else one for cell in memory[1].split("|"))
    return f"| [`{name}`](../benchmarks.md#{anchor(name)}) | {seconds} | {gains} | {used} |"


def anchor(name: str) -> str:
    """Return the anchor of a section."""
    return "published-codecs-" + re.sub(r"[^\w-]", "", name.lower())
