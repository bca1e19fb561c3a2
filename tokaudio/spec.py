"""Frozen facts about a tokenizer: names, rates, codebooks, and all arithmetic about rates and bitrates.

A [`TokenizerSpec`][tokaudio.spec.TokenizerSpec] travels with every [`Tokens`][tokaudio.tokens.Tokens] and lies as
JSON in every token file and checkpoint. Rates are exact fractions, because 44 100 / 512 Hz has no exact decimal.
This module imports nothing but the standard library.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from tokaudio._segments import Segments
from tokaudio._spec_checks import known_fields, require_choice, require_int, require_text
from tokaudio.errors import TokensError

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["semantic", "compression", "hybrid"]
Chunking = Literal["exact", "state", "none"]

_Position = TypeVar("_Position", int, "Tensor")

_MAX_CODEBOOK_SIZE = 2**32
_MAX_CODEBOOKS = 4096


@dataclass(frozen=True)
class CodebookSpec:
    """One codebook of a tokenizer.

    Args:
        size: number of codes V; valid codes are 0 to V - 1.
        stride: frames that one code spans. A codebook with stride 4 has a quarter of the frame rate; in `Tokens` its
            codes are repeated four times, so that all codebooks share one time axis.
        role: what the codebook carries (`semantic`, `acoustic`, ...).

    Raises:
        TokensError: a value of the wrong type or out of range.

    Example:
        >>> CodebookSpec(1024).bits
        10.0
    """

    size: int
    stride: int = 1
    role: str = "acoustic"

    def __post_init__(self) -> None:
        require_int("codebook size", self.size, maximum=_MAX_CODEBOOK_SIZE)
        require_int("codebook stride", self.stride)
        require_text("codebook role", self.role, empty=False)

    @property
    def bits(self) -> float:
        """Bits per code, log2 of the size."""
        return math.log2(self.size)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a JSON-able dictionary.

        Example:
            >>> CodebookSpec(1024).to_dict()
            {'size': 1024, 'stride': 1, 'role': 'acoustic'}
        """
        return {"size": self.size, "stride": self.stride, "role": self.role}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CodebookSpec:
        """Build a codebook from `to_dict()`; fields that have a default may be left out.

        Raises:
            TokensError: unknown, missing or ill-typed fields.

        Example:
            >>> CodebookSpec.from_dict({"size": 1024, "role": "semantic"})
            CodebookSpec(size=1024, stride=1, role='semantic')
        """
        return cls(**known_fields(cls, data, "codebook"))


