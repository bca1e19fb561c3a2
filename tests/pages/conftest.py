"""The tests of pages in a browser run where one is installed, those of notebooks where a kernel is, and say so if not.

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
_NOTEBOOKS = [name for name in ("nbclient", "ipykernel") if importlib.util.find_spec(name) is None]
_MISSING = [
    *(["chromium"] if BROWSER is None else []),
    *(["playwright"] if importlib.util.find_spec("playwright") is None else []),
]

if _MISSING and os.environ.get("TOKAUDIO_BROWSER") == "required":
    raise pytest.UsageError(f"no browser to test pages in: install {' and '.join(_MISSING)}")

collect_ignore = [
    *([path.name for path in HERE.glob("test_*_in_chromium.py")] + ["test_in_chromium.py"] if _MISSING else []),
    *(["test_notebooks.py"] if _NOTEBOOKS else []),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without windows."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tested."""
    if _MISSING:
        terminalreporter.write_line(f"tests/pages not run: {' and '.join(_MISSING)} not installed")
    if _NOTEBOOKS:
        terminalreporter.write_line(f"notebooks not run: {' and '.join(_NOTEBOOKS)} not installed")
