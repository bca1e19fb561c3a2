"""The first seconds of a recording, as a tokenizer takes them: what is decoded and encoded again must fit in memory."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio import AudioReader, as_audio, resample, to_channels
from tokaudio.spec import TokenizerSpec

MAX_SECONDS = 10.0
"""Of each recording."""


def excerpt(
    audio: Any, sample_rate: int | None, spec: TokenizerSpec, *, max_seconds: float = MAX_SECONDS
) -> NDArray[np.float32]:
    """Return the first seconds of a recording, at a tokenizer's rate and number of channels.

    Args:
        audio: samples `[S]` or `[C, S]`, or the path of a file, of which no more is read.
        sample_rate: of samples, in Hz; None for the tokenizer's, and for a file.
        spec: of the tokenizer.
        max_seconds: that are taken.

    Returns:
        Samples `[C, S]`.

    Raises:
        AudioError: if the audio is unusable.
        AnalysisError: if no time is left, or there are several items.

    Example:
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> excerpt(np.zeros(44_100), 44_100, spec, max_seconds=0.5).shape
        (1, 8000)
    """
    if not max_seconds > 0:
        raise AnalysisError(f"max_seconds is {max_seconds}; give seconds above 0")
    if isinstance(audio, (str, os.PathLike)):
        with AudioReader(audio) as reader:
            sample_rate = reader.sample_rate
            blocks = list(reader.blocks(frames=round(max_seconds * sample_rate)))
        audio = np.concatenate(blocks, axis=1) if blocks else np.zeros((1, 0), np.float32)
    held = as_audio(audio, sample_rate).samples
    if len(held) != 1:
        raise AnalysisError(f"audio has {len(held)} items; give one recording at a time")
    rate = sample_rate or spec.sample_rate
    right, _ = to_channels(held[:, :, : round(max_seconds * rate)].detach().cpu(), spec.channels)
    samples: NDArray[np.float32] = np.ascontiguousarray(resample(right[0].to(torch.float32), rate, spec.sample_rate))
    return samples
