"""Disks that are small or read-only, by whatever means the machine allows."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.test_atomic import largest_file


@contextmanager
def small_disk(folder: Path) -> Iterator[int]:
    """Make a folder a disk of 4 MiB while the block runs, and yield what writing too much will say.

    Where nobody may mount anything, no file can grow beyond 8 KiB instead.
    """
    folder.mkdir()
    if _mounted(folder, "size=4m"):
        try:
            yield errno.ENOSPC
        finally:
            subprocess.run(["umount", folder], check=True)
    else:
        with largest_file(8_192):
            yield errno.EFBIG


@contextmanager
def read_only_disk(folder: Path) -> Iterator[None]:
    """Make a folder one that nothing can be written to while the block runs."""
    folder.mkdir()
    if _mounted(folder, "ro"):
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)
    else:
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)


def _mounted(folder: Path, options: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
