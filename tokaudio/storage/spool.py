"""Collecting the pieces of one long item for a token file, in as little memory as its codes need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
import torch

from tokaudio._tokens_checks import ITEM_PREFIX
from tokaudio._tokens_joins import require_timed
from tokaudio.errors import TokensError, one_line
from tokaudio.spec import TokenizerSpec
from tokaudio.storage._npy import Array
from tokaudio.storage.npz import Members, codes_dtype, depth_dtype, extra_array, make_header, write_members
from tokaudio.tokens import Tokens


class TokenSpool:
    """Takes pieces of one item, in order, and writes them as one token file.

    A piece's codes are kept at two bytes each (four for huge codebooks), where `Tokens` needs eight: three hours of 8
    codebooks at 50 Hz take 9 MB. Extras named `frame_...` are joined, those named `item_...` must be the same in all
    pieces. A depth is kept where all pieces have one. The file equals that of the pieces joined with
    `Tokens.concatenate`.

    Attributes:
        spec: of the tokenizer; None before the first piece.
        fingerprint: of its weights.
        provenance: of the last piece.
        num_frames: taken so far.
        num_samples: taken so far.

    Example:
        >>> import tempfile, torch
        >>> from tokaudio.tokens import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> spool = TokenSpool()
        >>> for codes in ([[1, 2]], [[3]]):
        ...     spool.add(Tokens.from_codes(torch.tensor(codes), spec))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     spool.write(f"{folder}/toy.npz")
        ...     Tokens.load(f"{folder}/toy.npz").codes.tolist()
        [[[1, 2, 3]]]
    """

    def __init__(self) -> None:
        self.spec: TokenizerSpec | None = None
        self.fingerprint = ""
        self.provenance: Mapping[str, str] = {}
        self.num_frames = 0
        self.num_samples = 0
        # One growing row of bytes per codebook: such a row is extended in place, and rows in a row are the array.
        self._rows: list[bytearray] = []
        self._extras: dict[str, _Extra] = {}
        self._depth: bytearray | None = None

    def add(self, piece: Tokens) -> None:
        """Take the next piece.

        Raises:
            TokensError: if it is not one item, is another tokenizer's, does not follow whole frames and segments, or
                has extras or a depth that cannot be joined in time to those of the pieces before.
        """
        if len(piece) != 1:
            raise TokensError(f"a piece is one item, and this one has {len(piece)}; add tokens[i] one by one")
        piece = piece.trim()
        extras = {name: extra_array("piece", name, value[0]) for name, value in piece.extras.items()}
        if self.spec is None:
            self._extras = {name: _Extra(name, value) for name, value in extras.items()}
            self.spec, self.fingerprint = piece.spec, piece.fingerprint
            self._rows = [bytearray() for _ in range(piece.spec.num_codebooks)]
            self._depth = None if piece.depth is None else bytearray()
        if (piece.spec, piece.fingerprint) != (self.spec, self.fingerprint):
            raise TokensError(
                f"a piece was not made by {self.spec.name} as the first was; spool one tokenizer's pieces"
            )
        if self.num_samples != self.spec.frame_start(self.num_frames) or self.num_frames % self.spec.cut_period:
            within = "frame" if self.spec.segments is None else "segment"
            raise TokensError(f"a piece follows one that ends within a {within}; only the last piece may")
        if (piece.depth is None) != (self._depth is None):
            have = "no depth, and the first has one" if piece.depth is None else "a depth, and the first has none"
            raise TokensError(f"a piece has {have}; spool pieces of one kind")
        if extras.keys() != self._extras.keys():
            raise TokensError("a piece has other extras than the first; spool pieces with the same extras")
        for name, value in extras.items():
            self._extras[name].check(value)
        codes = piece.codes[0].cpu().numpy().astype(codes_dtype(self.spec))
        for row, values in zip(self._rows, codes, strict=True):
            row.extend(values.tobytes())
        if piece.depth is not None and self._depth is not None:
            self._depth.extend(piece.depth[0].cpu().numpy().astype(depth_dtype(self.spec)).tobytes())
        for name, value in extras.items():
            self._extras[name].add(value)
        self.provenance = piece.provenance
        self.num_frames += codes.shape[1]
        self.num_samples += int(piece.num_samples[0])

    @property
    def num_tokens(self) -> int:
        """Codes taken so far, over all codebooks; a slow codebook counts one code per stride."""
        return sum(-(-self.num_frames // codebook.stride) for codebook in self.spec.codebooks) if self.spec else 0

    @property
    def duration(self) -> float:
        """Seconds of audio taken so far."""
        return self.num_samples / self.spec.sample_rate if self.spec else 0.0

    def tokens(self) -> Tokens:
        """Return what was taken as `Tokens` of one item.

        Raises:
            TokensError: if no piece was taken.
        """
        if self.spec is None:
            raise TokensError("there is no piece; add at least one")
        rows = [np.frombuffer(row, codes_dtype(self.spec)).astype(np.int64) for row in self._rows]
        return Tokens(
            torch.from_numpy(np.stack(rows))[None],
            torch.tensor([self.num_frames]),
            torch.tensor([self.num_samples]),
            self.spec,
            self.fingerprint,
            {name: torch.from_numpy(extra.array().copy())[None] for name, extra in self._extras.items()},
            depth=self._depths(),
            provenance=dict(self.provenance),
        )

    def _depths(self) -> torch.Tensor | None:
        if self._depth is None or self.spec is None:
            return None
        return torch.from_numpy(np.frombuffer(self._depth, depth_dtype(self.spec)).astype(np.int64))[None]

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the token file, whole or not at all.

        Raises:
            TokensError: if no piece was taken.
            OutputError: if the file exists and `overwrite` is false, or cannot be written.
        """
        if self.spec is None:
            raise TokensError(one_line(path, "there is no piece to write", "add at least one"))
        facts = (self.spec, self.fingerprint, self.provenance)
        header = make_header(path, *facts, extras=list(self._extras), depth=self._depth is not None)
        shape = (self.spec.num_codebooks, self.num_frames)
        # Released in the end, as what has an open view cannot grow, and an exception may keep one.
        with ExitStack() as views:

            def view(data: bytearray) -> memoryview:
                return views.enter_context(memoryview(data))

            members: Members = {
                "header": (header.dtype, header.shape, [header.data]),
                "codes": (codes_dtype(self.spec), shape, [view(row) for row in self._rows]),
                "num_samples": (np.dtype("<i8"), (), [np.array(self.num_samples, "<i8").tobytes()]),
            }
            if self._depth is not None:
                members["depth"] = (depth_dtype(self.spec), (self.num_frames,), [view(self._depth)])
            extras = self._extras.items()
            members |= {f"extras/{name}": (extra.dtype, extra.shape, [view(extra.data)]) for name, extra in extras}
            write_members(path, members, overwrite=overwrite)


class _Extra:
    """An extra of one item, as far as it has come; made from the first piece's, which is then added like the others."""

    def __init__(self, name: str, first: Array) -> None:
        require_timed([name])
        self.name, self.dtype, self.item = name, first.dtype, name.startswith(ITEM_PREFIX)
        self.data = bytearray(first.tobytes() if self.item else b"")
        self.shape: tuple[int, ...] = first.shape if self.item else (0, *first.shape[1:])

    def check(self, value: Array) -> None:
        alike = value.dtype == self.dtype and value.shape[not self.item :] == self.shape[not self.item :]
        if not alike or (self.item and value.tobytes() != self.data):
            raise TokensError(f"the extra {self.name} differs between pieces; spool pieces that share it")

    def add(self, value: Array) -> None:
        if not self.item:
            self.data.extend(value.tobytes())
            self.shape = (self.shape[0] + len(value), *self.shape[1:])

    def array(self) -> Array:
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)
