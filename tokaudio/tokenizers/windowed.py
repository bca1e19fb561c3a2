"""Tokenizers whose encoder sees the whole signal somewhere: in windows where signals are long, and said to be so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from tokaudio.nn.windows import Windows
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.codec import Codec
from tokaudio.tokens import Tokens


class InWindows(Tokenizer):
    """A tokenizer with a layer in its encoder that sees the whole signal.

    Signals of up to `window_seconds` are encoded as a whole, as references do; longer ones in windows of two thirds of
    that with 4 s of context on both sides, in memory that does not grow. Their codes are an approximation then, and the
    tokens' provenance says so under `windows`. Streams give exactly what the whole signal gives, when a window, or the
    signal, is complete.

    A family hands [`windows`][tokaudio.tokenizers.windowed.InWindows.windows] to the layer when it makes a stage.

    Attributes:
        window_seconds: None for the whole signal whatever its length.

    Example:
        >>> InWindows.window_seconds
        60.0
    """

    window_seconds: float | None = 60.0

    @property
    def windows(self) -> Windows | None:
        """How long signals are cut, in frames; None if they are not."""
        if self.window_seconds is None:
            return None
        return Windows.of(float(self.spec.frame_rate), longest_whole=self.window_seconds)

    def encode_pieces(
        self, blocks: Iterable[Any], sample_rate: int, *, num_codebooks: int | None = None
    ) -> Iterator[Tokens]:
        """Yield tokens as [`Tokenizer.encode_pieces`][tokaudio.Tokenizer.encode_pieces] does, with their windows."""
        pieces = super().encode_pieces(blocks, sample_rate, num_codebooks=num_codebooks)
        held = next(pieces)
        cut = False
        for piece in pieces:
            # A signal that is computed as a whole gives one piece: nothing is ready before its end.
            cut = True
            yield self._noted(held)
            held = piece
        yield self._noted(held) if cut else held

    def _tokens(self, codes: list[Tensor], num_samples: list[int], k: int, provenance: dict[str, str]) -> Tokens:
        tokens = super()._tokens(codes, num_samples, k, provenance)
        windows = self.windows
        longest = max((item.shape[1] for item in codes), default=0)
        return tokens if windows is None or longest <= windows.longest_whole else self._noted(tokens)

    def _noted(self, tokens: Tokens) -> Tokens:
        windows = self.windows
        if windows is None:
            return tokens
        rate = float(self.spec.frame_rate)
        note = f"{windows.steps / rate:g} s, context {windows.context / rate:g} s: approximate"
        return dataclasses.replace(tokens, provenance={**tokens.provenance, "windows": note})


class WindowedCodec(InWindows, Codec):
    """A [`Codec`][tokaudio.tokenizers.codec.Codec] with such a layer in its encoder."""
