"""Computations that give arrays, several at once, each in a process of its own.

    for number, array in side_by_side([first, second, third], at_once=2):
        ...

Processes are forks: whatever a computation needs is already there, and nothing is pickled. Probes run on one thread
each, so that two at once on two cores take half the time and give the same arrays. Where there is no fork (Windows),
or none that is safe (macOS), one comes after the other.
"""

from __future__ import annotations

import io
import os
import selectors
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tokaudio.probes.errors import ProbeError

Array = NDArray[Any]
_FINE, _REFUSED, _BROKEN = b"+", b"-", b"!"


def side_by_side(computes: Sequence[Callable[[], Array]], *, at_once: int) -> Iterator[tuple[int, Array]]:
    """Yield the number and the result of each computation, as they are done.

    Args:
        computes: give arrays of numbers.
        at_once: how many processes there may be.

    Raises:
        ProbeError: if a computation raises one; whatever else it raises becomes a RuntimeError with its traceback.

    Example:
        >>> sorted((number, int(array)) for number, array in side_by_side([lambda: np.array(3)] * 3, at_once=2))
        [(0, 3), (1, 3), (2, 3)]
    """
    if min(at_once, len(computes)) < 2 or not hasattr(os, "fork") or sys.platform == "darwin":
        for number, compute in enumerate(computes):
            yield number, compute()
        return
    waiting, children = list(enumerate(computes)), dict[int, _Child]()
    with selectors.DefaultSelector() as ready:
        try:
            while waiting or children:
                while waiting and len(children) < at_once:
                    child = _begun(*waiting.pop(0))
                    children[child.pipe] = child
                    ready.register(child.pipe, selectors.EVENT_READ)
                for key, _ in ready.select():
                    child = children[key.fd]
                    piece = os.read(child.pipe, 1 << 16)
                    child.said += piece
                    if not piece:
                        ready.unregister(child.pipe)
                        del children[child.pipe]
                        child.end()
                        yield child.number, _result(bytes(child.said))
        finally:
            for child in children.values():
                with suppress(ProcessLookupError):
                    os.kill(child.process, signal.SIGKILL)
                child.end()


@dataclass
class _Child:
    """A process: the number of its computation, its id, the pipe it writes to, and what it has written."""

    number: int
    process: int
    pipe: int
    said: bytearray = field(default_factory=bytearray)

    def end(self) -> None:
        os.close(self.pipe)
        os.waitpid(self.process, 0)


def _begun(number: int, compute: Callable[[], Array]) -> _Child:
    read, write = os.pipe()
    process = os.fork()
    if process:
        os.close(write)
        return _Child(number, process, read)
    # From here on in the child, which must never return into what its parent was doing.
    try:
        os.close(read)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        torch.set_num_threads(1)
        with os.fdopen(write, "wb") as pipe:
            pipe.write(_said(compute))
    finally:
        os._exit(0)


def _said(compute: Callable[[], Array]) -> bytes:
    try:
        held = io.BytesIO()
        np.save(held, compute(), allow_pickle=False)
        return _FINE + held.getvalue()
    except ProbeError as error:
        return _REFUSED + str(error).encode()
    except BaseException:
        return _BROKEN + traceback.format_exc().encode()


def _result(said: bytes) -> Array:
    kind, rest = said[:1], said[1:]
    if kind == _FINE:
        return np.asarray(np.load(io.BytesIO(rest), allow_pickle=False))
    if kind == _REFUSED:
        raise ProbeError(rest.decode())
    raise RuntimeError(rest.decode() or "a run of a probe was killed; was there too little memory?")
