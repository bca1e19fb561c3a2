"""Byte-pair encoding over discrete units: frequent runs of codes become one id each, and back without loss.

BPE (arXiv:1508.07909) over the units of one codebook shortens what a language model reads, as "acoustic BPE"
(arXiv:2310.14580) does. The `tokenizers` library counts and merges; units are its characters, each a code point of its
own in the private planes of Unicode, where nothing is a space, a surrogate, or changed by normalisation. The first ids
are the units themselves, so that whatever was never seen in training is encoded all the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio.atomic import atomic_write, output_error
from tokaudio.errors import MissingDependencyError, TokensError, one_line
from tokaudio.json_text import parse_json
from tokaudio.layouts.units import UnitFacts, facts_of, sequences, text_of, units_of
from tokaudio.tokens import DedupedTokens, Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Library

FORMAT, VERSION = "tokaudio-unit-bpe", 1
FACTS_FILE, LIBRARY_FILE = "units.json", "tokenizer.json"

# Longer sequences are cut for training, where each merge walks through the whole of every sequence that it is in.
_LONGEST_TEXT = 2_000


class UnitBPE:
    """A vocabulary of units and of frequent runs of units.

    Ids below `facts.codebook_size` are the units; the others stand for two units or more.

    Args:
        library: what `tokenizers` trained; see `train` and `load`.
        facts: which units it is for.

    Raises:
        TokensError: if the vocabulary is not one over these units.

    Example:
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
        >>> tokens = Tokens.from_codes(torch.tensor([[1, 2, 3, 1, 2, 4, 1, 2]]), spec)
        >>> bpe = UnitBPE.train([tokens], vocabulary_size=9)
        >>> bpe.encode(tokens)[0].tolist()
        [8, 3, 8, 4, 8]
        >>> bpe.decode(bpe.encode(tokens))[0].tolist()
        [1, 2, 3, 1, 2, 4, 1, 2]
    """

    def __init__(self, library: Library, facts: UnitFacts) -> None:
        self.library, self.facts = library, facts
        pieces = _pieces(library, facts.codebook_size)
        self._lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._units = np.concatenate(pieces)

    @classmethod
    def train(
        cls,
        data: Iterable[Tokens | DedupedTokens],
        *,
        vocabulary_size: int,
        codebook: int = 0,
        min_count: int = 2,
        longest: int | None = None,
    ) -> UnitBPE:
        """Learn a vocabulary; the same data give the same one.

        Args:
            data: tokens of one tokenizer, all deduplicated or none; read once, one after the other.
            vocabulary_size: ids in all, the units included; fewer come out where data are few.
            codebook: number of the codebook.
            min_count: times that a pair must occur to become an id.
            longest: units that an id may stand for at most; None for any number.

        Raises:
            TokensError: no data, data of several tokenizers, or a size below that of the codebook.
            MissingDependencyError: if the package `tokenizers` is missing.

        Example:
            >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
            >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
            >>> runs = Tokens.from_codes(torch.tensor([[1, 1, 2, 1, 2, 2, 1, 2]]), spec).dedup()
            >>> UnitBPE.train([runs], vocabulary_size=9).encode(runs)[0].tolist()
            [8, 8, 8]
        """
        tokenizers = _library()
        rows = iter(data)
        first = next(rows, None)
        if first is None:
            raise TokensError(one_line("BPE", "nothing to train on", "give tokens"))
        facts = facts_of(first, codebook)
        size = facts.codebook_size
        if vocabulary_size < size:
            problem = f"a vocabulary of {vocabulary_size} for a codebook of {size}"
            raise TokensError(one_line(facts.tokenizer, problem, f"give at least {size}"))
        if longest is not None and longest < 2:
            raise TokensError(one_line(facts.tokenizer, f"ids of at most {longest} units", "give at least 2, or None"))
        library = tokenizers.Tokenizer(tokenizers.models.BPE())
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            min_frequency=min_count,
            initial_alphabet=list(text_of(np.arange(size))),
            # The library keeps below its limit, not at it.
            max_token_length=None if longest is None else longest + 1,
            show_progress=False,
        )
        library.train_from_iterator(_texts(first, rows, facts), trainer)
        return cls(library, facts)

    @property
    def vocabulary_size(self) -> int:
        """Number of ids."""
        return len(self._lengths)

    def encode(self, tokens: Tokens | DedupedTokens) -> list[Tensor]:
        """Return the ids of each item, int64 [L] on the CPU.

        A slow codebook gives one unit per code, not one per frame.

        Raises:
            TokensError: tokens of another tokenizer or codebook, or (not) deduplicated, other than in training.
        """
        return [self.encode_units(units) for units in sequences(tokens, self.facts)]

    def encode_units(self, units: Tensor | NDArray[np.integer[Any]]) -> Tensor:
        """Return the ids, int64 [L], of bare units [n].

        Raises:
            TokensError: units out of range.
        """
        row = _integers(units, self.facts.codebook_size, "unit")
        ids = self.library.encode(text_of(row), add_special_tokens=False).ids
        return torch.tensor(ids, dtype=torch.int64)

    def decode(self, ids: Iterable[Tensor | NDArray[np.integer[Any]] | Sequence[int]]) -> list[Tensor]:
        """Return the units of each sequence of ids, int64 [n]: the inverse of `encode`.

        `Tokens.from_codes`, or with durations `DedupedTokens.from_codes`, makes tokens of them.

        Raises:
            TokensError: ids out of range.
        """
        return [self.decode_ids(row) for row in ids]

    def decode_ids(self, ids: Tensor | NDArray[np.integer[Any]] | Sequence[int]) -> Tensor:
        """Return the units, int64 [n], of one sequence of ids.

        Raises:
            TokensError: ids out of range.
        """
        row = _integers(ids, self.vocabulary_size, "id")
        lengths = self._lengths[row]
        # Positions within the concatenated pieces: each piece's start, counted up along the piece.
        offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return torch.from_numpy(self._units[np.repeat(self._starts[row], lengths) + offsets])

    def units_of_id(self, number: int) -> tuple[int, ...]:
        """Return the units that an id stands for.

        Raises:
            TokensError: an id out of range.
        """
        return tuple(self.decode_ids([number]).tolist())

    def compression(self, data: Iterable[Tokens | DedupedTokens]) -> float:
        """Return units per id over some tokens: how much shorter sequences become; 1.0 where there are none.

        Raises:
            TokensError: as for `encode`.
        """
        units = ids = 0
        for tokens in data:
            for row in sequences(tokens, self.facts):
                units += len(row)
                ids += len(self.encode_units(row))
        return units / ids if ids else 1.0

    def save(self, folder: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write `tokenizer.json`, as the library reads it, and `units.json`, which units it is for, to a folder.

        Raises:
            OutputError: if a file exists and `overwrite` is false, or it cannot be written.

        Example:
            >>> import tempfile
            >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
            >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
            >>> bpe = UnitBPE.train([Tokens.from_codes(torch.tensor([[1, 2, 1, 2]]), spec)], vocabulary_size=9)
            >>> UnitBPE.load(bpe.save(tempfile.mkdtemp())).facts == bpe.facts
            True
        """
        folder = Path(folder)
        model = self.library.to_str().encode()
        document = {"format": FORMAT, "version": VERSION, "sha256": hashlib.sha256(model).hexdigest()}
        facts = json.dumps(document | asdict(self.facts), indent=2) + "\n"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(folder, error) from error
        atomic_write(folder / LIBRARY_FILE, model, overwrite=overwrite)
        atomic_write(folder / FACTS_FILE, facts.encode(), overwrite=overwrite)
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> UnitBPE:
        """Read what `save` wrote.

        Raises:
            TokensError: if a file is missing, damaged, or no vocabulary over units.
            MissingDependencyError: if the package `tokenizers` is missing.
        """
        tokenizers = _library()
        folder = Path(folder)
        path = folder / FACTS_FILE
        try:
            document = parse_json(path.read_text(encoding="utf-8"))
            model = (folder / LIBRARY_FILE).read_bytes()
            kind, version, digest = (document.pop(name) for name in ("format", "version", "sha256"))
            facts = UnitFacts(**document)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            problem = f"is no vocabulary over units ({type(error).__name__})"
            raise TokensError(one_line(path, problem, "give a folder that UnitBPE.save made")) from error
        if kind != FORMAT or version != VERSION or not facts.well_typed:
            raise TokensError(one_line(path, "is of another format or version", "upgrade tokaudio, or train again"))
        if digest != hashlib.sha256(model).hexdigest():
            problem = f"is not the one that {FACTS_FILE} is about"
            raise TokensError(one_line(folder / LIBRARY_FILE, problem, "get an intact copy of both"))
        try:
            return cls(tokenizers.Tokenizer.from_str(model.decode()), facts)
        except TokensError as error:
            raise TokensError(one_line(folder / LIBRARY_FILE, str(error), "train again")) from error
        except Exception as error:  # the library raises bare ones
            problem = f"cannot be read ({' '.join(str(error).split())[:80]})"
            raise TokensError(one_line(folder / LIBRARY_FILE, problem, "get an intact copy")) from error

    def __repr__(self) -> str:
        return f"UnitBPE({self.facts.tokenizer}, {self.facts.codebook_size} units, {self.vocabulary_size} ids)"


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        problem, remedy = "the package tokenizers is missing", "run: pip install tokaudio[bpe]"
        raise MissingDependencyError(one_line("BPE", problem, remedy)) from error
    return tokenizers


