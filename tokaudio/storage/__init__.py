"""Token files: one module per format, and the choice of the format by a file's suffix.

`tokaudio.storage.npz` describes the one format there is so far.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokaudio.errors import TokensError, one_line

if TYPE_CHECKING:
    from tokaudio.storage.spool import TokenSpool as TokenSpool
    from tokaudio.tokens import Tokens

SUFFIXES = (".npz",)
# Token files of other packages, which hold pickles or a bitstream of their own.
_FOREIGN = {".dac": "descript-audio-codec", ".ecdc": "encodec"}


def save_tokens(path: str | os.PathLike[str], tokens: Tokens, *, overwrite: bool = False) -> None:
    """Write one item to a token file in the format that the path's suffix names.

    Raises:
        TokensError: an unknown suffix, or tokens that the format cannot hold.
        OutputError: the file exists and `overwrite` is false, or it cannot be written.

    Example:
        >>> import tempfile, torch
        >>> from tokaudio.tokens import CodebookSpec, TokenizerSpec, Tokens
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_tokens(f"{folder}/toy.npz", Tokens.from_codes(torch.tensor([[1, 2, 3]]), spec))
        ...     os.listdir(folder)
        ['toy.npz']
    """
    _require_known_suffix(path)
    from tokaudio.storage.npz import write_npz

    write_npz(path, tokens, overwrite=overwrite)


def load_tokens(path: str | os.PathLike[str]) -> Tokens:
    """Read a token file in the format that the path's suffix names.

    Raises:
        TokensError: an unknown suffix, or a file that is not there, is damaged, or is no token file.

    Example:
        >>> load_tokens("speech.wav")
        Traceback (most recent call last):
        tokaudio.errors.TokensError: speech.wav: its suffix is that of no token format; use one of .npz
    """
    _require_known_suffix(path)
    from tokaudio.storage.npz import read_npz

    return read_npz(path)


def _require_known_suffix(path: str | os.PathLike[str]) -> None:
    suffix = Path(path).suffix.lower()
    if suffix in _FOREIGN:
        problem = f"is a token file of {_FOREIGN[suffix]}, which only that package reads"
        raise TokensError(one_line(path, problem, "decode it there, and encode the sound with tokaudio"))
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise TokensError(one_line(path, "its suffix is that of no token format", f"use one of {known}"))


def __getattr__(name: str) -> Any:
    # Reading a header must not load torch, which a spool needs.
    if name == "TokenSpool":
        from tokaudio.storage.spool import TokenSpool

        return TokenSpool
    raise AttributeError(f"module 'tokaudio.storage' has no attribute {name!r}")
