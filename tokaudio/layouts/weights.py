"""How much the loss of each codebook's ids should count.

Codebooks are not of one importance: a wrong semantic code changes a word, a wrong code of the last residual level
hardly anything that is heard. Moshi (arXiv:2410.00037) weighs the semantic codebook 100 times an acoustic one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import as_array
from tokaudio.layouts.vocabulary import Vocabulary
from tokaudio.spec import TokenizerSpec

CONTENT = ("phone", "word", "text", "keyword")
"""Attributes of a codebook report that are about what is said."""


def role_weights(spec: TokenizerSpec, *, semantic: float = 100.0, acoustic: float = 1.0) -> tuple[float, ...]:
    """Return one weight per codebook by the role in the spec, with a mean of 1.

    Args:
        spec: of the tokenizer.
        semantic: weight of a semantic codebook, relative to the others.
        acoustic: weight of any other one.

    Raises:
        TokensError: weights that are negative, or all 0.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> books = (CodebookSpec(8, role="semantic"), CodebookSpec(8))
        >>> role_weights(TokenizerSpec("toy", "hybrid", 16_000, 320, books), semantic=3.0)
        (1.5, 0.5)
    """
    return _of_mean_one([semantic if book.role == "semantic" else acoustic for book in spec.codebooks])


def report_weights(
    roles: Sequence[Mapping[str, Any]], *, content: float = 100.0, other: float = 1.0, nothing: float = 0.5
) -> tuple[float, ...]:
    """Suggest one weight per codebook from what a codebook report found them to carry, with a mean of 1.

    A codebook that says most about what is said (phones, words) gets `content` times the score that it has for it, at
    least `other`; one that says most about anything else gets `other`; one that says nothing that can be told from
    chance gets `nothing`. It is a starting point to be tried, not a result.

    Args:
        roles: `to_dict()["roles"]` of a report, or `roles` of its JSON.
        content: weight of a codebook that says all there is to know about what is said.
        other: weight of one that is about something else.
        nothing: weight of one about which nothing was found.

    Raises:
        TokensError: no roles, or fields that are missing.

    Example:
        >>> found = [{"attribute": "phone", "score": 0.6}, {"attribute": "pitch", "score": 0.4}, {"attribute": None}]
        >>> [round(weight, 3) for weight in report_weights(found, content=10.0)]
        [2.4, 0.4, 0.2]
    """
    weights = []
    for role in roles:
        try:
            attribute = role["attribute"]
            if attribute is None:
                weights.append(nothing)
            elif attribute in CONTENT:
                weights.append(max(other, content * float(role["score"])))
            else:
                weights.append(other)
        except (KeyError, TypeError) as error:
            raise TokensError(f"roles without a field {error}; give the roles of a codebook report") from error
    return _of_mean_one(weights)


def _of_mean_one(weights: Sequence[float]) -> tuple[float, ...]:
    total = sum(weights)
    if not weights or min(weights) < 0 or not 0 < total < float("inf"):
        raise TokensError(f"weights {list(weights)}; give finite ones from 0 on, not all 0")
    return tuple(weight * len(weights) / total for weight in weights)


def id_weights(vocabulary: Vocabulary, weights: Sequence[float], *, others: float = 1.0) -> Tensor:
    """Return one weight per id, float32 [size], for `torch.nn.functional.cross_entropy(..., weight=...)`.

    Args:
        vocabulary: which id is which code.
        weights: one per codebook.
        others: of special ids, durations and text.

    Raises:
        TokensError: another number of weights than of codebooks.

    Example:
        >>> from tokaudio.layouts.ranges import CodeRange
        >>> id_weights(Vocabulary((CodeRange(0, 1, 2), CodeRange(1, 3, 1)), {"eos": 0}), [1.5, 0.5]).tolist()
        [1.0, 1.5, 1.5, 0.5]
    """
    if len(weights) != vocabulary.num_codebooks:
        raise TokensError(f"{len(weights)} weights for {vocabulary.num_codebooks} codebooks; give one per codebook")
    result = torch.full((vocabulary.size,), others, dtype=torch.float32)
    for one in vocabulary.ranges:
        result[one.first : one.stop] = weights[one.codebook]
    return result


def loss_weights(ids: Tensor, vocabulary: Vocabulary, weights: Sequence[float], *, others: float = 1.0) -> Tensor:
    """Return the weight of each id, float32 of the shape of `ids`; 0 where an id is negative, as ignored labels are.

    Raises:
        TokensError: ids outside the vocabulary, or another number of weights than of codebooks.

    Example:
        >>> from tokaudio.layouts.ranges import CodeRange
        >>> labels = torch.tensor([-100, 1, 3])
        >>> loss_weights(labels, Vocabulary((CodeRange(0, 1, 2), CodeRange(1, 3, 1)), {"eos": 0}), [1.5, 0.5]).tolist()
        [0.0, 1.5, 0.5]
    """
    flat = as_array("ids", ids.flatten(), 1)
    known = np.where(flat < 0, 0, flat)
    vocabulary.lookup(known)  # which refuses ids outside
    table = id_weights(vocabulary, weights, others=others).to(ids.device)
    return torch.where(ids < 0, 0.0, table[ids.clamp(min=0).long()])
