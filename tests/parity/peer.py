"""What a reference implementation must offer to be compared and timed: the protocol of `builders/`.

A `Peer` is somebody else's codec with weights that we filled. It encodes, decodes, tells its latents and lookup, and
writes itself to a folder as the published checkpoints are, from where tokaudio reads it.
"""

from __future__ import annotations

import contextlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from tests.parity.compare import Gap, ResidualLookup, join_gaps


@dataclass(frozen=True)
class PeerCodes:
    """Codes of a batch as `Tokens` has them, and what else decoding needs.

    Attributes:
        codes: `[B, K, T]`; slow codebooks repeated to the fastest rate; segments (EnCodec 48k) one after the other.
        extras: side information by name, items of the batch first, as the reference gives it (EnCodec 48k: `scale`
            `[B, segments]`).
        num_samples: length of the audio that was encoded.
    """

    codes: Tensor
    num_samples: int
    extras: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class PeerFacts:
    """What is fixed about a reference.

    Attributes:
        name: of the variant, as in `FAMILIES`, for example `"dac-16k/descript"`.
        oracle: distribution that is the reference, for example `"transformers"`.
        layouts: published file layouts that `save` can write; the first is the usual one.
        sample_rate: of the input, Hz.
        hop_length: samples of one frame (of the fastest codebook).
        codebook_sizes: V of each codebook.
        channels: of the audio.
        output_sample_rate: Hz; 0 means that of the input.
        strides: frames that one code spans, per codebook; empty for 1 everywhere.
        chains: residual chains of codebooks; empty for one chain of all.
        decoded_short_by: samples by which the reference may return less than it got (DAC 16/24k: 8).
        seeded_decode: decoding draws noise; both sides are seeded with the same `torch.manual_seed` before it.
        decodes: False for encode-only tokenizers.
        full_size: the widths of the published model, rather than reduced ones.
    """

    name: str
    oracle: str
    layouts: tuple[str, ...]
    sample_rate: int
    hop_length: int
    codebook_sizes: tuple[int, ...]
    channels: int = 1
    output_sample_rate: int = 0
    strides: tuple[int, ...] = ()
    chains: tuple[tuple[int, ...], ...] = ()
    decoded_short_by: int = 0
    seeded_decode: bool = False
    decodes: bool = True
    full_size: bool = False

    @property
    def oracle_version(self) -> str:
        """The installed version of the reference."""
        return version(self.oracle)


class Peer(ABC):
    """A reference implementation with filled weights. Subclasses implement the methods with an underscore.

    All public methods run without gradients and with the reference's own warnings silenced; ours stay errors.
    """

    facts: PeerFacts

    def encode(self, audio: Tensor, *, num_codebooks: int | None = None) -> PeerCodes:
        """Return the codes of a batch of equally long audio `[B, C, S]`; the first `num_codebooks` of them."""
        with reference_mode():
            codes = self._encode(audio, num_codebooks or len(self.facts.codebook_sizes))
        assert codes.codes.dtype == torch.int64 and codes.codes.dim() == 3, "a peer's codes are int64 [B, K, T]"
        return codes

    def decode(self, codes: PeerCodes) -> Tensor:
        """Return audio `[B, C, S']` as the reference gives it: S' may be a little more than was encoded, or less."""
        with reference_mode():
            return self._decode(codes)

    def features(self, audio: Tensor) -> Tensor:
        """Return the vectors `[B, D, T]` that go into the quantizer."""
        with reference_mode():
            return self._features(audio)

    def gap(self, audio: Tensor, codes: Tensor) -> Gap:
        """Return the judge of differing codes for one item: audio `[C, S]`, the reference's codes `[K, T]`."""
        with reference_mode():
            return join_gaps(self._lookups(audio[None]), codes)

    def save(self, folder: Path, layout: str | None = None) -> Path:
        """Write the published files to a new folder and return it.

        Raises:
            ValueError: the layout is not one of `facts.layouts`.
        """
        layout = layout or self.facts.layouts[0]
        if layout not in self.facts.layouts:
            raise ValueError(f"{self.facts.name} has the layouts {', '.join(self.facts.layouts)}, not {layout}")
        folder.mkdir(parents=True, exist_ok=True)
        with reference_mode():
            self._save(folder, layout)
        return folder

    @abstractmethod
    def _encode(self, audio: Tensor, num_codebooks: int) -> PeerCodes: ...

    @abstractmethod
    def _decode(self, codes: PeerCodes) -> Tensor: ...

    @abstractmethod
    def _features(self, audio: Tensor) -> Tensor: ...

    @abstractmethod
    def _lookups(self, audio: Tensor) -> Sequence[ResidualLookup]:
        """Return the residual chains over the latents of audio `[1, C, S]`."""

    @abstractmethod
    def _save(self, folder: Path, layout: str) -> None: ...


@contextlib.contextmanager
def reference_mode() -> Iterator[None]:
    """Run other people's code: no gradients, and their deprecation warnings are not ours.

    Example:
        >>> with reference_mode():
        ...     warnings.warn("old habit")
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
