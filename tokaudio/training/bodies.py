"""The contract of what surrounds a quantizer in training: an encoder, a decoder, and the tokenizer they end up in.

A body knows nothing of quantizers, and a quantizer nothing of bodies, so that any of one goes with any of the other.
[`make_body`][tokaudio.training.bodies.make_body] makes one from what a recipe says.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from tokaudio.errors import CheckpointError, UnknownNameError, one_line
from tokaudio.nn.weight_norm import folded_state
from tokaudio.quantizers import Quantizer, make_quantizer
from tokaudio.spec import CodebookSpec, Kind
from tokaudio.tokenizers.base import Tokenizer


@dataclass(frozen=True, slots=True)
class QuantizerChoice:
    """A quantizer by name, with the arguments of its constructor besides `dim`.

    Example:
        >>> QuantizerChoice("rvq", {"codebook_size": 16, "num_codebooks": 2}).make(8).codebook_sizes
        (16, 16)
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, dim: int) -> Quantizer:
        """Return an untrained quantizer of vectors of width `dim`.

        Raises:
            UnknownNameError: if no quantizer has this name.
            CheckpointError: if an option does not exist, or one is missing.
        """
        return make_quantizer(self.name, {"dim": dim, **self.options})


@dataclass(frozen=True, slots=True)
class About:
    """What a trained tokenizer says about itself.

    Attributes:
        name: of the tokenizer.
        kind: `compression`, or `hybrid` where its first codebook was taught what a semantic model hears.
        licence: of the weights.
        origin: where the weights come from.
    """

    name: str
    kind: Kind = "compression"
    licence: str = ""
    origin: str = ""


class Body(nn.Module, ABC):
    """Encoder and decoder of a trainable codec.

    Its submodules `encoder` and `decoder` have the names that they have in the tokenizer, and `tokenizer` copies their
    weights there.

    Attributes:
        sample_rate: in Hz.
        hop_length: samples per frame.
        dim: D, width of the latents.
    """

    sample_rate: int
    hop_length: int
    dim: int
    encoder: nn.Module
    decoder: nn.Module

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the names of the options that a recipe may set."""
        names = inspect.signature(cls).parameters
        return tuple(names)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Body:
        """Return an untrained body; all options have defaults."""
        return cls(**options)

    @abstractmethod
    def encode(self, signal: Tensor) -> Tensor:
        """Return latents `[B, D, T]` of signals `[B, S]`, S a multiple of the hop, T = S / hop."""

    @abstractmethod
    def decode(self, vectors: Tensor) -> Tensor:
        """Return float32 signals `[B, T * hop]` of vectors `[B, D, T]`."""

    @abstractmethod
    def untrained_tokenizer(
        self, quantizer: QuantizerChoice, sizes: tuple[CodebookSpec, ...], about: About
    ) -> Tokenizer:
        """Return a tokenizer of the same networks that `save_pretrained` can save, with any weights.

        Its modules `encoder`, `quantizer` and `decoder` have the tensors of the body's and the quantizer's.

        Raises:
            CheckpointError: if the tokenizer cannot work with such a quantizer.
        """

    def tokenizer(self, quantizer: Quantizer, choice: QuantizerChoice, about: About) -> Tokenizer:
        """Return a tokenizer with copies of the weights of this body and a quantizer, in eval mode on the CPU.

        Args:
            quantizer: with its weights.
            choice: what it was made from, which is what the tokenizer's configuration says.
            about: name and more.

        Raises:
            CheckpointError: if the tokenizer cannot work with such a quantizer.
        """
        made = self.untrained_tokenizer(choice, codebook_specs(quantizer, about.kind), about)
        for part, module in {"encoder": self.encoder, "quantizer": quantizer, "decoder": self.decoder}.items():
            getattr(made, part).load_state_dict(folded_state(module))
        return made.eval().requires_grad_(False)

    def start_from(self, tokenizer: Tokenizer) -> None:
        """Copy the weights of a tokenizer of the same networks.

        Raises:
            CheckpointError: if its networks are others.
        """
        for part in ("encoder", "decoder"):
            own, given = getattr(self, part), getattr(tokenizer, part, None)
            if given is None or not _same_shapes(own, given):
                problem = f"its {part} has other sizes than the recipe's body"
                raise CheckpointError(
                    one_line(tokenizer.spec.name, problem, "give the body the sizes of its config.json")
                )
            own.load_state_dict(given.state_dict())


def codebook_specs(quantizer: Quantizer, kind: Kind = "compression") -> tuple[CodebookSpec, ...]:
    """Return the facts of a quantizer's codebooks; the first of a hybrid tokenizer is semantic.

    Example:
        >>> quantizer = make_quantizer("rvq", {"dim": 4, "codebook_size": 8, "num_codebooks": 2})
        >>> [book.role for book in codebook_specs(quantizer, "hybrid")]
        ['semantic', 'acoustic']
    """
    strides = getattr(quantizer, "strides", None) or (1,) * quantizer.num_codebooks
    roles = ["semantic" if kind == "hybrid" and number == 0 else "acoustic" for number in range(len(strides))]
    rows = zip(quantizer.codebook_sizes, strides, roles, strict=True)
    return tuple(CodebookSpec(size, stride=int(stride), role=role) for size, stride, role in rows)


def _same_shapes(own: nn.Module, given: nn.Module) -> bool:
    mine, theirs = own.state_dict(), given.state_dict()
    return mine.keys() == theirs.keys() and all(mine[name].shape == theirs[name].shape for name in mine)


def list_bodies() -> list[str]:
    """Return the names of all bodies.

    Example:
        >>> "spectral" in list_bodies()
        True
    """
    return sorted(_bodies())


def body_class(name: str) -> type[Body]:
    """Return the class of a body.

    Raises:
        UnknownNameError: if no body has this name.

    Example:
        >>> "latent_dim" in body_class("spectral").option_names()
        True
    """
    found = _bodies().get(name)
    if found is None:
        raise UnknownNameError(f"no body is called {name!r}; there are {', '.join(list_bodies())}")
    return found


def make_body(name: str, options: Mapping[str, Any]) -> Body:
    """Make an untrained body from its name and options.

    Raises:
        UnknownNameError: if no body has this name.
        CheckpointError: if an option does not exist, or has a value that cannot be.

    Example:
        >>> make_body("spectral", {"latent_dim": 16}).dim
        16
    """
    kind = body_class(name)
    unknown = [option for option in options if option not in kind.option_names()]
    if unknown:
        problem = f"it has no option {unknown[0]!r}"
        raise CheckpointError(one_line(f"body {name!r}", problem, f"there are {', '.join(kind.option_names())}"))
    return kind.from_options(options)


def _bodies() -> dict[str, type[Body]]:
    # Bodies know the contract, so that it cannot know them before it is asked.
    from tokaudio.training.banded_body import BandedBody
    from tokaudio.training.network_bodies import DacBody, SEANetBody
    from tokaudio.training.spectral_body import SpectralBody

    return {"banded": BandedBody, "spectral": SpectralBody, "seanet": SEANetBody, "dac": DacBody}
