"""Streams that code segments of a signal each alone, with a scale of its own (arXiv:2210.13438, section 3.2).

Nothing but the overlap of their sound joins segments: whatever pieces a signal arrives in, results are the same, and
memory holds one segment. The side information `frame_scale` holds the scale of a segment at its first frame and 0 at
the others, so it says where segments begin, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tokaudio._segments import Segments
from tokaudio.errors import AudioError, TokensError, one_line

SCALE = "frame_scale"

# Takes the samples [C, n] of some segments; returns the results [D, m] and the scale of each.
Encode = Callable[[list[Tensor]], list[tuple[Tensor, float]]]
# Takes the codes [K, m] and the scale of some segments; returns the samples [C, m * hop] of each.
Decode = Callable[[list[tuple[Tensor, float]]], list[Tensor]]

# Segments that are handed on together where they are there: more would take more memory, and hardly less time.
GROUP = 8


class SegmentEncoder:
    """Turns sound that arrives in pieces into the results of its segments, each as soon as it is whole.

    Args:
        run: maps segments, each for itself, to results and scales.
        segments: where they lie.
        channels: C.
        empty: an empty result `[D, 0]`.
        device: of the samples.
        check: called with every piece `[C, n]`; raises where it is not to be used.

    Example:
        >>> segments = Segments(length=4, stride=3, hop=2)
        >>> encoder = SegmentEncoder(lambda xs: [(x[:, ::2], 1.0) for x in xs], segments, 1, torch.zeros(1, 0))
        >>> encoder.push(torch.arange(5.0)[None]), encoder.flush()
        (tensor([[0., 2.]]), tensor([[3.]]))
        >>> encoder.extras
        {'frame_scale': tensor([1.])}
    """

    def __init__(
        self,
        run: Encode,
        segments: Segments,
        channels: int,
        empty: Tensor,
        *,
        device: torch.device | str = "cpu",
        check: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.run, self.segments, self.empty, self.check = run, segments, empty, check
        self.pushed = 0
        self.extras: Mapping[str, Tensor] = {}
        self._ended = False
        self._held = torch.empty(channels, 0, dtype=torch.float32, device=device)

    def push(self, piece: Tensor) -> Tensor:
        """Take samples `[C, n]` and return the results `[D, m]` of the segments that are whole; m may be 0.

        Raises:
            AudioError: if the piece has another shape, or if the stream has been flushed.
        """
        _require_open(self._ended)
        _require_rows(piece, len(self._held))
        if self.check is not None:
            self.check(piece)
        self.pushed += piece.shape[1]
        piece = piece.detach().to(self._held)
        held = torch.cat([self._held, piece], dim=1) if self._held.shape[1] else piece
        return self._results(held, self.segments.length)

    def flush(self) -> Tensor:
        """End the signal and return the results `[D, m]` of its last segments, which may be short.

        Raises:
            AudioError: if the stream has been flushed before.
        """
        _require_open(self._ended)
        self._ended = True
        return self._results(self._held, 1)

    def _results(self, held: Tensor, least: int) -> Tensor:
        """Return the results of all segments of which at least so many samples are there, and keep the rest."""
        count = max(0, -(-(held.shape[1] - least + 1) // self.segments.stride))
        starts = [number * self.segments.stride for number in range(count)]
        results, scales = [self.empty], [torch.zeros(0, dtype=torch.float32)]
        for first in range(0, count, GROUP):
            group = starts[first : first + GROUP]
            for result, scale in self.run([held[:, start : start + self.segments.length] for start in group]):
                results.append(result)
                scales.append(torch.zeros(result.shape[1], dtype=torch.float32))
                scales[-1][0] = scale
        start = count * self.segments.stride
        self._held = held[:, start:].clone()
        self.extras = {SCALE: torch.cat(scales).to(self.empty.device)}
        return torch.cat(results, dim=1)


class SegmentDecoder:
    """Turns codes that arrive in pieces into sound; where segments overlap, one fades into the next.

    Weights of the two sides rise and fall in a straight line, as triangles over a segment have them.

    Args:
        run: maps codes and scales of segments, each for itself, to samples.
        segments: where they lie.
        num_codebooks: K.
        empty: an empty result `[C, 0]`.
        device: of the codes.
        check: called with every piece `[K, n]`; raises where it is not to be used.

    Attributes:
        extras: `frame_scale` `[n]` of the codes that are pushed next, as the encoder gave it.

    Example:
        >>> segments = Segments(length=4, stride=2, hop=2)
        >>> def run(some):
        ...     return [scale * codes.repeat(1, 2) for codes, scale in some]
        >>> decoder = SegmentDecoder(run, segments, 1, torch.zeros(1, 0))
        >>> decoder.extras = {"frame_scale": torch.tensor([1.0, 0.0, 4.0])}
        >>> decoder.push(torch.ones(1, 3)), decoder.flush()
        (tensor([[1., 1.]]), tensor([[2., 3.]]))
    """

    def __init__(
        self,
        run: Decode,
        segments: Segments,
        num_codebooks: int,
        empty: Tensor,
        *,
        device: torch.device | str = "cpu",
        check: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.run, self.segments, self.empty, self.check = run, segments, empty, check
        self.pushed = 0
        self.extras: Mapping[str, Tensor] = {}
        self._ended = False
        self._codes = torch.empty(num_codebooks, 0, dtype=torch.int64, device=device)
        self._scale = torch.empty(0, dtype=torch.float32)
        self._tail = empty
        # How many samples a whole segment and the next have in common, and one: known from the first segment's sound.
        self._fade: int | None = None

    def push(self, codes: Tensor) -> Tensor:
        """Take codes `[K, n]` and return the samples `[C, m]` that no later code changes; m may be 0.

        Raises:
            AudioError: if the piece has another shape, or if the stream has been flushed.
            TokensError: if codes are out of range, or `extras` does not hold their scale.
        """
        _require_open(self._ended)
        _require_rows(codes, len(self._codes))
        if self.check is not None:
            self.check(codes)
        scale = self._next_scale(codes)
        self.pushed += codes.shape[1]
        self._codes = torch.cat([self._codes, codes.detach().to(self._codes)], dim=1)
        self._scale = torch.cat([self._scale, scale])
        return self._sounds(last=False)

    def flush(self) -> Tensor:
        """End the signal and return the rest of its samples `[C, m]`.

        Raises:
            AudioError: if the stream has been flushed before.
        """
        _require_open(self._ended)
        self._ended = True
        return torch.cat([self._sounds(last=True), self._tail], dim=1)

    def _next_scale(self, codes: Tensor) -> Tensor:
        """Return the checked scale `[n]` of a piece of codes."""
        scale = self.extras.get(SCALE)
        self.extras = {}
        if scale is None or scale.shape != codes.shape[1:]:
            raise TokensError(
                f"codes of {codes.shape[1]} frames without their scale; give the extra {SCALE} [{codes.shape[1]}]: the "
                "scale of a segment at its first frame, and 0 at the others"
            )
        scale = scale.detach().to("cpu", torch.float32)
        if bool((scale < 0).any()) or (self.pushed == 0 and len(scale) and float(scale[0]) == 0):
            raise TokensError(f"{SCALE} is negative, or 0 at the first frame; give the scale of each segment there")
        return scale

    def _sounds(self, *, last: bool) -> Tensor:
        """Return the sound of all segments that are complete, and keep the rest."""
        starts, total, done = self._scale.nonzero().flatten().tolist(), self._codes.shape[1], 0
        if not total:
            return self.empty
        if not starts or starts[0]:
            raise self._misplaced(f"of over {self.segments.frames} frames")
        complete = []
        for start, stop in zip(starts, [*starts[1:], total], strict=True):
            frames = stop - start
            if frames > self.segments.frames:
                raise self._misplaced(f"of over {self.segments.frames} frames")
            if stop == total and not last and frames < self.segments.frames:
                break
            if stop < total and frames * self.segments.hop < self.segments.stride:
                raise self._misplaced(f"of {frames} frames with another one after it")
            complete.append((self._codes[:, start:stop], float(self._scale[start])))
            done = stop
        results = [self.empty]
        for number in range(0, len(complete), GROUP):
            results += [self._joined(sound) for sound in self.run(complete[number : number + GROUP])]
        self._codes, self._scale = self._codes[:, done:].clone(), self._scale[done:].clone()
        return torch.cat(results, dim=1)

    def _misplaced(self, what: str) -> TokensError:
        return TokensError(f"{SCALE} marks a segment {what}; give the scale of each segment at its first frame only")

    def _joined(self, sound: Tensor) -> Tensor:
        """Return the samples of a segment up to where the next one begins, after fading it in; keep the others."""
        stride = self.segments.stride
        if self._fade is None:
            self._fade = sound.shape[1] - stride + 1
        both = min(self._tail.shape[1], sound.shape[1])
        if both:
            # The weights at step j of the overlap are fade - j - 1 and j + 1, but for a common factor.
            rising = torch.arange(1, both + 1, dtype=torch.float32, device=sound.device) / self._fade
            sound[:, :both] = torch.lerp(self._tail[:, :both], sound[:, :both], rising)
        self._tail = sound[:, stride:].clone()
        return sound[:, :stride]


def _require_open(ended: bool) -> None:
    if ended:
        raise AudioError(one_line("stream", "has ended", "make a new one"))


def _require_rows(piece: Tensor, rows: int) -> None:
    if piece.ndim != 2 or len(piece) != rows:
        raise AudioError(one_line("stream", f"a piece of shape {list(piece.shape)}", f"give [{rows}, n]"))