@dataclass(frozen=True)
class TokenizerSpec:
    """Everything about a tokenizer that does not need its weights.

    Args:
        name: identifier that `Tokenizer.from_pretrained` accepts.
        kind: `semantic`, `compression` or `hybrid`.
        sample_rate: of the audio that is encoded, in Hz; `num_samples` is always counted at this rate.
        hop_length: samples per frame, at `sample_rate`.
        codebooks: one `CodebookSpec` per codebook, in residual order where there is one.
        decode_sample_rate: of the decoded audio in Hz, where it differs from `sample_rate`.
        channels: audio channels.
        causal: whether a code depends on no later sample than its frame's last.
        chunking: `exact` (pieces with overlap give the codes of the whole), `state` (they do when a state is carried
            along), or `none`.
        licence: of the weights.
        paper: identifier of the publication.
        origin: where the weights come from.
        frame_multiple: a signal is filled up to so many frames, or a multiple of it.
        least_padding: zero samples that follow the last sample at least, before that; below zero, where so many
            samples at the end (less than two hops) have no frame, unless there is no other.
        codebook_indices: which codebooks of the full tokenizer these are; empty where they are its first ones.
            Set by `select`, so that codes 2 and 5 are never decoded as codes 0 and 1.
        segment_length: samples of the segments that are coded each alone (EnCodec 48 kHz); None for one whole signal.
        segment_stride: samples from the start of one segment to the start of the next.

    Raises:
        TokensError: a value of the wrong type or out of range.

    Example:
        >>> spec = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),) * 8)
        >>> spec.frame_rate, spec.token_rate, spec.bitrate_kbps
        (Fraction(50, 1), Fraction(400, 1), 4.0)
    """

    name: str
    kind: Kind
    sample_rate: int
    hop_length: int
    codebooks: tuple[CodebookSpec, ...]
    decode_sample_rate: int | None = None
    channels: int = 1
    causal: bool = False
    chunking: Chunking = "none"
    licence: str = ""
    paper: str = ""
    origin: str = ""
    frame_multiple: int = 1
    least_padding: int = 0
    codebook_indices: tuple[int, ...] = ()
    segment_length: int | None = None
    segment_stride: int | None = None

    def __post_init__(self) -> None:
        require_text("name", self.name, empty=False)
        require_choice("kind", self.kind, get_args(Kind))
        require_choice("chunking", self.chunking, get_args(Chunking))
        require_int("sample_rate", self.sample_rate)
        require_int("hop_length", self.hop_length)
        require_int("channels", self.channels)
        require_int("frame_multiple", self.frame_multiple)
        require_int("least_padding", self.least_padding, minimum=1 - 2 * self.hop_length)
        if self.decode_sample_rate is not None:
            require_int("decode_sample_rate", self.decode_sample_rate)
        if not isinstance(self.causal, bool):
            raise TokensError(f"causal is {self.causal!r}; give True or False")
        for field in ("licence", "paper", "origin"):
            require_text(field, getattr(self, field), empty=True)
        if not isinstance(self.codebooks, (tuple, list)) or not isinstance(self.codebook_indices, (tuple, list)):
            raise TokensError("codebooks and codebook_indices must be sequences; give tuples")
        object.__setattr__(self, "codebooks", tuple(self.codebooks))
        if not all(isinstance(codebook, CodebookSpec) for codebook in self.codebooks):
            raise TokensError("codebooks holds something else than codebooks; give one CodebookSpec per codebook")
        if not 1 <= len(self.codebooks) <= _MAX_CODEBOOKS:
            raise TokensError(f"a tokenizer with {len(self.codebooks)} codebooks; give 1 to {_MAX_CODEBOOKS}")
        object.__setattr__(self, "codebook_indices", self._canonical_indices())
        self._check_segments()

    def _canonical_indices(self) -> tuple[int, ...]:
        indices = tuple(self.codebook_indices)
        if not indices:
            return ()
        for index in indices:
            require_int("codebook index", index, minimum=0)
        if len(indices) != len(self.codebooks) or any(b <= a for a, b in itertools.pairwise(indices)):
            raise TokensError(f"codebook_indices is {list(indices)}; give one per codebook, in increasing order")
        return () if indices == tuple(range(len(indices))) else indices

    def _check_segments(self) -> None:
        if self.segment_length is None and self.segment_stride is None:
            return
        for field in ("segment_length", "segment_stride"):
            require_int(field, getattr(self, field))
        if (self.frame_multiple, self.least_padding, self.stride_period) != (1, 0, 1) or self.decode_sample_rate:
            raise TokensError("segments go with frames of one hop at one rate; leave padding, strides and rates out")
        _ = self.segments  # which judges whether they fit together

    @property
    def segments(self) -> Segments | None:
        """Where the segments of a signal lie; None where a signal is coded as a whole."""
        if self.segment_length is None or self.segment_stride is None:
            return None
        return Segments(self.segment_length, self.segment_stride, self.hop_length)

    @property
    def num_codebooks(self) -> int:
        """Number of codebooks K."""
        return len(self.codebooks)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each codebook."""
        return tuple(codebook.size for codebook in self.codebooks)

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second, exact; where there are segments, within one: what they overlap is coded twice."""
        return Fraction(self.sample_rate, self.hop_length)

    @property
    def stride_period(self) -> int:
        """Frames after which the codes of all codebooks begin together: the least common multiple of the strides."""
        return math.lcm(*(codebook.stride for codebook in self.codebooks))

    @property
    def cut_period(self) -> int:
        """Frames after which tokens can be cut and joined: slow codes and segments stay whole."""
        return self.stride_period if self.segments is None else self.segments.frames

    @property
    def token_rate(self) -> Fraction:
        """Codes per second over all codebooks, exact; a slow codebook counts one code per stride."""
        return sum((self.frame_rate / codebook.stride for codebook in self.codebooks), Fraction(0))

    @property
    def bitrate_bps(self) -> float:
        """Bits per second, without entropy coding."""
        return float(self.frame_rate) * math.fsum(codebook.bits / codebook.stride for codebook in self.codebooks)

    @property
    def bitrate_kbps(self) -> float:
        """Thousands of bits per second, without entropy coding."""
        return self.bitrate_bps / 1000

    @property
    def output_sample_rate(self) -> int:
        """Sample rate of decoded audio in Hz."""
        return self.sample_rate if self.decode_sample_rate is None else self.decode_sample_rate

    @property
    def code_dtype(self) -> Literal["uint8", "uint16", "uint32"]:
        """Name of the smallest unsigned integer type that holds every code."""
        largest = max(self.codebook_sizes)
        return "uint8" if largest <= 2**8 else "uint16" if largest <= 2**16 else "uint32"

    def num_frames(self, num_samples: int) -> int:
        """Return the frames that cover `num_samples` samples, the last one possibly in part.

        Raises:
            TokensError: a negative number of samples.

        Example:
            >>> spec = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),))
            >>> spec.num_frames(320), spec.num_frames(321)
            (1, 2)
        """
        require_int("num_samples", num_samples, minimum=0, maximum=2**63 - 1)
        if num_samples == 0:
            return 0
        if self.segments is not None:
            return self.segments.num_frames(num_samples)
        step = self.hop_length * self.frame_multiple
        return max(1, -(-(num_samples + self.least_padding) // step)) * self.frame_multiple

    def decoded_length(self, num_samples: int) -> int:
        """Return the samples of decoded sound, at `output_sample_rate`, of a signal of `num_samples` samples.

        Raises:
            TokensError: a negative number of samples.

        Example:
            >>> books = (CodebookSpec(65_536),)
            >>> TokenizerSpec("neucodec", "hybrid", 16_000, 320, books, decode_sample_rate=24_000).decoded_length(321)
            482
        """
        require_int("num_samples", num_samples, minimum=0, maximum=2**63 - 1)
        return -(-num_samples * self.output_sample_rate // self.sample_rate)

    def num_samples_bounds(self, num_frames: int) -> tuple[int, int]:
        """Return the least and the greatest number of samples that are encoded in `num_frames` frames.

        Raises:
            TokensError: a negative number of frames, or one that no signal has.

        Example:
            >>> spec = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),))
            >>> spec.num_samples_bounds(2)
            (321, 640)
        """
        require_int("num_frames", num_frames, minimum=0, maximum=2**63 - 1)
        if num_frames == 0:
            return 0, 0
        if self.segments is not None:
            least, most = self.segments.num_samples_bounds(num_frames)
        else:
            most = num_frames * self.hop_length - self.least_padding
            first = num_frames == self.frame_multiple
            least = 1 if first else max(most - self.frame_multiple * self.hop_length, 0) + 1
        if num_frames % self.frame_multiple or most < least:
            raise TokensError(f"{self.name} gives no signal {num_frames} frames; check the number")
        return least, most

    def frame_start(self, frame: _Position) -> _Position:
        """Return the sample at which a frame begins, of an integer or a tensor of integers.

        Where segments overlap, the first frames of one begin before the last ones of the segment before it. Only the
        frames of a segment whose predecessor is short (it is then the last one, of less than a frame) begin earlier.

        Example:
            >>> spec = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),))
            >>> spec.frame_start(2)
            640
        """
        return frame * self.hop_length if self.segments is None else self.segments.frame_start(frame)

    def select(self, codebooks: int | Sequence[int]) -> TokenizerSpec:
        """Return the spec of fewer codebooks: the first `codebooks`, or those with the given increasing indices.

        Raises:
            TokensError: a number or an index that does not exist, or indices that do not increase.

        Example:
            >>> spec = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),) * 8)
            >>> spec.select(2).bitrate_kbps
            1.0
        """
        positions = self.codebook_positions(codebooks)
        before = self.codebook_indices or tuple(range(self.num_codebooks))
        return dataclasses.replace(
            self,
            codebooks=tuple(self.codebooks[p] for p in positions),
            codebook_indices=tuple(before[p] for p in positions),
        )

    def codebook_positions(self, codebooks: int | Sequence[int]) -> tuple[int, ...]:
        """Return the checked positions that a `codebooks` argument means: a count of first ones, or indices.

        Raises:
            TokensError: a number or an index that does not exist, or indices that do not increase.

        Example:
            >>> spec = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),) * 8)
            >>> spec.codebook_positions(3), spec.codebook_positions([0, 7])
            ((0, 1, 2), (0, 7))
        """
        total = self.num_codebooks
        if isinstance(codebooks, int):
            if isinstance(codebooks, bool) or not 1 <= codebooks <= total:
                raise TokensError(
                    f"{codebooks!r} codebooks asked of {self.name}, which has {total}; ask for 1 to {total}"
                )
            return tuple(range(codebooks))
        positions = tuple(codebooks)
        known = all(isinstance(p, int) and not isinstance(p, bool) and 0 <= p < total for p in positions)
        if not positions or not known or any(b <= a for a, b in itertools.pairwise(positions)):
            raise TokensError(
                f"codebooks {list(positions)} asked of {self.name}; give increasing indices from 0 to {total - 1}"
            )
        return positions

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as a dictionary that `json` can write.

        Example:
            >>> spec = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),))
            >>> spec.to_dict()["codebooks"]
            [{'size': 1024, 'stride': 1, 'role': 'acoustic'}]
        """
        data = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        data["codebooks"] = [codebook.to_dict() for codebook in self.codebooks]
        data["codebook_indices"] = list(self.codebook_indices)
        if self.segments is None:
            # Left out where they say nothing: files of all other tokenizers stay readable by earlier versions.
            del data["segment_length"], data["segment_stride"]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TokenizerSpec:
        """Build a spec from `to_dict()`, or from JSON; fields that have a default may be left out.

        Raises:
            TokensError: unknown, missing or ill-typed fields.

        Example:
            >>> spec = TokenizerSpec("mini-codec", "compression", 16_000, 320, (CodebookSpec(1024),))
            >>> TokenizerSpec.from_dict(spec.to_dict()) == spec
            True
        """
        fields = known_fields(cls, data, "spec")
        if not isinstance(fields["codebooks"], (list, tuple)):
            raise TokensError("the field codebooks of the spec is not a list; give one dictionary per codebook")
        if len(fields["codebooks"]) > _MAX_CODEBOOKS:
            raise TokensError(f"a tokenizer with over {_MAX_CODEBOOKS} codebooks; give 1 to {_MAX_CODEBOOKS}")
        fields["codebooks"] = tuple(CodebookSpec.from_dict(codebook) for codebook in fields["codebooks"])
        return cls(**fields)
