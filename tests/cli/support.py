"""What tests of the command line share: the outcome of a run, sounds, and permissions that count."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """What a run gave."""

    code: int
    out: str
    err: str

    @property
    def failures(self) -> list[str]:
        """The lines on stderr, each of which must be a failure."""
        lines = self.err.splitlines()
        assert all(line.startswith("tokaudio: ") for line in lines), self.err
        assert "Traceback" not in self.err
        return lines

    @property
    def failure(self) -> str:
        """The one line on stderr."""
        assert len(self.failures) == 1, self.err
        return self.failures[0]


Cli = Callable[..., Outcome]


def voice(seconds: float, sample_rate: int, channels: int = 1) -> np.ndarray:
    """Return a gliding tone in noise, float32 `[S, C]`."""
    random = np.random.default_rng(3)
    at = np.arange(round(seconds * sample_rate)) / sample_rate
    tone = 0.3 * np.sin(2 * np.pi * (150 + 60 * at) * at)
    return (tone[:, None] + random.normal(0, 0.02, (len(at), channels))).astype(np.float32)


def names(folder: Path) -> list[str]:
    """Return the paths of everything below a folder, hidden files too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextmanager
def without_root_powers() -> Iterator[None]:
    """Make permission bits count, also where the tests run as root: drop CAP_DAC_* from this thread for a while."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(0x20080522, 0), (_Sets * 2)()
    assert libc.capget(ctypes.byref(header), sets) == 0
    before = sets[0].effective
    sets[0].effective = before & ~0b110
    assert libc.capset(ctypes.byref(header), sets) == 0
    try:
        yield
    finally:
        sets[0].effective = before
        assert libc.capset(ctypes.byref(header), sets) == 0
