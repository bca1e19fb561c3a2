"""S3Tokenizer 1, 2 and 3 (arXiv:2407.05407, arXiv:2412.10117, arXiv:2505.17589): supervised semantic tokens.

The first half of a speech recogniser's encoder with a quantizer in the middle. It sees a window of 30 s at once; longer
sound goes through windows that overlap by 4 s and are joined where the overlap is half over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.audio.blocks import BlockStream
from tokaudio.audio.log_mel import HOP, RATE, SHORTEST, LogMel, scaled
from tokaudio.errors import CheckpointError
from tokaudio.nn.speech_encoder import SpeechEncoder
from tokaudio.quantizers import FiniteScalarQuantizer, Quantizer, VectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.codec import check_samples
from tokaudio.tokenizers.encode_only import EncodeOnly
from tokaudio.tokenizers.families import s3tokenizer_files as files
from tokaudio.tokenizers.published import PublishedSource, build
from tokaudio.tokens import Tokens

# In mel frames of 10 ms.
WINDOW, OVERLAP = 3000, 400
_BLOCK_SECONDS = 10


class TernaryQuantizer(FiniteScalarQuantizer):
    """Finite scalar quantization of every dimension to three levels, with published bounds just inside of +-1.

    Example:
        >>> TernaryQuantizer(2).encode(torch.tensor([[[-9.0, 9.0], [0.5, 0.6]]]))
        tensor([[[3, 8]]])
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, (3,) * dim)

    def bound(self, rows: Tensor) -> Tensor:
        """Squash rows `[..., dim]`; the factor is float32's 0.999."""
        return torch.tanh(rows) * 0.9990000128746033


class UnitVectors(nn.Module):
    """Divides vectors `[..., D]` by their lengths.

    Example:
        >>> UnitVectors()(torch.tensor([3.0, 4.0]))
        tensor([0.6000, 0.8000])
    """

    def forward(self, vectors: Tensor) -> Tensor:
        """Map `[..., D]` to `[..., D]`."""
        return F.normalize(vectors, dim=-1)


