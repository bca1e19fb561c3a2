"""What the quality benchmark compares: each system turns speech into a coded form and back.

Needs: tokaudio itself for the tokenizer rows; `codecs_classical` for the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from codecs_classical import codec2, fit, opus
from numpy.typing import NDArray

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Output:
    """What a system makes of one waveform.

    Attributes:
        audio: Reconstruction `[S]` at 16 kHz, as long as the input.
        bits: Size of the coded form.
        codes: Codes `[K, T]` of a tokenizer.
        file_bits: Size of the file that holds it, where that was measured.
    """

    audio: NDArray[np.float32]
    bits: float
    codes: NDArray[np.int64] | None = None
    file_bits: float | None = None


@dataclass(frozen=True)
class System:
    """One row of the table.

    Attributes:
        name: Label of the row.
        run: From a waveform `[S]` at 16 kHz to the system's output.
        codebook_sizes: Number of codes in each codebook, for a tokenizer.
    """

    name: str
    run: Callable[[NDArray[np.float32]], Output]
    codebook_sizes: tuple[int, ...] = ()


def original() -> System:
    """The recordings themselves, as 16-bit PCM."""
    return System("original", lambda audio: Output(audio, 16.0 * len(audio)))


def opus_system(kbps: int) -> System:
    """Opus at a target of `kbps` kbit/s; 6 is the least it offers."""

    def run(audio: NDArray[np.float32]) -> Output:
        coded = opus(audio, kbps=kbps)
        return Output(coded.audio, coded.bits, file_bits=coded.file_bits)

    return System(f"Opus {kbps} kbit/s", run)


def codec2_system(bps: int) -> System:
    """Codec2 at one of its rates, in bit/s."""

    def run(audio: NDArray[np.float32]) -> Output:
        coded = codec2(audio, bps=bps)
        return Output(coded.audio, coded.bits, file_bits=coded.file_bits)

    return System(f"Codec2 {bps} bit/s", run)


def classical() -> list[System]:
    """Opus at 6 kbit/s, the least it offers, and Codec2 at 3200 and 1200 bit/s."""
    return [opus_system(6), codec2_system(3200), codec2_system(1200)]


def tokenizer(name: str, codebooks: Sequence[int] | None = None) -> list[System]:
    """One system per number of codebooks of a tokenizer.

    Args:
        name: Built-in name or folder, as for `Tokenizer.from_pretrained`; systems are called as the name or folder is.
        codebooks: How many codebooks to keep; default all, half and a quarter of them.

    Raises:
        SystemExit: A number is not in 1 to the number of codebooks.
    """
    loaded: Any = importlib.import_module("tokaudio").Tokenizer.from_pretrained(name)
    sizes = tuple(loaded.spec.codebook_sizes)
    counts = list(codebooks or dict.fromkeys(max(1, len(sizes) // part) for part in (1, 2, 4)))
    for count in counts:
        if not 1 <= count <= len(sizes):
            raise SystemExit(f"--codebooks {count}: {loaded.spec.name} has 1 to {len(sizes)}")
    return [
        System(f"{Path(name).name}, {count} of {len(sizes)} codebooks", _coder(loaded, count), sizes[:count])
        for count in counts
    ]


def _coder(loaded: Any, count: int) -> Callable[[NDArray[np.float32]], Output]:
    def run(audio: NDArray[np.float32]) -> Output:
        import torch

        with torch.inference_mode():
            tokens = loaded.encode(torch.from_numpy(np.ascontiguousarray(audio)), sample_rate=SAMPLE_RATE)
            tokens = tokens.select_codebooks(count)
            decoded = loaded.decode(tokens)[0].mean(dim=0).numpy()
        rate = tokens.spec.output_sample_rate
        if rate != SAMPLE_RATE:
            decoded = soxr.resample(decoded, rate, SAMPLE_RATE, quality="HQ")
        codes = tokens.codes[0].numpy()
        bits = sum(-(-codes.shape[1] // codebook.stride) * codebook.bits for codebook in tokens.spec.codebooks)
        return Output(fit(decoded, len(audio)), bits, codes)

    return run
