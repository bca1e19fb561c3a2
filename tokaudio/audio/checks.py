"""What counts as usable audio: the limits, and the checks that every sample passes on its way in.

The checks work on one block at a time, so that a file of any length is judged while it is streamed.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tokaudio.errors import AudioError, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

MIN_SAMPLE_RATE = 1_000
"""Lowest sample rate that is accepted, in Hz."""
MAX_SAMPLE_RATE = 768_000
"""Highest sample rate that is accepted, in Hz."""
MAX_CHANNELS = 32
"""Most channels that one item may have."""
MAX_PEAK = 64.0
"""Largest magnitude that still passes as audio in [-1, 1]; beyond it the samples are unscaled integers or garbage."""


def check_rate(sample_rate: object, where: str = "audio") -> int:
    """Return the sample rate in Hz as an `int`, if it is a whole number between 1 000 and 768 000.

    Args:
        sample_rate: The rate in Hz; whole floats and numpy integers are fine.
        where: What the error message names, usually the file.

    Raises:
        AudioError: If it is not a whole number or lies outside `MIN_SAMPLE_RATE` to `MAX_SAMPLE_RATE`.

    Example:
        >>> check_rate(44100.0)
        44100
    """
    try:
        if isinstance(sample_rate, (bool, np.bool_)):
            raise TypeError
        whole = isinstance(sample_rate, (float, np.floating)) and float(sample_rate).is_integer()
        rate = int(sample_rate) if whole else operator.index(sample_rate)  # type: ignore[call-overload,arg-type]
    except TypeError:
        problem = f"the sample rate {sample_rate!r} is not a whole number"
        raise AudioError(one_line(where, problem, "give the rate in Hz, for example 16000")) from None
    if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
        problem = f"the sample rate of {rate} Hz is outside {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        raise AudioError(one_line(where, problem, "write the file again with its true rate"))
    return rate


def check_channels(channels: int, where: str = "audio") -> int:
    """Return the number of channels, if it is between 1 and `MAX_CHANNELS`.

    Raises:
        AudioError: If there are no channels, or more than 32.

    Example:
        >>> check_channels(6)
        6
    """
    if not 1 <= channels <= MAX_CHANNELS:
        problem = f"{channels} channels, but 1 to {MAX_CHANNELS} are accepted"
        raise AudioError(one_line(where, problem, "pick the channels you need (the last axis is time)"))
    return channels


def check_block(samples: Tensor | NDArray[Any], where: str = "audio", *, offset: int = 0) -> None:
    """Refuse a block of floating-point samples that holds a NaN, an Inf, or values far outside [-1, 1].

    Args:
        samples: Floating-point samples `[..., S]`, a tensor or a numpy array; an empty block passes.
        where: What the error message names, usually the file.
        offset: Position of the first sample of the block in its file, in samples per channel, for the message.

    Raises:
        AudioError: If a sample is not finite, or if the peak exceeds `MAX_PEAK` (64).

    Example:
        >>> check_block(np.zeros((1, 4), dtype=np.float32))
        >>> check_block(np.array([0.0, np.nan]), "in.wav", offset=100)
        Traceback (most recent call last):
        tokaudio.errors.AudioError: in.wav: sample 101 is nan; repair or drop the file, samples must be finite
    """
    if 0 in samples.shape:
        return
    # A NaN survives min() and max(), so that two reductions tell everything.
    if isinstance(samples, np.ndarray):
        low, high = float(samples.min()), float(samples.max())
    else:
        low, high = (float(v) for v in torch.aminmax(samples.detach()))
    if math.isfinite(low) and math.isfinite(high):
        peak = max(-low, high)
        if peak > MAX_PEAK:
            problem = f"the peak is {peak:.6g}, but samples must lie in [-1, 1]"
            raise AudioError(one_line(where, problem, "divide by 32768 if these are 16-bit integers held as floats"))
        return
    array = samples if isinstance(samples, np.ndarray) else samples.detach().cpu().double().numpy()
    bad = np.argwhere(~np.isfinite(array))
    first = bad[np.argmin(bad[:, -1])]
    problem = f"sample {offset + int(first[-1])} is {float(array[tuple(first)])}"
    raise AudioError(one_line(where, problem, "repair or drop the file, samples must be finite"))
