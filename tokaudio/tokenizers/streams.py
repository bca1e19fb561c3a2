"""Encoders and decoders for audio that arrives in pieces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from torch import Tensor


class Stream(Protocol):
    """A sequence that arrives in pieces, and its results.

    Attributes:
        run: maps what is collected to results; streams that are made call it.
        pushed: steps of input so far.
        extras: side information, for the few codecs that need some, by name and without an item dimension. An encoder
            has here that of the codes that its last `push` or `flush` returned; a decoder must be given that of the
            codes of the next `push`: `decoder.extras = encoder.extras`.
    """

    run: Callable[..., Any]
    pushed: int
    extras: Mapping[str, Tensor]

    def push(self, piece: Tensor) -> Tensor:
        """Take a piece `[C, n]` and return what is ready `[D, m]`; m may be 0."""
        ...

    def flush(self) -> Tensor:
        """End the sequence and return the rest `[D, m]`."""
        ...


@dataclass(frozen=True)
class Streaming:
    """Encoder and decoder for audio that arrives in pieces.

    Attributes:
        encoder: `push(samples [C, n])` and `flush()` return codes `[K, m]`.
        decoder: `push(codes [K, n])` and `flush()` return samples `[C, m]`.
    """

    encoder: Stream
    decoder: Stream


class Refusing:
    """A stream that raises whenever it is used.

    Args:
        error: makes what is raised.

    Example:
        >>> import torch
        >>> Refusing(lambda: ValueError("there is no decoder")).push(torch.zeros(1, 1))
        Traceback (most recent call last):
        ValueError: there is no decoder
    """

    def __init__(self, error: Callable[[], Exception]) -> None:
        self.run: Callable[..., Any] = self.push
        self.pushed = 0
        self.extras: Mapping[str, Tensor] = {}
        self._error = error

    def push(self, piece: Tensor) -> NoReturn:
        """Raise."""
        raise self._error()

    def flush(self) -> NoReturn:
        """Raise."""
        raise self._error()
