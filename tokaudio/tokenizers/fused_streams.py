"""Streams of fused tokenizers: one sound to the codes of both parts, and the codes of one part to sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tokaudio.audio import StreamResampler, resampled_length, to_channels
from tokaudio.errors import AudioError, TokensError, one_line
from tokaudio.tokenizers.alignment import Span, Weaver, inner_extras, mark_of
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.tokenizers.codec import check_samples
from tokaudio.tokenizers.pieces import Collector, Encoded
from tokaudio.tokenizers.streams import Stream


class Feed:
    """One part, fed with sound at any rate.

    Args:
        part: the tokenizer.
        num_codebooks: how many of its codebooks are wanted.
        sample_rate: of the sound in Hz.

    Attributes:
        frames: codes so far.
    """

    def __init__(self, part: Tokenizer, num_codebooks: int, sample_rate: int) -> None:
        self.part, self.num_codebooks, self.frames = part, num_codebooks, 0
        self._resampler = StreamResampler(sample_rate, part.spec.sample_rate, part.spec.channels)
        self._ready = Collector(part._streaming(num_codebooks).encoder)

    def push(self, samples: Tensor) -> Encoded:
        """Take samples `[C, n]` and return what is ready."""
        mixed, _ = to_channels(samples[None], self.part.spec.channels)
        self._push(torch.from_numpy(self._resampler.push(mixed[0].numpy())))
        return self._take()

    def flush(self) -> Encoded:
        """End the sound and return the rest."""
        self._push(torch.from_numpy(self._resampler.flush()))
        self._ready.flush()
        return self._take()

    def provenance(self) -> dict[str, str]:
        """Return what the part notes about all that it encoded."""
        seen = torch.zeros(1, self.frames, dtype=torch.int64)
        return dict(self.part._tokens([seen], [self._ready.encoder.pushed], 1, {}).provenance)

    def _push(self, samples: Tensor) -> None:
        self._ready.push(samples.to(self.part.device))

    def _take(self) -> Encoded:
        encoded = self._ready.take()
        self.frames += encoded.codes.shape[1]
        return encoded


class FusedEncoder:
    """A stream from samples `[C, n]` to the codes `[K, m]` of several parts.

    Args:
        feeds: the parts, by name, in the order of their codebooks.
        weaver: lays their codes onto one time axis.
        channels: C; None for any.
        sample_rate: of the samples in Hz.
        counted_at: rate in Hz at which `pushed` counts them.
    """

    def __init__(
        self, feeds: Mapping[str, Feed], weaver: Weaver, *, channels: int | None, sample_rate: int, counted_at: int
    ) -> None:
        self.run: Callable[..., Any] = self._run
        self.pushed = 0
        self.extras: Mapping[str, Tensor] = {}
        self.feeds = feeds
        self._weaver, self._channels = weaver, channels
        self._rates = (sample_rate, counted_at)
        self._taken = 0

    def push(self, piece: Tensor) -> Tensor:
        """Take a piece `[C, n]` and return what is ready `[K, m]`; m may be 0.

        Raises:
            AudioError: if the piece is not finite, has another shape, or comes after the end.
        """
        if piece.ndim != 2 or piece.shape[0] != (self._channels or piece.shape[0]):
            problem = f"a piece of shape {list(piece.shape)}"
            raise AudioError(one_line("stream", problem, f"give [{self._channels}, n]"))
        check_samples(piece)
        return self.run(piece.detach().to("cpu", torch.float32))

    def flush(self) -> Tensor:
        """End the sequence and return the rest `[K, m]`."""
        return self.run(None)

    def _run(self, piece: Tensor | None) -> Tensor:
        for name, feed in self.feeds.items():
            self._weaver.add(name, feed.flush() if piece is None else feed.push(piece))
        self._taken += 0 if piece is None else piece.shape[1]
        self.pushed = resampled_length(self._taken, *self._rates)
        encoded = self._weaver.take(self.pushed, last=piece is None)
        self.extras = encoded.extras
        return encoded.codes


class FusedDecoder:
    """A stream from the codes `[K, n]` of several parts to the sound `[C, m]` of one.

    Args:
        decoder: of that part.
        part: its name.
        rows: its codebooks.
        span: how long its codes last, for pieces whose side information does not say where they begin.
        sizes: of all codebooks.
    """

    def __init__(self, decoder: Stream, part: str, rows: slice, span: Span, sizes: Sequence[int]) -> None:
        self.run: Callable[..., Any] = self._run
        self.pushed = 0
        self.extras: Mapping[str, Tensor] = {}
        self._decoder, self._part, self._rows, self._span = decoder, part, rows, span
        self._sizes = torch.tensor(sizes)[:, None]

    def push(self, piece: Tensor) -> Tensor:
        """Take a piece `[K, n]` and return what is ready `[C, m]`; m may be 0.

        Raises:
            TokensError: if the codes are out of range or of another shape.
        """
        if piece.ndim != 2 or piece.shape[0] != len(self._sizes) or piece.is_floating_point():
            problem = f"a piece of {piece.dtype} {list(piece.shape)}"
            raise TokensError(one_line("stream", problem, f"give integer codes [{len(self._sizes)}, n]"))
        wrong = (piece < 0) | (piece >= self._sizes.to(piece.device))
        if bool(wrong.any()):
            book = int(wrong.any(dim=1).nonzero()[0])
            problem = f"code {int(piece[wrong][0])} in codebook {book}"
            raise TokensError(one_line("stream", problem, f"give codes from 0 to {int(self._sizes[book]) - 1}"))
        return self.run(piece)

    def flush(self) -> Tensor:
        """End the sequence and return the rest `[C, m]`."""
        return self.run(None)

    def _run(self, piece: Tensor | None) -> Tensor:
        if piece is None:
            return self._decoder.flush()
        frames = torch.arange(self.pushed, self.pushed + piece.shape[1])
        begins = self.extras.get(mark_of(self._part), self._span.begins(frames)).to(piece.device)
        self.pushed += piece.shape[1]
        self._decoder.extras = inner_extras(self.extras, self._part, begins)
        return self._decoder.push(piece[self._rows][:, begins])
