"""The contract of every quantizer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tokaudio.errors import CheckpointError, TokensError
from tokaudio.quantizers.codebook import Codebook
from tokaudio.quantizers.life import CodeLife
from tokaudio.quantizers.usage import CodebookUsage, Nesting, UsageMeter

_NESTING = Nesting()


@dataclass(frozen=True, slots=True)
class QuantizerOutput:
    """What a quantizer returns in training.

    Attributes:
        quantized: vectors `[B, D, T]`, differentiable with respect to the input.
        codes: integers `[B, K, T]`.
        loss: what the quantizer asks to be added to the training loss, a scalar.
        stats: figures worth logging, detached scalars by name.
    """

    quantized: Tensor
    codes: Tensor
    loss: Tensor
    stats: Mapping[str, Tensor] = field(default_factory=dict)


class Quantizer(nn.Module, ABC):
    """Maps continuous vectors `[B, D, T]` to codes `[B, K, T]` and back.

    Attributes:
        dim: D, the width of the vectors.
        codebook_sizes: V of each of the K codebooks.
    """

    dim: int
    codebook_sizes: tuple[int, ...]

    def __init__(self) -> None:
        super().__init__()
        self._meter: UsageMeter | None = None
        # Of quantizers inside quantizers only the outermost counts, which knows the codebooks by their numbers.
        self.register_forward_pre_hook(_enter)
        self.register_forward_hook(_leave, always_call=True)

    @property
    def num_codebooks(self) -> int:
        """K, the number of codebooks."""
        return len(self.codebook_sizes)

    @abstractmethod
    def forward(self, latents: Tensor, *, num_codebooks: Tensor | int | None = None) -> QuantizerOutput:
        """Quantize `[B, D, T]` for training; in train mode codebooks may learn.

        Args:
            latents: vectors `[B, D, T]`.
            num_codebooks: how many codebooks to use, one number or one per item `[B]`; None for all, or for the
                quantizer's own random choice (quantizer dropout) in train mode.

        Raises:
            ValueError: if a number of codebooks is not between 1 and K.
        """

    @abstractmethod
    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` (int64) of `[B, D, T]`; never learns, whatever the mode. Ties take the lowest index.

        Raises:
            ValueError: if `num_codebooks` is not between 1 and K.
        """

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors `[B, D, T]` of codes `[B, k, T]`, k up to K.

        Raises:
            TokensError: if a code is out of range.
        """

    @abstractmethod
    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, D]` in the space of the latents."""

    def initialise(self, latents: Tensor) -> None:
        """Set codebooks from vectors, as by k-means, before the first training step; here there is nothing to set.

        With several processes, to be called by all of them, each with vectors of its own.

        Args:
            latents: vectors `[N, D]`, as many as can be had: at least a few per code.

        Example:
            >>> from tokaudio.quantizers import VectorQuantizer
            >>> quantizer = VectorQuantizer(4, 16)
            >>> quantizer.initialise(torch.randn(200, 4, generator=torch.Generator().manual_seed(0)))
            >>> bool(quantizer.book.ready)
            True
        """

    def learning_state(self) -> dict[str, dict[str, Tensor | int]]:
        """Return what training must keep besides `state_dict()` to be resumed exactly: statistics, by module name.

        The tensors are copies.

        Example:
            >>> from tokaudio.quantizers import ResidualVectorQuantizer
            >>> sorted(ResidualVectorQuantizer(4, 16, num_codebooks=2).learning_state())
            ['levels.0.book', 'levels.1.book']
        """
        return {name: book.learning_state() for name, book in self._books().items()}

    def load_learning_state(self, state: Mapping[str, Mapping[str, Tensor | int]]) -> None:
        """Restore what `learning_state` returned; call it after `load_state_dict`, which starts statistics afresh.

        Raises:
            CheckpointError: if the statistics are of other codebooks.

        Example:
            >>> from tokaudio.quantizers import VectorQuantizer
            >>> old, new = VectorQuantizer(4, 16), VectorQuantizer(4, 16)
            >>> new.load_state_dict(old.state_dict())
            <All keys matched successfully>
            >>> new.load_learning_state(old.learning_state())
        """
        books = self._books()
        if set(state) != set(books):
            raise CheckpointError(
                f"learning state is of the codebooks {sorted(state)}, but this quantizer has {sorted(books)}; "
                "load the state of a quantizer of the same shape"
            )
        for name, book in books.items():
            book.load_learning_state(state[name])

    def _books(self) -> dict[str, Codebook | CodeLife]:
        return {name: module for name, module in self.named_modules() if isinstance(module, Codebook | CodeLife)}

    def usage(self) -> tuple[CodebookUsage, ...]:
        """Return what the last 100 to 200 training steps used of every codebook.

        Counted by every call in train mode. From step 400 on a [`CollapseWarning`]
        [tokaudio.quantizers.usage.CollapseWarning] is given once for a codebook of which hardly anything is used.

        Example:
            >>> from tokaudio.quantizers import VectorQuantizer
            >>> quantizer = VectorQuantizer(4, 16).train()
            >>> out = quantizer(torch.randn(2, 4, 100, generator=torch.Generator().manual_seed(0)))
            >>> quantizer.usage()[0].share
            1.0
        """
        meter = self._meter or UsageMeter(type(self).__name__, self.codebook_sizes)
        return meter.usage()

    def resolve(self, num_codebooks: int | None) -> int:
        """Return the number of codebooks that a request means, or raise `ValueError`."""
        if num_codebooks is None:
            return self.num_codebooks
        if not 1 <= num_codebooks <= self.num_codebooks:
            raise ValueError(f"num_codebooks must be between 1 and {self.num_codebooks}, got {num_codebooks}")
        return num_codebooks

    def require_depth(self, num_codebooks: Tensor | int | None) -> None:
        """Raise `ValueError` unless every number of codebooks is between 1 and K."""
        if isinstance(num_codebooks, Tensor):
            for number in num_codebooks.unique().tolist():
                self.resolve(number)
        else:
            self.resolve(num_codebooks)

    def draw_depth(self, batch: int, num_codebooks: Tensor | int | None, *, dropout: float) -> Tensor:
        """Return how many codebooks each item uses `[B]`, on the CPU.

        In training, where no number is asked for, a share `dropout` of the items uses the first few only: any number
        is as likely (SoundStream, arXiv:2107.03312, section III-C).

        Raises:
            ValueError: if a number is out of range.
        """
        self.require_depth(num_codebooks)
        if isinstance(num_codebooks, Tensor):
            return num_codebooks.cpu()
        depth = torch.full((batch,), self.resolve(num_codebooks))
        if num_codebooks is None and self.training and dropout > 0:
            dropped = torch.rand(batch) < dropout
            depth = torch.where(dropped, torch.randint(1, self.num_codebooks + 1, depth.shape), depth)
        return depth

    def check_codes(self, codes: Tensor) -> None:
        """Raise `TokensError` unless `codes` is `[B, k, T]` with every code inside its codebook."""
        if codes.ndim != 3 or not 1 <= codes.shape[1] <= self.num_codebooks:
            raise TokensError(
                f"codes must have shape [B, k, T] with 1 <= k <= {self.num_codebooks}, got {list(codes.shape)}"
            )
        sizes = torch.tensor(self.codebook_sizes[: codes.shape[1]], device=codes.device)[None, :, None]
        wrong = (codes < 0) | (codes >= sizes)
        if bool(wrong.any()):
            item, book, frame = (int(i) for i in wrong.nonzero()[0])
            raise TokensError(
                f"code {int(codes[item, book, frame])} of codebook {book} (item {item}, frame {frame}) is outside "
                f"0..{self.codebook_sizes[book] - 1}; check that the codes belong to this tokenizer"
            )


def _enter(module: nn.Module, given: Any) -> None:
    """Note, before a quantizer's `forward`, that one is at work."""
    _NESTING.depth += 1


def _leave(module: nn.Module, given: Any, result: Any) -> None:
    """Count the codes that a quantizer gave in train mode, unless it is part of another one; after an error, none."""
    _NESTING.depth -= 1
    if _NESTING.depth or not module.training or not isinstance(result, QuantizerOutput):
        return
    assert isinstance(module, Quantizer)
    if module._meter is None:
        module._meter = UsageMeter(type(module).__name__, module.codebook_sizes)
    module._meter.observe(result.codes)