class S3Tokenizer(EncodeOnly):
    """S3Tokenizer 1 (vector quantization), 2 and 3 (finite scalar quantization); encodes only.

    `features` are what the encoder gives, D wide; `embed` and `codebooks` are in the space of the search: unit vectors
    D wide in version 1, values of -1, 0 and 1 in eight dimensions later.

    Example:
        >>> network = {"mels": 80, "width": 64, "layers": 1, "stride": 2, "positions": 0, "memory": 31}
        >>> spec = TokenizerSpec("tiny", "semantic", 16_000, 640, (CodebookSpec(6561, role="semantic"),))
        >>> tokenizer = S3Tokenizer.from_config({"network": network, "spec": spec.to_dict()}).eval()
        >>> tokenizer.encode(torch.zeros(16_000), 16_000).codes.shape
        torch.Size([1, 1, 25])
    """

    FAMILY = "s3tokenizer"
    TITLE = "S3Tokenizer"
    use_instead: ClassVar[str] = "make sound with the CosyVoice models (flow matching and vocoder) of the same release"

    def __init__(self, spec: TokenizerSpec, network: Mapping[str, int]) -> None:
        """Make an untrained tokenizer.

        Args:
            spec: its facts; hop and codebook must agree with the network.
            network: arguments of [`SpeechEncoder`][tokaudio.nn.speech_encoder.SpeechEncoder]; with `positions` it is
                version 1.

        Raises:
            CheckpointError: if the parts do not agree.
        """
        super().__init__(spec)
        self.network = dict(network)
        self.mel = LogMel(self.network["mels"])
        self.encoder = SpeechEncoder(**self.network)
        width = self.network["width"]
        self.head: nn.Module
        self.quantizer: Quantizer
        if self.network["positions"]:
            self.head = UnitVectors()
            self.quantizer = VectorQuantizer(width, spec.codebook_sizes[0], learning="gradient")
        else:
            self.head = nn.Linear(width, files.DIGITS)
            self.quantizer = TernaryQuantizer(files.DIGITS)
        for name, facts, parts in (
            ("sample_rate", spec.sample_rate, RATE),
            ("channels", spec.channels, 1),
            ("hop_length", spec.hop_length, 2 * HOP * self.network["stride"]),
            ("codebook sizes", spec.codebook_sizes, self.quantizer.codebook_sizes),
        ):
            if facts != parts:
                raise CheckpointError(f"{spec.name}: {name} is {facts} in the spec and {parts} in the network")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> S3Tokenizer:
        """Make an untrained tokenizer from what `config.json` holds.

        Raises:
            CheckpointError: if a field is missing or unknown.
        """
        try:
            return cls(TokenizerSpec.from_dict(config["spec"]), config["network"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the configuration does not fit S3Tokenizer: {error}") from error

    def config(self) -> dict[str, Any]:
        """Return the family's name and sizes."""
        return {"family": self.FAMILY, "network": dict(self.network)}

    @classmethod
    def recognises(cls, source: PublishedSource) -> bool:
        """Return whether files are of S3Tokenizer."""
        return files.is_s3tokenizer(source)

    @classmethod
    def from_published(cls, source: PublishedSource) -> S3Tokenizer:
        """Load a published ONNX model, or the state dict that the package `s3tokenizer` makes of versions 2 and 3.

        Raises:
            CheckpointError: if a tensor is missing, unknown, misshapen or non-finite, or the sizes do not fit.
        """
        tensors, strides = files.our_tensors(source)
        network = files.sizes(tensors, strides, str(source.path))
        facts = files.facts(source, network)
        spec = TokenizerSpec(
            name=facts.name,
            kind="semantic",
            sample_rate=RATE,
            hop_length=2 * HOP * network["stride"],
            codebooks=(CodebookSpec(files.codebook_size(tensors), role="semantic"),),
            licence=facts.licence,
            paper=facts.paper,
            origin=facts.origin,
        )
        config = {"network": network, "spec": spec.to_dict()}
        return build(lambda: cls.from_config(config), tensors, str(source.path))

    # --- the contract ----------------------------------------------------------------------------------------------

    def padded_length(self, num_samples: int) -> int:
        """Return the samples that a signal is filled up to with zeros, so that its last frame in part has a code.

        A rest of less than one mel frame would have none; everything else stays as it is.
        """
        rest = num_samples % self.spec.hop_length
        return max(num_samples + (HOP - rest if 0 < rest < HOP else 0), -(-SHORTEST // HOP) * HOP)

    def codebooks(self) -> list[Tensor]:
        """Return the codebook as vectors `[V, D]`."""
        return [self.quantizer.codebook(0).detach()]

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        stream = self._encoder_stream(num_codebooks)
        return torch.cat([stream.push(samples), stream.flush()], dim=1)

    def _features(self, samples: Tensor) -> Tensor:
        empty = torch.zeros(self.network["width"], 0, dtype=torch.float32, device=self.device)
        stream = self._stream(lambda hidden: hidden, empty)
        return torch.cat([stream.push(samples), stream.flush()], dim=1)

    def _embed(self, codes: Tensor) -> Tensor:
        return self.quantizer.decode(codes)

    def _no_features(self) -> Tensor:
        return torch.zeros(0, self.network["width"], dtype=torch.float32, device=self.device)

    def _encoder_stream(self, num_codebooks: int) -> BlockStream:
        return self._stream(self._codes, self._no_codes(num_codebooks))

    def _stream(self, finish: Callable[[Tensor], Tensor], empty: Tensor) -> BlockStream:
        return BlockStream(
            _Windows(self, finish, empty.T),
            1,
            _BLOCK_SECONDS * RATE,
            empty,
            device=self.device,
            padded_length=self.padded_length,
            check=check_samples,
        )

    def _codes(self, hidden: Tensor) -> Tensor:
        """Return codes `[T, 1]` of the encoder's vectors `[T, D]`."""
        return self.quantizer.encode(self.head(hidden).T[None])[0].T

    def _tokens(self, codes: list[Tensor], num_samples: list[int], k: int, provenance: dict[str, str]) -> Tokens:
        if max(num_samples, default=0) >= (WINDOW + 1) * HOP:
            seconds = f"{WINDOW * HOP // RATE} s, overlap {OVERLAP * HOP // RATE} s, joined at its middle"
            provenance = {**provenance, "windows": seconds}
        return super()._tokens(codes, num_samples, k, provenance)


class _Windows:
    """The tokenizer in the course of one signal: it keeps the mel frames, and works when the signal has ended.

    The scale of the spectrogram depends on its loudest value, which only the end tells. Then one window after the
    other goes through the network.
    """

    def __init__(self, tokenizer: S3Tokenizer, finish: Callable[[Tensor], Tensor], empty: Tensor) -> None:
        self._tokenizer, self._finish, self._empty = tokenizer, finish, empty
        self._mel = tokenizer.mel.stage()
        self._kept: list[Tensor] = []

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Take samples `[n, 1]`; at the end return what `finish` makes of all vectors `[T, D]`."""
        self._kept.append(self._mel(block, last))
        if not last:
            return self._empty
        raw = torch.cat(self._kept)
        self._kept.clear()
        loudest, step, results = raw.max(), 2 * self._tokenizer.network["stride"], []
        for start, stop, first, count in windows(len(raw), step):
            hidden = self._tokenizer.encoder(scaled(raw[start:stop], loudest)[None])[0]
            results.append(self._finish(hidden[first // step :][:count]))
        return torch.cat(results)


def windows(frames: int, step: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield for every window over so many mel frames where it starts and stops, and what it leaves out and gives.

    Windows of 30 s begin every 26 s. Each gives the codes from 2 s after its start up to 2 s after the next one's
    start. (The published package counts the second limit from a window's end instead, and so loses up to 4 s where the
    last window but one is cut off by the end of the signal; those codes are kept here.)

    Args:
        frames: mel frames.
        step: mel frames per code.

    Yields:
        Start and stop in mel frames, mel frames after the start that are left out, and the number of codes.

    Example:
        >>> list(windows(5300, 4))
        [(0, 3000, 0, 700), (2600, 5300, 200, 625)]
    """
    stride, half = WINDOW - OVERLAP, OVERLAP // 2
    starts = list(range(0, max(1, frames - half), stride)) if frames > WINDOW else [0]
    for index, start in enumerate(starts):
        stop = min(start + WINDOW, frames)
        first = half if index else 0
        until = start + stride + half if index + 1 < len(starts) else stop
        yield start, stop, first, -(-(until - start - first) // step)
