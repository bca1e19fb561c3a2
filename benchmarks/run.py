"""Regenerate all of RESULTS.md: `python benchmarks/run.py [NAME ...]`.

Runs the benchmark scripts one after the other, each in its own process so that none of them inherits another's
threads, caches or peak memory. Each script rewrites its own section. Goes on after a script that fails, and then
exits with 1 and names it.

Needs: what the single scripts need; their docstrings say.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "intelligibility",
    "quality",
    "speed",
    "memory",
    "codecs",
    "ssl_models",
    "keywords",
    "kmeans",
    "quantizers",
    "variable_depth",
    "corpus",
    "corpus_soak",
    "analysis",
    "analysis_increments",
    "robustness",
    "probe_statistics",
    "generative",
)


def main() -> int:
    """Run the chosen scripts and return the exit code: 0, or 1 if any of them failed."""
    parser = argparse.ArgumentParser(description="Regenerate all of benchmarks/RESULTS.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"scripts to run (default: {' '.join(SCRIPTS)})")
    names = parser.parse_args().names or SCRIPTS
    unknown = [name for name in names if name not in SCRIPTS]
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; choose from {', '.join(SCRIPTS)}")
    failed = []
    for name in names:
        started = time.monotonic()
        code = subprocess.run([sys.executable, HERE / f"{name}.py"], check=False).returncode
        print(
            f"{name}: {'done' if code == 0 else f'FAILED with exit code {code}'} in {time.monotonic() - started:.0f} s"
        )
        if code:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}; their sections of RESULTS.md are unchanged", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
