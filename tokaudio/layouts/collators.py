"""Batches for training: rows of ids of different lengths put together, with mask, labels and positions.

The collators are plain callables from a list of examples to a dictionary of tensors: the `collate_fn` of a
`torch.utils.data.DataLoader`, and the `data_collator` of a `transformers.Trainer`. Labels are the ids themselves, with
-100 where nothing is to be learnt; models of `transformers` shift them by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tokaudio._spec_checks import require_choice, require_int
from tokaudio.errors import TokensError
from tokaudio.layouts.arrays import as_array
from tokaudio.layouts.packing import block_mask, pack
from tokaudio.layouts.vocabulary import Vocabulary

IGNORED = -100
Example = Mapping[str, Any] | Tensor | NDArray[Any] | Sequence[int]
"""Ids [L], or a dictionary with `input_ids` and, where they differ, `labels`, as `datasets` gives them."""


@dataclass(frozen=True)
class RowCollator:
    """One row of ids per example, padded on the right, or several examples per row.

    Args:
        pad: id that fills the rows; its labels are -100.
        bos: id in front of each example; None for none. It is not learnt, there being nothing to tell it from.
        eos: id after each example; None for none.
        max_length: of a row. Longer examples are refused, or cut where `cut` says so.
        cut: whether examples that are too long lose their end.
        packed: whether examples share rows, of `max_length` ids. Positions begin anew with each, and the first id of
            each is not learnt.
        mask: of packed rows: `block`, a bool mask [B, 1, L, L] that keeps examples apart in any attention that takes
            masks; or `none`, for models that tell examples apart by their positions, as those of `transformers` do
            where their cache is off (`use_cache=False`).
        multiple_of: rows are filled up to a multiple of so many ids.

    Raises:
        TokensError: packing without `max_length`, examples that are too long or not integers.

    Example:
        >>> batch = RowCollator(pad=0, eos=1)([[5, 6, 7], [8]])
        >>> batch["input_ids"].tolist(), batch["labels"].tolist()
        ([[5, 6, 7, 1], [8, 1, 0, 0]], [[5, 6, 7, 1], [8, 1, -100, -100]])
        >>> packed = RowCollator(pad=0, eos=1, max_length=8, packed=True)([[5, 6, 7], [8]])
        >>> packed["input_ids"].tolist(), packed["position_ids"].tolist()
        ([[5, 6, 7, 1, 8, 1]], [[0, 1, 2, 3, 0, 1]])
    """

    pad: int
    bos: int | None = None
    eos: int | None = None
    max_length: int | None = None
    cut: bool = False
    packed: bool = False
    mask: Literal["block", "none"] = "block"
    multiple_of: int = 1

    def __post_init__(self) -> None:
        require_choice("mask", self.mask, ("block", "none"))
        require_int("multiple_of", self.multiple_of)
        if self.max_length is not None:
            require_int("max_length", self.max_length)
        elif self.packed:
            raise TokensError("packing without a length of rows; give max_length")

    @classmethod
    def for_vocabulary(
        cls, vocabulary: Vocabulary, *, max_length: int | None = None, cut: bool = False, packed: bool = False
    ) -> RowCollator:
        """Return a collator with the special ids that the vocabulary has.

        Raises:
            TokensError: a vocabulary without `pad`.

        Example:
            >>> from tokaudio.layouts.ranges import CodeRange
            >>> RowCollator.for_vocabulary(Vocabulary((CodeRange(0, 2, 8),), {"pad": 0, "eos": 1})).eos
            1
        """
        bos, eos = vocabulary.specials.get("bos"), vocabulary.specials.get("eos")
        return cls(vocabulary.special("pad"), bos, eos, max_length, cut, packed)

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Return `input_ids`, `labels`, `position_ids` [B, L], int64, and `attention_mask`.

        Without packing, and with `mask="none"`, the attention mask is int64 [B, L], 1 for ids and 0 for padding; where
        rows are packed with `mask="none"` there is none, so that models look at the positions.
        """
        if not examples:
            raise TokensError("a batch without examples; give at least one")
        rows = [self._framed(number, example) for number, example in enumerate(examples)]
        lengths = [len(ids) for ids, _ in rows]
        groups = pack(lengths, self.max_length) if self.packed and self.max_length else [[n] for n in range(len(rows))]
        longest = max(sum(lengths[n] for n in group) for group in groups)
        shape = (len(groups), -(-longest // self.multiple_of) * self.multiple_of)
        ids, labels = torch.full(shape, self.pad), torch.full(shape, IGNORED)
        positions, documents = torch.zeros(shape, dtype=torch.int64), torch.full(shape, -1)
        for row, group in enumerate(groups):
            start = 0
            for number in group:
                stop = start + lengths[number]
                ids[row, start:stop], labels[row, start:stop] = rows[number]
                if self.packed:
                    labels[row, start : start + 1] = IGNORED
                positions[row, start:stop] = torch.arange(lengths[number])
                documents[row, start:stop] = number
                start = stop
        batch = {"input_ids": ids, "labels": labels, "position_ids": positions}
        if not self.packed:
            batch["attention_mask"] = (documents >= 0).long()
        elif self.mask == "block":
            batch["attention_mask"] = block_mask(documents)
        return batch

    def _framed(self, number: int, example: Example) -> tuple[Tensor, Tensor]:
        """Return ids and labels [L] of one example, with its special ids."""
        ids, labels = _fields(example, 1)
        front = [] if self.bos is None else [self.bos]
        back = [] if self.eos is None else [self.eos]
        ids = np.concatenate([front, ids, back]).astype(np.int64)
        labels = np.concatenate([[IGNORED] * len(front), labels, back]).astype(np.int64)
        if self.max_length is not None and len(ids) > self.max_length:
            if not self.cut:
                problem = f"example {number} has {len(ids)} ids, and max_length is {self.max_length}"
                raise TokensError(f"{problem}; cut it before, or give cut=True")
            ids, labels = ids[: self.max_length], labels[: self.max_length]
        return torch.from_numpy(ids), torch.from_numpy(labels)


@dataclass(frozen=True)
class GridCollator:
    """Rows of a `GridLayout` [R, S], padded on the right.

    Args:
        empty: codes of places that hold none; they are not learnt.
        pad: code that fills the steps after an example.
        max_length: of a row, in steps; longer examples are refused.

    Raises:
        TokensError: examples that are too long, with different numbers of rows, or not integers.

    Example:
        >>> batch = GridCollator(empty=(8,), pad=8)([np.array([[1, 2, 8], [8, 3, 4]]), np.array([[5, 8], [8, 6]])])
        >>> batch["labels"].tolist()
        [[[1, 2, -100], [-100, 3, 4]], [[5, -100, -100], [-100, 6, -100]]]
        >>> batch["attention_mask"].tolist()
        [[1, 1, 1], [1, 1, 0]]
    """

    empty: tuple[int, ...]
    pad: int
    max_length: int | None = None

    def __call__(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Return `input_ids` and `labels` [B, R, S], `attention_mask` and `position_ids` [B, S], int64."""
        rows = [_fields(example, 2) for example in examples]
        if len({ids.shape[0] for ids, _ in rows}) != 1:
            raise TokensError("examples with different numbers of rows, or none; give those of one layout")
        lengths = torch.tensor([ids.shape[1] for ids, _ in rows])
        longest = int(lengths.max())
        if self.max_length is not None and longest > self.max_length:
            raise TokensError(f"an example has {longest} steps, and max_length is {self.max_length}; cut it before")
        shape = (len(rows), rows[0][0].shape[0], longest)
        ids, labels = torch.full(shape, self.pad), torch.full(shape, IGNORED)
        for number, (codes, wanted) in enumerate(rows):
            ids[number, :, : codes.shape[1]] = torch.from_numpy(codes)
            labels[number, :, : codes.shape[1]] = torch.from_numpy(
                np.where(np.isin(wanted, self.empty), IGNORED, wanted)
            )
        steps = torch.arange(longest).expand(len(rows), -1)
        inside = steps < lengths[:, None]
        return {
            "input_ids": ids,
            "labels": labels,
            "attention_mask": inside.long(),
            "position_ids": steps.masked_fill(~inside, 0),
        }


Collator = Callable[[Sequence[Example]], dict[str, Tensor]]
"""What a data loader or a trainer takes."""


def _fields(example: Example, dimensions: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ids and labels of an example."""
    if not isinstance(example, Mapping):
        ids = as_array("ids", example, dimensions)
        return ids, ids
    if "input_ids" not in example:
        raise TokensError(f"an example with {', '.join(map(str, example)) or 'no fields'}; give input_ids")
    ids = as_array("input_ids", example["input_ids"], dimensions)
    labels = as_array("labels", example.get("labels", ids), dimensions)
    if ids.shape != labels.shape:
        raise TokensError(f"labels of shape {list(labels.shape)} for ids of shape {list(ids.shape)}; give one per id")
    return ids, labels
