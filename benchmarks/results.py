"""The parts that all benchmark scripts share: the machine line and the sections of RESULTS.md.

Each script owns the text between a pair of markers, `<!-- NAME:begin -->` and `<!-- NAME:end -->`, and rewrites
only that. A figure therefore always stands under the line that says on which machine it was measured.

Example:
    >>> text = "<!-- speed:begin -->old<!-- speed:end -->"
    >>> print(replace_section(text, "speed", "new"))
    <!-- speed:begin -->
    new
    <!-- speed:end -->
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")

HEADER = """# Results

Every figure on this page is written by a script in this folder; `python benchmarks/run.py` regenerates all of them.
Do not edit the text between the markers by hand.
"""


def cpu_model() -> str:
    """Return the processor's name as the system reports it.

    Example:
        >>> bool(cpu_model())
        True
    """
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine_line(packages: Sequence[str] = ("torch",), *, threads: int | None = None) -> str:
    """Return one line that says on what a benchmark ran.

    Args:
        packages: Distributions whose versions matter to the figures.
        threads: Number of threads that the benchmark used; left out when None.

    Returns:
        For example `Machine: Intel(R) Xeon(R), 2 cores, 1 thread used, Linux x86_64; Python 3.11.2, torch 2.13.0.`

    Example:
        >>> machine_line(threads=1).startswith("Machine: ")
        True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    hardware = [cpu_model(), f"{cores} core{'s' if cores > 1 else ''}"]
    if threads is not None:
        hardware.append(f"{threads} thread{'s' if threads > 1 else ''} used")
    hardware.append(f"{platform.system()} {platform.machine()}")
    software = [f"Python {platform.python_version()}"] + [f"{name} {_version(name)}" for name in packages]
    return f"Machine: {', '.join(hardware)}; {', '.join(software)}."


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def replace_section(text: str, name: str, body: str) -> str:
    r"""Return `text` with the section `name` replaced by `body`, or appended when there is no such section.

    Args:
        text: A Markdown document.
        name: Name of the section, as in its markers.
        body: The new content, without markers.

    Raises:
        ValueError: The document holds only one of the two markers, either of them twice, or the end before the begin.

    Example:
        >>> replace_section("# Results\n", "memory", "none")
        '# Results\n\n<!-- memory:begin -->\nnone\n<!-- memory:end -->\n'
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    section = f"{begin}\n{body.strip()}\n{end}"
    counts = (text.count(begin), text.count(end))
    if counts == (0, 0):
        return f"{text.rstrip()}\n\n{section}\n"
    start, stop = text.find(begin), text.find(end)
    if counts != (1, 1) or start > stop:
        raise ValueError(f"RESULTS.md: the markers of section '{name}' are damaged; restore one pair, begin before end")
    return text[:start] + section + text[stop + len(end) :]


def read_section(name: str, *, path: Path = RESULTS) -> str:
    """Return what stands in a section of RESULTS.md, nothing where there is no such section.

    Args:
        name: Name of the section, as in its markers.
        path: The document.

    Example:
        >>> read_section("no such section")
        ''
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    begin, end = text.find(f"<!-- {name}:begin -->"), text.find(f"<!-- {name}:end -->")
    return "" if min(begin, end) < 0 else text[begin:end].partition("\n")[2].strip()


def write_section(name: str, body: str, *, path: Path = RESULTS) -> None:
    """Rewrite one section of RESULTS.md, creating the file when it is missing.

    Args:
        name: Name of the section, as in its markers.
        body: The new content, without markers.
        path: The document.

    Raises:
        ValueError: The markers in the document are damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_section("speed", "fast", path=Path(folder) / "RESULTS.md")
        ...     print((Path(folder) / "RESULTS.md").read_text().splitlines()[-2])
        fast
    """
    text = path.read_text(encoding="utf-8") if path.exists() else HEADER
    updated = replace_section(text, name, body)
    temporary = path.with_suffix(".md.part")
    temporary.write_text(updated, encoding="utf-8")
    temporary.replace(path)
