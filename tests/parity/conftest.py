"""The parity tests run where all oracles are installed, and say so where they do not run.

With the environment variable TOKAUDIO_ORACLES=required a missing oracle is an error instead. What
did not run is told at the end, because a test that is not there must not look like one that passed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.parity.oracles import missing_oracles

HERE = Path(__file__).parent
_MISSING = missing_oracles()

if _MISSING and os.environ.get("TOKAUDIO_ORACLES") == "required":
    raise pytest.UsageError(f"parity oracles missing: {', '.join(_MISSING)}; run python tests/parity/install.py")

# The tests of the support code need no oracle.
collect_ignore = [path.name for path in HERE.glob("test_*.py") if "support" not in path.name] if _MISSING else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that parity was not tested."""
    if _MISSING:
        terminalreporter.write_line(
            f"parity oracles not installed: tests/parity not run (missing: {', '.join(_MISSING)}; "
            "python tests/parity/install.py installs them)"
        )
