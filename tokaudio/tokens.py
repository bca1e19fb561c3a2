"""Tokens: what every part of tokaudio exchanges.

A `Tokens` holds the codes of one or more items together with everything that is needed to decode them: the spec and
the weight fingerprint of the tokenizer that made them, the length of each item in frames and in samples, and for some
codecs side information. It checks itself when it is built, so whoever receives one need not check again.

Conventions:

- Codes beyond an item's length, or beyond the depth of a frame, are always 0.
- A codebook with stride s repeats each code s times; `ragged()` and `from_ragged` convert to and from the short form.
- An extra named `frame_...` has shape [B, T, ...] and is cut along with the frames; one named `item_...` describes
  the whole item and stays as it is. Extras of any other name cannot be cut or joined in time: those operations
  refuse. All extras follow the selection of items.
- A `Tokens` never writes into its tensors, and parts may share memory with the whole: do not write into them either.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from tokaudio import _tokens_checks as checks
from tokaudio import _tokens_joins as joins
from tokaudio._tokens_base import TokensBase
from tokaudio._tokens_dedup import DedupedTokens, dedup
from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec

__all__ = ["CodebookSpec", "DedupedTokens", "TokenizerSpec", "Tokens"]

# Frame positions computed from seconds are rounded where they are this close to a whole frame: 0.58 s at 50 Hz is
# 28.999999999999996 frames in float64.
_FRAME_TOLERANCE = 1e-6


class Tokens(TokensBase):
    """The codes of B items, K codebooks and up to T frames.

    Args:
        codes: integers [B, K, T], converted to int64; the padding is set to 0.
        lengths: valid frames of each item, integers [B].
        num_samples: audio samples that each item stands for, integers [B], at `spec.sample_rate`.
        spec: of the tokenizer that made the codes.
        fingerprint: of its weights; empty where unknown.
        extras: side information, finite tensors with B items in the first dimension (see the module's conventions).
        depth: how many codebooks are valid at each frame, integers [B, T] from 0 to K; None where all are.
        provenance: further facts as text, such as the resampler; it takes no part in comparisons.

    Raises:
        TokensError: anything out of range, of the wrong shape or dtype, or on different devices.

    Example:
        >>> spec = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),) * 8)
        >>> Tokens(torch.zeros(1, 8, 152, dtype=torch.int64), torch.tensor([152]), torch.tensor([48_640]), spec)
        Tokens(mini-codec, 8 codebooks x 152 frames, 3.04 s, 4.0 kbps)
    """

    @classmethod
    def from_codes(cls, codes: Tensor, spec: TokenizerSpec, *, fingerprint: str = "") -> Tokens:
        """Build tokens of whole frames from bare codes, such as a language model's output.

        Args:
            codes: integers [K, T], or [B, K, T].
            spec: of the tokenizer that made the codes.
            fingerprint: of its weights.

        Raises:
            TokensError: codes of a wrong shape, dtype or range.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
            >>> Tokens.from_codes(torch.tensor([[1, 2, 3], [4, 5, 6]]), spec)
            Tokens(toy, 2 codebooks x 3 frames, 0.06 s, 0.30 kbps)
        """
        if isinstance(codes, Tensor) and codes.ndim == 2:
            codes = codes[None]
        codes = checks.as_int64("codes", codes, (None, spec.num_codebooks, None))
        lengths = torch.full((codes.shape[0],), codes.shape[2], device=codes.device)
        return cls(codes, lengths, spec.frame_start(lengths), spec, fingerprint)

    @classmethod
    def from_ragged(
        cls,
        codes: Sequence[Tensor],
        lengths: Tensor,
        num_samples: Tensor,
        spec: TokenizerSpec,
        *,
        fingerprint: str = "",
        extras: Mapping[str, Tensor] | None = None,
        depth: Tensor | None = None,
        provenance: Mapping[str, str] | None = None,
    ) -> Tokens:
        """Build tokens from one tensor per codebook, each at that codebook's own rate: the inverse of `ragged()`.

        Args:
            codes: for each codebook integers [B, ceil(T / stride)], where T is the greatest length.
            lengths: valid frames of each item, integers [B].
            num_samples: audio samples that each item stands for, integers [B].
            spec: of the tokenizer that made the codes.
            fingerprint: of its weights.
            extras: side information, as for `Tokens`.
            depth: valid codebooks per frame, integers [B, T].
            provenance: further facts as text.

        Raises:
            TokensError: codes of a wrong shape, dtype or range.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8, stride=2), CodebookSpec(8)))
            >>> slow, fast = torch.tensor([[5, 6]]), torch.tensor([[1, 2, 3]])
            >>> Tokens.from_ragged([slow, fast], torch.tensor([3]), torch.tensor([960]), spec).codes.tolist()
            [[[5, 5, 6], [1, 2, 3]]]
        """
        lengths = checks.as_int64("lengths", lengths, (None,))
        if len(codes) != spec.num_codebooks:
            raise TokensError(f"{len(codes)} code tensors for {spec.num_codebooks} codebooks; give one per codebook")
        frames = max(lengths.tolist(), default=0)
        rows = []
        for k, (row, codebook) in enumerate(zip(codes, spec.codebooks, strict=True)):
            shape = (lengths.shape[0], -(-frames // codebook.stride))
            checked = checks.as_int64(f"the code tensor of codebook {k}", row, shape, lengths.device)
            rows.append(checked.repeat_interleave(codebook.stride, dim=1)[:, :frames])
        return cls(
            torch.stack(rows, dim=1), lengths, num_samples, spec, fingerprint, extras or {}, depth, provenance or {}
        )

    def __iter__(self) -> Iterator[Tokens]:
        return (self[item] for item in range(len(self)))

    def __getitem__(self, index: SupportsIndex | slice) -> Tokens:
        if isinstance(index, slice):
            items = index
        else:
            position = operator.index(index)
            if not -len(self) <= position < len(self):
                raise IndexError(f"item {position} of {len(self)}")
            items = slice(position % len(self), position % len(self) + 1)
        if items.step is not None and items.step < 1:
            raise TokensError(f"a slice of items with step {items.step}; give a positive step")
        return self._map(lambda tensor: tensor[items]).trim()

    def to(self, device: torch.device | str) -> Tokens:
        """Return the same tokens on another device.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec).to("cpu").device
            device(type='cpu')
        """
        return self._map(lambda tensor: tensor.to(device))

    def numpy(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the codes as an int64 array [B, K, T], which on the CPU shares memory with the tokens.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec).numpy()
            array([[[1, 2, 3]]])
        """
        return self.codes.cpu().numpy()

    def trim(self) -> Tokens:
        """Return the tokens without the padding that no item needs: T becomes the greatest length.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> padded = Tokens(torch.tensor([[[1, 2, 0, 0]]]), torch.tensor([2]), torch.tensor([640]), spec)
            >>> padded.trim().codes.tolist()
            [[[1, 2]]]
        """
        frames = max(self.lengths.tolist(), default=0)
        return self if frames == self.codes.shape[2] else self._cut(0, frames)

    def _cut(self, start: int, stop: int, **changes: Tensor) -> Tokens:
        changes["codes"] = self.codes[:, :, start:stop]
        if self.depth is not None:
            changes["depth"] = self.depth[:, start:stop]
        per_frame = checks.FRAME_PREFIX
        extras = {n: v[:, start:stop] if n.startswith(per_frame) else v for n, v in self.extras.items()}
        return dataclasses.replace(self, extras=extras, **changes)  # type: ignore[arg-type]

    def frames(self, start: int, stop: int | None = None) -> Tokens:
        """Return the frames from `start` to before `stop` of every item, like a slice that does not count backwards.

        An item's last frame may stand for only a part of a hop: `num_samples` of the result says so where the cut
        includes it. Cutting at consecutive places loses and repeats no sample.

        Raises:
            TokensError: negative or decreasing positions, a start within the span of a slow code, a cut within a
                segment, or extras that cannot be cut in time.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> tokens = Tokens(torch.tensor([[[1, 2, 3]]]), torch.tensor([3]), torch.tensor([700]), spec)
            >>> tokens.frames(1).num_samples.tolist()
            [380]
        """
        total = self.codes.shape[2]
        if start < 0 or (stop is not None and stop < start):
            raise TokensError(f"frames {start} to {stop} asked for; count both from 0, the first not after the second")
        joins.require_cut(self.spec, start, total if stop is None else stop, total)
        joins.require_timed(self.extras)
        start, stop = min(start, total), total if stop is None else min(stop, total)
        lengths = (self.lengths.clamp(max=stop) - start).clamp(min=0)
        first, after = self.spec.frame_start(start), self.spec.frame_start(stop)
        end = torch.where(self.lengths <= stop, self.num_samples, self.num_samples.clamp(max=after))
        samples = end - self.num_samples.clamp(max=first)
        gone = (lengths == 0) & ((self.lengths > 0) | (start > 0))
        return self._cut(start, stop, lengths=lengths, num_samples=samples.masked_fill(gone, 0))

    def seconds(self, start: float, stop: float | None = None) -> Tokens:
        """Return every frame that touches the time from `start` to `stop`, in seconds, or every segment that does.

        Raises:
            TokensError: negative or decreasing times, or extras that cannot be cut in time.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> Tokens.from_codes(torch.tensor([[0, 1, 2, 3, 4]]), spec).seconds(0.02, 0.05).codes.tolist()
            [[[1, 2]]]
        """
        if not 0 <= start < math.inf or (stop is not None and not start <= stop):
            raise TokensError(f"seconds {start} to {stop} asked for; count both from 0, the first not after the second")
        total = self.codes.shape[2]
        if (segments := self.spec.segments) is not None:
            rate = self.spec.sample_rate
            return self.frames(*segments.touching(start * rate, (math.inf if stop is None else stop) * rate, total))
        per_second, period = float(self.spec.frame_rate), self.spec.stride_period
        first = math.floor(start * per_second + _FRAME_TOLERANCE) // period * period
        last = total if stop is None else math.ceil(min(stop * per_second, total) - _FRAME_TOLERANCE)
        return self.frames(first, max(first, last))

    def frame_times(self) -> Tensor:
        """Return the time at which each frame begins, in seconds, float64 [T] on the CPU.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec).frame_times().tolist()
            [0.0, 0.02, 0.04]
        """
        starts = self.spec.frame_start(torch.arange(self.codes.shape[2]))
        return starts.double() / self.spec.sample_rate

    def select_codebooks(self, codebooks: int | Sequence[int]) -> Tokens:
        """Return fewer codebooks: the first `codebooks`, or those with the given increasing indices.

        Raises:
            TokensError: codebooks that do not exist, or indices that do not increase.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
            >>> Tokens.from_codes(torch.tensor([[1, 2, 3], [4, 5, 6]]), spec).select_codebooks([1]).codes.tolist()
            [[[4, 5, 6]]]
        """
        positions = torch.tensor(self.spec.codebook_positions(codebooks), device=self.device)
        depth = None if self.depth is None else (positions < self.depth[..., None]).sum(dim=-1)
        return dataclasses.replace(self, codes=self.codes[:, positions], spec=self.spec.select(codebooks), depth=depth)

    def ragged(self) -> list[Tensor]:
        """Return one tensor per codebook at its own rate: int64 [B, ceil(T / stride)], T the greatest length.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8, stride=2), CodebookSpec(8)))
            >>> [row.tolist() for row in Tokens.from_codes(torch.tensor([[5, 5, 6], [1, 2, 3]]), spec).ragged()]
            [[[5, 6]], [[1, 2, 3]]]
        """
        codes = self.trim().codes
        return [codes[:, k, :: codebook.stride] for k, codebook in enumerate(self.spec.codebooks)]

    def dedup(self) -> DedupedTokens:
        """Return runs of equal frames as one column of codes and a duration each; `expand()` gives the tokens back.

        A run ends where any codebook, or the depth, changes; runs of slow codebooks are counted in frames as well.

        Example:
            >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
            >>> runs = Tokens.from_codes(torch.tensor([[5, 5, 5, 2, 2, 5]]), spec).dedup()
            >>> runs.codes.tolist(), runs.durations.tolist()
            ([[[5, 2, 5]]], [[3, 2, 1]])
        """
        return dedup(self)

    @classmethod
    def concatenate(cls, parts: Sequence[Tokens]) -> Tokens:
        """Join parts in time: the inverse of cutting with `frames`.

        All parts have the same items; all but the last hold whole frames only, so that no sample moves.

        Raises:
            TokensError: no parts, parts of different tokenizers or items, a part that ends within a frame or within
                a slow code, or extras that cannot be joined in time.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> tokens = Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec)
            >>> Tokens.concatenate([tokens.frames(0, 2), tokens.frames(2)]) == tokens
            True
        """
        parts = [part.trim() for part in parts]
        return cls(*joins.concatenate(parts))

    @classmethod
    def batch(cls, items: Sequence[Tokens]) -> Tokens:
        """Put items together, right-padded with zeros to the longest.

        Raises:
            TokensError: no items, items of different tokenizers, or extras that do not fit together.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> short, long = (Tokens.from_codes(torch.ones(1, n, dtype=torch.int64), spec) for n in (2, 3))
            >>> Tokens.batch([short, long]).codes.tolist()
            [[[1, 1, 0]], [[1, 1, 1]]]
        """
        items = [item.trim() for item in items]
        return cls(*joins.batch(items))

    def require_compatible(self, spec: TokenizerSpec, fingerprint: str = "") -> None:
        """Refuse to be decoded by another tokenizer than the one that made the codes.

        The tokens may hold fewer codebooks, if they are the tokenizer's first. An empty fingerprint on either side
        is not compared.

        Args:
            spec: of the tokenizer that shall decode, with all its codebooks.
            fingerprint: of its weights.

        Raises:
            TokensError: the codes come from another tokenizer or from other weights.

        Example:
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),) * 2)
            >>> Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec.select(1)).require_compatible(spec)
        """
        joins.require_compatible(self, spec, fingerprint)

    # tokens -> storage is the one declared exception to the layering: the noun saves and loads itself.
    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write one item to a token file, whose suffix says the format (`.npz`).

        Raises:
            TokensError: more or fewer than one item, or an unknown suffix.
            OutputError: the file exists and `overwrite` is false, or cannot be written.

        Example:
            >>> import tempfile
            >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
            >>> tokens = Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     tokens.save(f"{folder}/toy.npz")
            ...     Tokens.load(f"{folder}/toy.npz") == tokens
            True
        """
        from tokaudio.storage import save_tokens

        save_tokens(path, self, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokens:
        """Read a token file, whose suffix says the format (`.npz`); see `save`.

        Raises:
            TokensError: a file that is not there, is damaged, or is no token file.
        """
        from tokaudio.storage import load_tokens

        return load_tokens(path)
