"""What keeps arithmetic the same from run to run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch

_lock = threading.Lock()
_local = threading.local()
_before = 1
_open: dict[str, int] = {}
_undo: dict[str, ExitStack] = {}


@contextmanager
def _held(name: str, setting: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Make a process-wide setting with the first open block of this name, and take it back with the last.

    Blocks may nest, and overlap between Python threads.
    """
    with _lock:
        if not _open.get(name):
            _undo[name] = ExitStack()
            _undo[name].enter_context(setting())
        _open[name] = _open.get(name, 0) + 1
    try:
        yield
    finally:
        with _lock:
            _open[name] -= 1
            if not _open[name]:
                _undo.pop(name).close()


def _knobs(device_type: str) -> list[Any]:
    """Return the objects whose `fp32_precision` decides how float32 products and convolutions are computed."""
    backends: Any = torch.backends
    if device_type == "cuda":
        return [backends.cuda.matmul, backends.cudnn.conv]
    return [backends.mkldnn.matmul, backends.mkldnn.conv]


@contextmanager
def _full(device_type: str) -> Iterator[None]:
    if not hasattr(torch.backends, "fp32_precision"):
        # Before torch 2.9 one setting ruled all backends.
        legacy = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(legacy)
        return
    knobs = [knob for knob in _knobs(device_type) if knob.fp32_precision not in ("none", "ieee")]
    before = [knob.fp32_precision for knob in knobs]
    try:
        for knob in knobs:
            knob.fp32_precision = "ieee"
        yield
    finally:
        for knob, value in zip(knobs, before, strict=True):
            knob.fp32_precision = value


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch's own operations on one thread inside the block, then restore the setting.

    A matrix product that is split over threads adds its terms in an order that depends on their number: results then
    differ in the last bits between machines with two cores and with eight. Blocks may nest, and overlap between Python
    threads, each of which has a setting of its own that starts as the latest one made anywhere.

    Example:
        >>> with one_thread():
        ...     torch.get_num_threads()
        1
    """
    global _before  # noqa: PLW0603 - as the setting itself
    depth = getattr(_local, "depth", 0)
    with _lock:
        if not _open.get("threads"):
            _before = torch.get_num_threads()
        _open["threads"] = _open.get("threads", 0) + 1
        torch.set_num_threads(1)
    _local.depth = depth + 1
    try:
        yield
    finally:
        _local.depth = depth
        with _lock:
            _open["threads"] -= 1
            if depth == 0:
                torch.set_num_threads(_before)


def full_precision(device: torch.device) -> AbstractContextManager[None]:
    """Compute float32 in float32 inside the block, whatever `torch.set_float32_matmul_precision` was set to.

    At "medium", processors with bfloat16 units round every factor of a product to 8 bits, and other codes win. Blocks
    may nest and overlap between Python threads.

    Example:
        >>> with full_precision(torch.device("cpu")):
        ...     float(torch.ones(1, 1) @ torch.full((1, 1), 1 + 2**-20)) > 1
        True
    """
    return _held(f"precision on {device.type}", lambda: _full(device.type))


@contextmanager
def exact_inference(device: torch.device) -> Iterator[None]:
    """Run a block without gradients, autocast or reduced precision, on one thread on the CPU.

    Example:
        >>> with exact_inference(torch.device("cpu")):
        ...     torch.is_grad_enabled()
        False
    """
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(full_precision(device))
        if device.type == "cpu":
            stack.enter_context(one_thread())
        yield
