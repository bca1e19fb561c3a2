"""What recognition scores that learnt texts without meaning: transcripts permuted, and the band of chance for it.

What a probe says after that may still fit the texts of the test set a little, for it has learnt which letters are
frequent. How well it fits by chance is seen by exchanging the texts of the test set, all clips of a text together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tokaudio.metrics.error_rates import Unit, edit_counts
from tokaudio.probes.chance import naming_band


def permuted_texts(texts: Sequence[str], learnt: Sequence[int], seed: tuple[int, int]) -> list[str]:
    """Return all texts, those that are learnt from in another order.

    Args:
        texts: of all clips.
        learnt: numbers of the clips that are learnt from.
        seed: of the order.

    Example:
        >>> sorted(permuted_texts(["a", "b", "c", "d"], [0, 1, 2], (0, 1))[:3])
        ['a', 'b', 'c']
    """
    found, order = list(texts), np.random.default_rng(seed).permutation(learnt)
    for number, other in zip(learnt, order.tolist(), strict=True):
        found[number] = texts[other]
    return found


def exchange_band(texts: Sequence[str], said: Sequence[str], unit: Unit = "word") -> tuple[float, float]:
    """Return between which error rates lies what is said, if the texts were exchanged at random: 99.9 % of exchanges.

    Args:
        texts: of the clips.
        said: what was recognised in each of them.
        unit: words, or characters.

    Raises:
        TokaudioError: the two differ in number.

    Example:
        >>> exchange_band(["on", "off", "up"], ["", "", ""]), exchange_band(["on", "off"], ["on", "off"])
        ((1.0, 1.0), (0.0, 1.0))
    """
    kinds = sorted(set(texts))
    above, below = np.zeros((2, len(kinds), len(kinds)))
    for other, text in enumerate(kinds):
        for one, counts in zip(texts, edit_counts([text] * len(said), said, unit=unit), strict=True):
            above[kinds.index(one), other] += counts.errors
            below[kinds.index(one), other] += counts.length
    return naming_band(above, below)
