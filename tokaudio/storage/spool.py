"""Collecting the pieces of one long item for a token file, in as little memory as its codes need."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import torch

from tokaudio.errors import TokensError, one_line
from tokaudio.spec import TokenizerSpec
from tokaudio.storage.npz import Members, codes_dtype, make_header, write_members
from tokaudio.tokens import Tokens


class TokenSpool:
    """Takes pieces of one item, in order, and writes them as one token file.

    A piece's codes are kept at two bytes each (four for huge codebooks), where `Tokens` needs eight: three hours of 8
    codebooks at 50 Hz take 9 MB. The file equals that of the pieces joined with `Tokens.concatenate`.

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

    def add(self, piece: Tokens) -> None:
        """Take the next piece.

        Raises:
            TokensError: if it is not one item, is another tokenizer's, does not follow whole frames, or has a depth or
                extras.
        """
        if len(piece) != 1 or piece.depth is not None or piece.extras:
            raise TokensError("a piece is one item without depth or extras; join others with Tokens.concatenate")
        if self.spec is None:
            self.spec, self.fingerprint = piece.spec, piece.fingerprint
            self._rows = [bytearray() for _ in range(piece.spec.num_codebooks)]
        if (piece.spec, piece.fingerprint) != (self.spec, self.fingerprint):
            raise TokensError(
                f"a piece was not made by {self.spec.name} as the first was; spool one tokenizer's pieces"
            )
        period = self.spec.stride_period
        if self.num_samples != self.num_frames * self.spec.hop_length or self.num_frames % period:
            raise TokensError("a piece follows one that ends within a frame; only the last piece may")
        codes = piece.trim().codes[0].cpu().numpy().astype(codes_dtype(self.spec))
        for row, values in zip(self._rows, codes, strict=True):
            row.extend(values.tobytes())
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
            provenance=dict(self.provenance),
        )

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the token file, whole or not at all.

        Raises:
            TokensError: if no piece was taken.
            OutputError: if the file exists and `overwrite` is false, or cannot be written.
        """
        if self.spec is None:
            raise TokensError(one_line(path, "there is no piece to write", "add at least one"))
        header = make_header(path, self.spec, self.fingerprint, self.provenance)
        shape = (self.spec.num_codebooks, self.num_frames)
        members: Members = {
            "header": (header.dtype, header.shape, [header.data]),
            "codes": (codes_dtype(self.spec), shape, [memoryview(row) for row in self._rows]),
            "num_samples": (np.dtype("<i8"), (), [np.array(self.num_samples, "<i8").tobytes()]),
        }
        write_members(path, members, overwrite=overwrite)
