"""Units of one codebook: which ones, their sequences in tokens, and their text.

As text, each unit is a code point of its own in the private planes 15 and 16 of Unicode, where nothing is a space, a
surrogate, or changed by normalisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokaudio.errors import TokensError, one_line
from tokaudio.tokens import DedupedTokens, Tokens

_PLANE_15, _PLANE_16 = 0xF0000, 0x100000
# The last two code points of every plane are no characters.
_PER_PLANE = 0xFFFE
MAX_UNITS = 2 * _PER_PLANE


@dataclass(frozen=True)
class UnitFacts:
    """Which units a vocabulary is for.

    Args:
        tokenizer: name of the tokenizer that makes them.
        fingerprint: of its weights; empty where unknown.
        codebook: its number among all codebooks of the tokenizer.
        codebook_size: V.
        deduplicated: whether they are runs, of `Tokens.dedup()`, or one per frame.
    """

    tokenizer: str
    fingerprint: str
    codebook: int
    codebook_size: int
    deduplicated: bool

    @property
    def well_typed(self) -> bool:
        """Whether every fact has its type, which files may get wrong."""
        texts, numbers = (self.tokenizer, self.fingerprint), (self.codebook, self.codebook_size)
        return (
            all(isinstance(text, str) for text in texts)
            and all(type(number) is int for number in numbers)
            and isinstance(self.deduplicated, bool)
        )


def text_of(units: NDArray[np.integer[Any]]) -> str:
    """Return a text of as many characters as there are units [n] from 0 to `MAX_UNITS - 1`.

    Example:
        >>> [hex(ord(character)) for character in text_of(np.array([0, 1, 65_534]))]
        ['0xf0000', '0xf0001', '0x100000']
    """
    points = np.where(units < _PER_PLANE, _PLANE_15 + units, _PLANE_16 - _PER_PLANE + units)
    return points.astype("<u4").tobytes().decode("utf-32-le")


def units_of(text: str) -> NDArray[np.int64]:
    """Return the units [n] of a text; -1 for a character that is none.

    Example:
        >>> units_of(text_of(np.array([3, 65_535]))).tolist(), units_of("a").tolist()
        ([3, 65535], [-1])
    """
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4").astype(np.int64)
    units = np.where(points < _PLANE_16, points - _PLANE_15, points - _PLANE_16 + _PER_PLANE)
    within = (points & 0xFFFF) < _PER_PLANE
    return np.where((points >= _PLANE_15) & within, units, -1)


def facts_of(tokens: Tokens | DedupedTokens, codebook: int) -> UnitFacts:
    """Return what the units of a codebook are.

    Args:
        tokens: that hold them.
        codebook: its number among all codebooks of the tokenizer.

    Raises:
        TokensError: if the tokens lack the codebook, or it has more than `MAX_UNITS` codes.

    Example:
        >>> import torch
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
        >>> facts_of(Tokens.from_codes(torch.tensor([[1, 1, 2]]), spec), 0).codebook_size
        8
    """
    spec = tokens.spec
    size = spec.codebook_sizes[_position(tokens, codebook)]
    if size > MAX_UNITS:
        problem = f"codebook {codebook} has {size} codes"
        raise TokensError(one_line(spec.name, problem, f"BPE takes up to {MAX_UNITS}"))
    return UnitFacts(spec.name, tokens.fingerprint, codebook, size, isinstance(tokens, DedupedTokens))


def _position(tokens: Tokens | DedupedTokens, codebook: int) -> int:
    indices = tokens.spec.codebook_indices or tuple(range(tokens.spec.num_codebooks))
    if codebook not in indices:
        shown = ", ".join(map(str, indices))
        raise TokensError(one_line(tokens.spec.name, f"these tokens lack codebook {codebook}", f"they hold {shown}"))
    return indices.index(codebook)


def sequences(tokens: Tokens | DedupedTokens, facts: UnitFacts) -> Iterator[NDArray[np.int64]]:
    """Return the units of each item [n], after a check that they are those that the facts are about.

    A slow codebook gives one unit per code, not one per frame.

    Raises:
        TokensError: tokens of another tokenizer or codebook, or deduplicated where they should not be, or not.

    Example:
        >>> import torch
        >>> from tokaudio.spec import CodebookSpec, TokenizerSpec
        >>> spec = TokenizerSpec("toy", "semantic", 16_000, 320, (CodebookSpec(8),))
        >>> tokens = Tokens.from_codes(torch.tensor([[1, 1, 2]]), spec)
        >>> [row.tolist() for row in sequences(tokens, facts_of(tokens, 0))]
        [[1, 1, 2]]
    """
    found = facts_of(tokens, facts.codebook)
    if found.deduplicated != facts.deduplicated:
        problem = f"these tokens are {'' if found.deduplicated else 'not '}deduplicated, unlike those in training"
        remedy = "give tokens.dedup()" if facts.deduplicated else "give the tokens before dedup()"
        raise TokensError(one_line(found.tokenizer, problem, remedy))
    weights = found.fingerprint and facts.fingerprint and found.fingerprint != facts.fingerprint
    if weights or (found.tokenizer, found.codebook_size) != (facts.tokenizer, facts.codebook_size):
        made = f"{found.tokenizer} ({found.codebook_size} codes, weights {found.fingerprint[:12] or 'unknown'})"
        wanted = f"{facts.tokenizer} ({facts.codebook_size} codes, weights {facts.fingerprint[:12] or 'unknown'})"
        problem = f"these tokens were made by {made}, and the vocabulary is for {wanted}"
        raise TokensError(one_line("BPE", problem, "train one for these tokens"))
    position = _position(tokens, facts.codebook)
    # Runs are counted in frames whatever the stride; of frames, a slow codebook has one code for several.
    stride = 1 if found.deduplicated else tokens.spec.codebooks[position].stride
    rows = tokens.codes[:, position].cpu().numpy()
    return (row[:length:stride] for row, length in zip(rows, tokens.lengths.tolist(), strict=True))
