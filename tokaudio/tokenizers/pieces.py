"""Codes and side information of items on their way from an encoder into `Tokens`, and sound on its way out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tokaudio.quantizers.depth import without_unused
from tokaudio.spec import TokenizerSpec
from tokaudio.tokenizers.streams import Stream
from tokaudio.tokens import Tokens


class Encoded(NamedTuple):
    """One item, or a piece of it.

    Attributes:
        codes: `[K, T]`.
        extras: side information by name: `frame_...` tensors `[T, ...]`, `item_...` tensors of any shape.
    """

    codes: Tensor
    extras: Mapping[str, Tensor]


class Collector:
    """Collects what a stream's encoder gives, until it is taken.

    Attributes:
        frames: collected and not yet taken.

    Example:
        >>> from tokaudio.audio.blocks import BlockStream
        >>> collector = Collector(BlockStream(lambda block, last: block, 1, 2, torch.zeros(1, 0)))
        >>> collector.push(torch.ones(1, 5))
        >>> collector.flush()
        >>> collector.take().codes.shape
        torch.Size([1, 5])
    """

    def __init__(self, encoder: Stream) -> None:
        self.encoder = encoder
        self.frames = 0
        self._codes: list[Tensor] = []
        self._extras: list[Mapping[str, Tensor]] = []

    def push(self, samples: Tensor) -> None:
        """Encode a piece of sound `[C, n]`."""
        self._add(self.encoder.push(samples))

    def flush(self) -> None:
        """Encode what is left at the end."""
        self._add(self.encoder.flush())

    def take(self) -> Encoded:
        """Return what was collected since the last time; there must have been a push or a flush."""
        extras = {}
        for name, value in self._extras[-1].items():
            values = [extra[name] for extra in self._extras]
            extras[name] = torch.cat(values) if name.startswith("frame_") else value
        encoded = Encoded(torch.cat(self._codes, dim=1), extras)
        self._codes, self._extras, self.frames = [], [], 0
        return encoded

    def _add(self, codes: Tensor) -> None:
        self._codes.append(codes)
        self._extras.append(self.encoder.extras)
        self.frames += codes.shape[1]


def padded(rows: Sequence[Tensor], dim: int) -> Tensor:
    """Return rows stacked into a batch, with zeros after the shorter ones along an axis of theirs.

    Example:
        >>> padded([torch.ones(1, 2), torch.ones(1, 3)], 1).tolist()
        [[[1.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]]]
    """
    first = rows[0]
    if len(rows) == 1:
        return first[None]
    longest = max(row.shape[dim] for row in rows)
    shape = [longest if axis == dim else size for axis, size in enumerate(first.shape)]
    batch = first.new_zeros(len(rows), *shape)
    for item, row in zip(batch, rows, strict=True):
        item.narrow(dim, 0, row.shape[dim]).copy_(row)
    return batch


def tokens_of(  # noqa: PLR0917 - the fields of `Tokens`
    codes: Sequence[Tensor],
    num_samples: Sequence[int],
    spec: TokenizerSpec,
    fingerprint: str,
    provenance: Mapping[str, str],
    device: torch.device,
) -> Tokens:
    """Return the `Tokens` of items with codes `[K, T]` each, right-padded with zeros.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> codes = [torch.ones(1, n, dtype=torch.int64) for n in (1, 2)]
        >>> tokens_of(codes, [320, 640], spec, "", {}, torch.device("cpu")).codes.tolist()
        [[[1, 0]], [[1, 1]]]
    """
    none = torch.zeros(0, spec.num_codebooks, 0, dtype=torch.int64)
    return Tokens(
        (padded(codes, 1) if codes else none).to(device),
        torch.tensor([item.shape[1] for item in codes], dtype=torch.int64, device=device),
        torch.tensor(num_samples, dtype=torch.int64, device=device),
        spec,
        fingerprint,
        provenance=provenance,
    )


def extras_of(items: Sequence[Encoded]) -> dict[str, Tensor]:
    """Return the side information of a batch: every extra with the items in its first dimension.

    Example:
        >>> codes = torch.zeros(1, 2)
        >>> extras_of([Encoded(codes, {"frame_scale": torch.ones(2)})])
        {'frame_scale': tensor([[1., 1.]])}
    """
    names = items[0].extras if items else ()
    return {
        name: padded([item.extras[name] for item in items], 0)
        if name.startswith("frame_")
        else torch.stack([item.extras[name] for item in items])
        for name in names
    }


def item_extras(tokens: Tokens, frames: slice, device: torch.device) -> dict[str, Tensor]:
    """Return the side information of some frames of the first item, without its item dimension.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> facts = torch.zeros(1, 1, 3, dtype=torch.int64), torch.tensor([3]), torch.tensor([960]), spec
        >>> tokens = Tokens(*facts, extras={"frame_scale": torch.tensor([[1.0, 2.0, 3.0]])})
        >>> item_extras(tokens, slice(1, 3), torch.device("cpu"))
        {'frame_scale': tensor([2., 3.])}
    """
    return {
        name: (value[0, frames] if name.startswith("frame_") else value[0]).to(device)
        for name, value in tokens.extras.items()
    }


def codes_to_depth(tokens: Tokens) -> Tensor:
    """Return the codes `[B, K, T]`, with `NO_CODE` beyond the depth of a frame where there is one.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> codes_to_depth(Tokens.from_codes(torch.tensor([[1, 2]]), spec)).tolist()
        [[[1, 2]]]
    """
    return tokens.codes if tokens.depth is None else without_unused(tokens.codes, tokens.depth)


def results(stream: Stream, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield what a stream has ready after each piece, and at the end.

    Example:
        >>> from tokaudio.audio.blocks import BlockStream
        >>> stream = BlockStream(lambda block, last: block, 1, 2, torch.zeros(1, 0))
        >>> [ready.shape[1] for ready in results(stream, torch.ones(1, 5).split(3, dim=1))]
        [2, 2, 1]
    """
    for piece in pieces:
        yield stream.push(piece)
    yield stream.flush()


def joined(pieces: Iterable[Tensor], channels: int, num_samples: int, device: torch.device) -> Tensor:
    """Return sound `[C, num_samples]` of its pieces `[C, n]`, each written to where it stays.

    Long sound is never there twice. What is too much at the end is left out, and what is missing is silence.

    Example:
        >>> joined([torch.ones(1, 2), torch.ones(1, 1)], 1, 4, torch.device("cpu"))
        tensor([[1., 1., 1., 0.]])
    """
    sound, at = torch.zeros(channels, num_samples, dtype=torch.float32, device=device), 0
    for piece in pieces:
        ready = piece[:, : num_samples - at]
        sound[:, at : at + ready.shape[1]] = ready
        at += ready.shape[1]
    return sound
