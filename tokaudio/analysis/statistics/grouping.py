"""Codes and labels counted in groups of recordings, from whose differences an interval follows.

    counts = GroupedCounts()
    for codes, labels in recordings:
        counts.add(codes, labels)
    information_interval(counts.finish())

Frames of one recording are alike, so that recordings are what is drawn anew, never frames. Each goes whole to one of a
few groups; memory grows with the different pairs of code and label in each, not with hours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from tokaudio.analysis.statistics.contingency import AnalysisError, Contingency, integers
from tokaudio.analysis.statistics.counting import SparseCounts

GROUPS = 20
"""Of recordings: enough for the quantile of t to be near its limit, few enough for each to hold many frames."""
# Bits of one number that holds group, code and label, in that order.
_LABEL_BITS, _CODE_BITS, _GROUP_BITS = 24, 31, 8


class GroupedCounts:
    """Counts of codes and labels, group by group.

    Args:
        groups: how many, 4 to 256; fewer come out where recordings are fewer.

    Raises:
        AnalysisError: if `groups` is out of range.

    Example:
        >>> counts = GroupedCounts(groups=4)
        >>> for _ in range(8):
        ...     counts.add([3, 3, 7], [0, 0, 1])
        >>> [table.frames for table in counts.finish()]
        [6, 6, 6, 6]
    """

    def __init__(self, groups: int = GROUPS) -> None:
        if not 4 <= groups <= 1 << _GROUP_BITS:
            raise AnalysisError(f"groups is {groups}; give 4 to {1 << _GROUP_BITS}")
        self._counts = SparseCounts()
        self._frames = np.zeros(groups, dtype=np.int64)

    def add(self, codes: ArrayLike | Tensor, labels: ArrayLike | Tensor, *, group: int | None = None) -> None:
        """Take the frames of one recording; those whose code or label is negative have none, and are left out.

        Args:
            codes: integers `[T]` below 2**31.
            labels: integers `[T]` below 2**24.
            group: that the recording goes to; None for the one with the fewest frames so far.

        Raises:
            AnalysisError: if shapes differ, numbers are no integers or too large, or there is no such group.
        """
        code, label = integers(codes, "codes").ravel(), integers(labels, "labels").ravel()
        if code.shape != label.shape:
            raise AnalysisError(
                f"{code.size} codes and {label.size} labels; give one label for each frame, -1 for none"
            )
        if group is not None and not 0 <= group < self._frames.size:
            raise AnalysisError(f"group is {group}; give 0 to {self._frames.size - 1}")
        known = (code >= 0) & (label >= 0)
        code, label = code[known], label[known]
        if not code.size:
            return
        if code.max() >= 1 << _CODE_BITS or label.max() >= 1 << _LABEL_BITS:
            most = f"codes below 2**{_CODE_BITS} and labels below 2**{_LABEL_BITS}"
            raise AnalysisError(f"a code is {code.max()}, a label {label.max()}; give {most}")
        number = int(np.argmin(self._frames)) if group is None else group
        self._frames[number] += code.size
        self._counts.add(((number << _CODE_BITS) + code << _LABEL_BITS) + label)

    def finish(self) -> tuple[Contingency, ...]:
        """Return the table of each group that has frames."""
        keys, counts = self._counts.finish()
        labels = keys & (1 << _LABEL_BITS) - 1
        codes = keys >> _LABEL_BITS & (1 << _CODE_BITS) - 1
        groups = keys >> _LABEL_BITS + _CODE_BITS
        edges = np.searchsorted(groups, np.arange(self._frames.size + 1))
        parts = [slice(*pair) for pair in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)]
        return tuple(Contingency(codes[part], labels[part], counts[part]) for part in parts if part.start < part.stop)
