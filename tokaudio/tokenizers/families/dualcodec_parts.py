"""The encoder and the quantizer of DualCodec: what is said first, and what that leaves of the sound."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.audio.kaldi_mel import KaldiMel, normalised, paired
from tokaudio.errors import TokensError, one_line
from tokaudio.nn.sinc_resample import SincResample
from tokaudio.nn.ssl.wav2vec2_bert import Wav2Vec2Bert
from tokaudio.nn.stages import Pipeline, Stage, Whole, stage_of
from tokaudio.nn.windows import Windowed, Windows
from tokaudio.quantizers import FactorizedVectorQuantizer
from tokaudio.quantizers.base import QuantizerOutput

# Steps of the speech model per second.
SPEECH_RATE = 50


class HeardFrames(nn.Module):
    """What a speech model hears of sound at 24 kHz, averaged over frames and scaled by fixed statistics.

    Args:
        speech: the speech model; its last layer is used.
        rate: of the sound, in Hz.
        hop_length: samples per frame.

    Attributes:
        mean: of every dimension of the hidden state, over the authors' data `[D]`.
        variance: the same.
        windows: how its stage cuts long signals, in frames; None to wait for the end always.

    Shape:
        input `[B, 1, S]`, output `[B, D, T]`; T is the number of frames that the speech model's steps fill.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, speech: Wav2Vec2Bert, rate: int, hop_length: int) -> None:
        super().__init__()
        self.windows: Windows | None = None
        self.speech, self.hop_length = speech, hop_length
        self.resample, self.mel = SincResample(rate, 16_000), KaldiMel()
        self.steps = hop_length * SPEECH_RATE // rate
        width = speech.sizes.width
        self.register_buffer("mean", torch.zeros(width, dtype=torch.float32))
        self.register_buffer("variance", torch.ones(width, dtype=torch.float32))

    def forward(self, samples: Tensor) -> Tensor:
        """Map `[B, 1, S]` to `[B, D, T]`."""
        frames = normalised(self.mel(self.resample(samples[:, 0])))
        real, odd = frames.shape[1] // 2, frames.shape[1] % 2
        # Half a pair at the end is a step that nothing sees, but that counts in its frame's average.
        heard = self.speech(paired(F.pad(frames, (0, 0, 0, odd))), real=real)
        scaled = (heard - self.mean) / self.variance.sqrt()
        return F.avg_pool1d(scaled.transpose(1, 2), self.steps)

    def stage(self) -> Stage:
        """Return a fresh stage from samples `[n, 1]` to `[T, D]`."""
        return _InFrames(self)

    def rows(self, rows: Tensor) -> Tensor:
        """Map whole frames of samples `[T, hop_length + 1]`, which end with the number of real ones, to `[T', D]`."""
        missing = self.hop_length - int(rows[-1, -1]) if len(rows) else 0
        samples = rows[:, :-1].flatten()
        heard: Tensor = self(samples[None, None, : len(samples) - missing])[0].T
        return heard


class _InFrames:
    """Samples as rows of whole frames, so that windows of them can be cut; the last one is filled up."""

    def __init__(self, heard: HeardFrames) -> None:
        self._heard = heard
        self._whole = Whole(heard.rows) if heard.windows is None else Windowed(heard.rows, heard.windows)
        self._held: Tensor | None = None

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map samples `[n, 1]` to `[T, D]`."""
        hop, width = self._heard.hop_length, self._heard.mean.shape[0]
        samples = block[:, 0] if self._held is None else torch.cat([self._held, block[:, 0]])
        missing = -len(samples) % hop if last else 0
        samples = F.pad(samples, (0, missing))
        count = len(samples) // hop
        self._held = samples[count * hop :].clone()
        rows = F.pad(samples[: count * hop].view(count, hop), (0, 1), value=float(hop))
        if missing:
            rows[-1, -1] = hop - missing
        found = self._whole(rows, last)
        return found if len(found) else block.new_zeros(0, width)


class DualEncoder(nn.Module):
    """What is heard, narrowed, beside what convolutions over the samples give.

    Args:
        heard: the speech model's side.
        narrow: from its width to S dimensions; looks back only.
        acoustic: from samples to A dimensions at the frame rate.
        hop_length: samples per frame.

    Shape:
        input `[B, 1, n]`, output `[B, S + A, T]`; T is what the speech model's side gives.
    """

    def __init__(self, heard: HeardFrames, narrow: nn.Module, acoustic: nn.Module, hop_length: int) -> None:
        super().__init__()
        self.heard, self.narrow, self.acoustic, self.hop_length = heard, narrow, acoustic, hop_length

    def forward(self, samples: Tensor) -> Tensor:
        """Map `[B, 1, n]` to `[B, S + A, T]`."""
        said = self.narrow(self.heard(samples))
        sound = self.acoustic(F.pad(samples, (0, -samples.shape[2] % self.hop_length)))
        return torch.cat([said, sound[..., : said.shape[2]]], dim=1)

    def stage(self) -> Stage:
        """Return a fresh stage from samples `[n, 1]` to `[T, S + A]`."""
        said = Pipeline([self.heard.stage(), stage_of(self.narrow)])
        return _Together(said, stage_of(self.acoustic), self.hop_length)


class _Together:
    """Two stages over the same samples, whose results stand beside each other once both are there."""

    def __init__(self, said: Stage, sound: Stage, hop_length: int) -> None:
        self._said, self._sound, self._hop = said, sound, hop_length
        self._held: tuple[Tensor, Tensor] | None = None
        self._length = 0

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map samples `[n, 1]` to `[T, S + A]`; what only the second gives at the end is left out."""
        self._length += len(block)
        filled = F.pad(block, (0, 0, 0, -self._length % self._hop)) if last else block
        said, sound = self._said(block, last), self._sound(filled, last)
        if self._held is not None:
            said, sound = torch.cat([self._held[0], said]), torch.cat([self._held[1], sound])
        count = min(len(said), len(sound))
        self._held = said[count:].clone(), sound[count:].clone()
        return torch.cat([said[:count], sound[:count]], dim=1)