def _texts(first: Tokens | DedupedTokens, rest: Iterator[Tokens | DedupedTokens], facts: UnitFacts) -> Iterator[str]:
    tokens: Tokens | DedupedTokens | None = first
    while tokens is not None:
        for row in sequences(tokens, facts):
            for start in range(0, len(row), _LONGEST_TEXT):
                yield text_of(row[start : start + _LONGEST_TEXT])
        tokens = next(rest, None)


def _integers(values: Tensor | NDArray[Any] | Sequence[int], size: int, what: str) -> NDArray[np.int64]:
    array = values.cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TokensError(f"{what}s of {array.dtype} {list(array.shape)}; give integers [n]")
    wrong = (array < 0) | (array >= size)
    if wrong.any():
        raise TokensError(f"{what} {int(array[wrong][0])}; give {what}s from 0 to {size - 1}")
    return array.astype(np.int64)


def _pieces(library: Library, size: int) -> list[NDArray[np.int64]]:
    """Return the units of every id, after a check that the first ids are the units."""
    state = json.loads(library.to_str())
    plain = state["model"]["type"] == "BPE" and not any(
        state.get(name) for name in ("normalizer", "pre_tokenizer", "post_processor", "added_tokens", "truncation")
    )
    vocabulary = library.get_vocab()
    texts = sorted(vocabulary, key=vocabulary.__getitem__)
    if not plain or sorted(vocabulary.values()) != list(range(len(texts))):
        raise TokensError("is no plain BPE with ids from 0 on")
    pieces = [units_of(text) for text in texts]
    inside = all(len(piece) and piece.min() >= 0 and piece.max() < size for piece in pieces)
    # The size may be a file's word: as many ids are there at least.
    known = inside and size <= len(pieces)
    if not known or [piece.tolist() for piece in pieces[:size]] != [[unit] for unit in range(size)]:
        raise TokensError(f"is no BPE over {size} units")
    return pieces
