"""What keeps arithmetic the same from run to run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_depth = 0
_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch's own operations on one thread inside the block, then restore the setting.

    A matrix product that is split over threads adds its terms in an order that depends on their number: results then
    differ in the last bits between machines with two cores and with eight. Blocks may nest and overlap between Python
    threads; the setting comes back when the last one ends.

    Example:
        >>> with one_thread():
        ...     torch.get_num_threads()
        1
    """
    global _depth, _before  # noqa: PLW0603 - one setting per process, as in torch
    with _lock:
        if _depth == 0:
            _before = torch.get_num_threads()
        _depth += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                torch.set_num_threads(_before)


@contextmanager
def exact_inference(device: torch.device) -> Iterator[None]:
    """Run a block without gradients, autocast or reduced precision, on one thread on the CPU.

    Example:
        >>> with exact_inference(torch.device("cpu")):
        ...     torch.is_grad_enabled()
        False
    """
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        if device.type == "cpu":
            with one_thread():
                yield
            return
        allowed = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = allowed