class DualQuantizer(nn.Module):
    """A codebook of what is said, and residual codebooks of what that leaves of the sound.

    Between them stands a network over time: it makes of the first codes what the others start from. It looks back only.
    Hence it is no [`Quantizer`][tokaudio.quantizers.Quantizer], which works on every frame alone, though it has the
    same methods.

    Args:
        semantic: of S dimensions, one codebook.
        acoustic: of A dimensions.
        widen: from S to A dimensions.

    Shape:
        latents `[B, S + A, T]`, codes `[B, 1 + K, T]`, vectors `[B, A, T]`.
    """

    def __init__(
        self, semantic: FactorizedVectorQuantizer, acoustic: FactorizedVectorQuantizer, widen: nn.Module
    ) -> None:
        super().__init__()
        self.semantic, self.acoustic, self.widen = semantic, acoustic, widen
        self.dim = semantic.dim + acoustic.dim
        self.codebook_sizes = semantic.codebook_sizes + acoustic.codebook_sizes

    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        """Return codes `[B, k, T]` of whole signals `[B, S + A, T]`."""
        count = len(self.codebook_sizes) if num_codebooks is None else num_codebooks
        said, sound = latents.split([self.semantic.dim, self.acoustic.dim], dim=1)
        first = self.semantic.encode(said)
        if count == 1:
            return first
        left = sound - self.widen(self.semantic.decode(first))
        return torch.cat([first, self.acoustic.encode(left, num_codebooks=count - 1)], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return vectors `[B, A, T]` of the codes `[B, k, T]` of whole signals."""
        vectors: Tensor = self.widen(self.semantic.decode(codes[:, :1]))
        return vectors + self.acoustic.decode(codes[:, 1:]) if codes.shape[1] > 1 else vectors

    def codebook(self, index: int) -> Tensor:
        """Return codebook `index` as vectors `[V, S]` (the first) or `[V, A]`."""
        return self.acoustic.codebook(index - 1) if index else self.semantic.codebook(0)

    def check_codes(self, codes: Tensor) -> None:
        """Raise `TokensError` unless every code of `[B, k, T]` is inside its codebook."""
        for book, (row, size) in enumerate(zip(codes.unbind(1), self.codebook_sizes, strict=False)):
            wrong = row[(row < 0) | (row >= size)]
            if len(wrong):
                problem = f"code {int(wrong[0])} of codebook {book} is outside 0..{size - 1}"
                raise TokensError(one_line("codes", problem, "check that they belong to this tokenizer"))

    def forward(self, latents: Tensor, *, num_codebooks: int | None = None) -> QuantizerOutput:
        """Quantize `[B, S + A, T]`; gradients pass straight through the searches."""
        said, sound = latents.split([self.semantic.dim, self.acoustic.dim], dim=1)
        first = self.semantic(said)
        start = self.widen(first.quantized)
        if num_codebooks == 1:
            return QuantizerOutput(start, first.codes, first.loss, first.stats)
        more = None if num_codebooks is None else num_codebooks - 1
        rest = self.acoustic(sound - start, num_codebooks=more)
        codes = torch.cat([first.codes, rest.codes], dim=1)
        return QuantizerOutput(start + rest.quantized, codes, first.loss + rest.loss, {**first.stats, **rest.stats})

    def encoder_stage(self, num_codebooks: int) -> Stage:
        """Return a fresh stage from latents `[n, S + A]` to codes `[n, k]`."""
        return _Coding(self, num_codebooks)

    def decoder_stage(self) -> Stage:
        """Return a fresh stage from codes `[n, k]` to vectors `[n, A]`."""
        return _Uncoding(self)


class _Coding:
    """The search in the course of one signal."""

    def __init__(self, quantizer: DualQuantizer, num_codebooks: int) -> None:
        self._quantizer, self._count = quantizer, num_codebooks
        self._widen = stage_of(quantizer.widen)

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map `[n, S + A]` to codes `[n, k]`."""
        quantizer = self._quantizer
        if not len(block):
            return block.new_zeros(0, self._count, dtype=torch.int64)
        said, sound = (part.T[None] for part in block.split([quantizer.semantic.dim, quantizer.acoustic.dim], dim=1))
        first = quantizer.semantic.encode(said)
        if self._count == 1:
            return first[0].T
        start = self._widen(quantizer.semantic.decode(first)[0].T.contiguous(), last)
        rest = quantizer.acoustic.encode(sound - start.T[None], num_codebooks=self._count - 1)
        return torch.cat([first, rest], dim=1)[0].T


class _Uncoding:
    """The lookup in the course of one signal."""

    def __init__(self, quantizer: DualQuantizer) -> None:
        self._quantizer, self._widen = quantizer, stage_of(quantizer.widen)

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        """Map codes `[n, k]` to `[n, A]`."""
        quantizer, codes = self._quantizer, block.T[None]
        if not len(block):
            return torch.zeros(0, quantizer.acoustic.dim, dtype=torch.float32, device=block.device)
        start = self._widen(quantizer.semantic.decode(codes[:, :1])[0].T.contiguous(), last)
        return start + quantizer.acoustic.decode(codes[:, 1:])[0].T if codes.shape[1] > 1 else start
