"""The tests of pages in a browser run where one is installed, and say so where they do not run.

With the environment variable TOKAUDIO_BROWSER=required a missing browser is an error instead.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HERE = Path(__file__).parent
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
_MISSING = [
    *(["chromium"] if BROWSER is None else []),
    *(["playwright"] if importlib.util.find_spec("playwright") is None else []),
]

if _MISSING and os.environ.get("TOKAUDIO_BROWSER") == "required":
    raise pytest.UsageError(f"no browser to test pages in: install {' and '.join(_MISSING)}")

collect_ignore = [path.name for path in HERE.glob("test_*.py")] if _MISSING else []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without windows."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say that pages were not tested."""
    if _MISSING:
        terminalreporter.write_line(f"tests/pages not run: {' and '.join(_MISSING)} not installed")
