"""Codes of several tokenizers on one time axis, so that each one's own codes can be read off again.

The common frame is as long as the shortest of theirs, in whole samples. Code i of a tokenizer whose codes last x >= 1
frames begins in frame floor(i * x), that in which its time begins, and is repeated until the next one begins. No two
codes begin in the same frame, so that the codes at the frames marked as beginnings are all of them, once each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import torch
from torch import Tensor

from tokaudio.tokenizers.pieces import Encoded

_Count = TypeVar("_Count", int, Tensor)
_PREFIXES = ("frame_", "item_", "")


@dataclass(frozen=True)
class Span:
    """How long a code of one tokenizer lasts on the common axis.

    Args:
        frames: at least 1; 3/2 for a tokenizer of 50 Hz on an axis of 75 Hz.

    Example:
        >>> span = Span(Fraction(3, 2))
        >>> span.starts(torch.arange(4)).tolist(), span.owners(torch.arange(6)).tolist()
        ([0, 1, 3, 4], [0, 1, 1, 2, 3, 3])
    """

    frames: Fraction

    def starts(self, codes: _Count) -> _Count:
        """Return the frame in which each code begins."""
        return codes * self.frames.numerator // self.frames.denominator

    def owners(self, frames: _Count) -> _Count:
        """Return the code that each frame holds: the last one that begins in it or before it."""
        # The greatest i with i * x < t + 1 is ceil((t + 1) / x) - 1.
        return ((frames + 1) * self.frames.denominator - 1) // self.frames.numerator

    def begins(self, frames: Tensor) -> Tensor:
        """Return in which frames a code begins, bool."""
        return self.starts(self.owners(frames)) == frames


def mark_of(part: str) -> str:
    """Return the name of the extra that says in which frames a code of a part begins.

    Example:
        >>> mark_of("semantic")
        'frame_semantic'
    """
    return f"frame_{part}"


def outer_name(name: str, part: str) -> str:
    """Return what the side information of a part is called beside that of others.

    Example:
        >>> outer_name("frame_scale", "compression"), outer_name("item_voice", "compression")
        ('frame_compression_scale', 'item_compression_voice')
    """
    prefix = next(prefix for prefix in _PREFIXES if name.startswith(prefix))
    return f"{prefix}{part}_{name.removeprefix(prefix)}"


def inner_extras(extras: Mapping[str, Tensor], part: str, frames: Tensor, *, dim: int = 0) -> dict[str, Tensor]:
    """Return the side information of a part under its own names, at the frames in which its codes begin.

    Args:
        extras: by the names of `outer_name`.
        part: its name.
        frames: indices of its frames, or which they are (bool).
        dim: axis of the frames.

    Example:
        >>> extras = {"frame_compression_scale": torch.tensor([1.0, 1.0, 2.0]), "frame_semantic": torch.ones(3)}
        >>> inner_extras(extras, "compression", torch.tensor([0, 2]))
        {'frame_scale': tensor([1., 2.])}
    """
    rows = frames.nonzero()[:, 0] if frames.dtype == torch.bool else frames
    found = {}
    for name, value in extras.items():
        prefix = next(prefix for prefix in _PREFIXES if name.startswith(prefix))
        rest = name.removeprefix(prefix)
        if rest.startswith(f"{part}_"):
            inner = prefix + rest.removeprefix(f"{part}_")
            found[inner] = value.index_select(dim, rows.to(value.device)) if prefix == "frame_" else value
    return found


class Weaver:
    """Lays the codes of parts, as they arrive, onto the common axis.

    Args:
        spans: of each part, by its name, in the order of their codebooks.
        num_frames: frames of the common axis that so many samples have; never fewer for more of them.

    Example:
        >>> weaver = Weaver({"semantic": Span(Fraction(2)), "compression": Span(Fraction(1))}, lambda samples: samples)
        >>> weaver.add("semantic", Encoded(torch.tensor([[7, 8]]), {}))
        >>> weaver.add("compression", Encoded(torch.tensor([[1, 2, 3]]), {}))
        >>> weaver.take(3, last=True).codes.tolist()
        [[7, 7, 8], [1, 2, 3]]
    """

    def __init__(self, spans: Mapping[str, Span], num_frames: Callable[[int], int]) -> None:
        self._parts = {name: _Held(name, span) for name, span in spans.items()}
        self._num_frames = num_frames
        self._done = 0

    def add(self, part: str, encoded: Encoded) -> None:
        """Take the next codes `[k, n]` of a part, n may be 0, and their side information."""
        self._parts[part].add(encoded)

    def take(self, num_samples: int, *, last: bool = False) -> Encoded:
        """Return the frames that are ready: codes `[K, m]`, and as extras where a code of each part begins.

        Args:
            num_samples: that arrived so far.
            last: whether no more will. A part that ends before the others then repeats its last code, unmarked.
        """
        stop = self._num_frames(num_samples)
        if not last:
            stop = min(stop, *(held.span.starts(held.total) for held in self._parts.values()))
        frames = torch.arange(self._done, max(stop, self._done))
        self._done = max(stop, self._done)
        codes: list[Tensor] = []
        extras: dict[str, Tensor] = {}
        for held in self._parts.values():
            laid = held.lay(frames, self._done)
            codes.append(laid.codes)
            extras.update(laid.extras)
        return Encoded(torch.cat(codes), extras)


class _Held:
    """The codes of one part that are still needed, joined when frames of them are."""

    def __init__(self, name: str, span: Span) -> None:
        self.name, self.span, self.total = name, span, 0
        self._first = 0
        self._pieces: list[Encoded] = []

    def add(self, encoded: Encoded) -> None:
        # One without codes is kept as long as it is the only one: it says how many codebooks there are.
        self._pieces = [piece for piece in self._pieces if piece.codes.shape[1]]
        if encoded.codes.shape[1] or not self._pieces:
            self._pieces.append(encoded)
        self.total += encoded.codes.shape[1]

    def lay(self, frames: Tensor, done: int) -> Encoded:
        """Return this part's rows `[k, m]` at some frames; the next ones asked for begin at `done`."""
        codes, given = self._joined() if len(frames) else self._pieces[-1]
        owners = self.span.owners(frames)
        begins = self.span.begins(frames) & (owners < self.total)
        extras = {mark_of(self.name): begins.to(codes.device)}
        if not self.total:
            return Encoded(codes.new_zeros(codes.shape[0], len(frames)), extras)
        rows = (owners.clamp(max=self.total - 1) - self._first).to(codes.device)
        for name, value in given.items():
            laid = value[rows.to(value.device)] if name.startswith("frame_") else value
            extras[outer_name(name, self.name)] = laid
        if len(frames):
            self._forget(min(self.span.owners(done), self.total - 1))
        return Encoded(codes[:, rows], extras)

    def _joined(self) -> Encoded:
        first, *more = self._pieces
        if more:
            extras = dict(self._pieces[-1].extras)
            for name in extras:
                if name.startswith("frame_"):
                    extras[name] = torch.cat([piece.extras[name] for piece in self._pieces])
            first = Encoded(torch.cat([piece.codes for piece in self._pieces], dim=1), extras)
            self._pieces = [first]
        return first

    def _forget(self, first: int) -> None:
        gone, self._first = first - self._first, first
        [(codes, extras)] = self._pieces
        kept = {name: value[gone:] if name.startswith("frame_") else value for name, value in extras.items()}
        self._pieces = [Encoded(codes[:, gone:], kept)]


def common_hop(hops: Sequence[Fraction]) -> int:
    """Return the samples of a common frame, for tokenizers with these samples per code.

    Example:
        >>> common_hop([Fraction(480), Fraction(320)]), common_hop([Fraction(441, 2)])
        (320, 220)
    """
    return max(1, int(min(hops)))
