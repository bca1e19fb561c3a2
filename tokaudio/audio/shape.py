"""The one place that judges ranks, channels and dtypes of audio.

Everything that holds sound, from a list of numbers to a file name, becomes the same thing here: float32 samples
`[B, C, S]` in about [-1, 1]. What had to be done to get there is said in `Audio.notes`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokaudio.audio.checks import MAX_CHANNELS, check_block, check_channels, check_rate
from tokaudio.errors import AudioError, one_line

__all__ = ["Audio", "as_audio", "check_block", "to_channels"]

_PCM_BITS = {torch.uint8: 8, torch.int8: 8, torch.int16: 16, torch.int32: 32}
_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_WHERE = "audio"


@dataclass(frozen=True)
class Audio:
    """Sound in the one form that the rest of the package takes.

    Attributes:
        samples: float32 `[B, C, S]`, finite, nominally in [-1, 1].
        sample_rate: Rate in Hz, or `None` where the caller did not say.
        notes: What was done to the input to bring it into this form, one phrase per step.

    Example:
        >>> Audio(torch.zeros(1, 1, 16000), 16000).samples.shape
        torch.Size([1, 1, 16000])
    """

    samples: Tensor
    sample_rate: int | None = None
    notes: tuple[str, ...] = ()


def as_audio(audio: Any, sample_rate: int | None = None) -> Audio:
    """Turn a tensor, an array, nested lists of numbers or a file into float32 samples `[B, C, S]`.

    One axis is `[S]`, two are one item `[C, S]` (or `[S, C]` as soundfile returns it, if the last axis is at most
    `MAX_CHANNELS` and the first is longer than that), three are `[B, C, S]`. Integers of 8, 16 and 32 bits are PCM
    and are scaled to [-1, 1); in `uint8` 128 is zero. Lists of Python numbers are taken as they are.

    Args:
        audio: `torch.Tensor`, `numpy.ndarray`, anything with `__array__`, nested lists, or the path of a file.
        sample_rate: Rate of the samples in Hz. For a file it is read from the file, and must agree if given.

    Returns:
        The samples, the rate, and notes on what was done. Tensors keep their device; float32 is not copied.

    Raises:
        AudioError: For other dtypes or ranks, no or too many channels, a rate out of range, NaN, Inf, a peak above
            64, or a file that cannot be used.

    Example:
        >>> as_audio(np.array([[0], [16384]] * 50, dtype=np.int16), 8000).notes
        ('int16 scaled by 1/32768', 'read as [S, C] and transposed to [1, 100]')
    """
    rate = None if sample_rate is None else check_rate(sample_rate, _WHERE)
    if isinstance(audio, (str, os.PathLike)):
        return _from_file(audio, rate)
    samples, notes = _to_float(_to_tensor(audio))
    samples, shape_notes = _to_three_axes(samples)
    check_channels(samples.shape[1], _WHERE)
    check_block(samples, _WHERE)
    return Audio(samples, rate, notes + shape_notes)


def to_channels(samples: Tensor, channels: int) -> tuple[Tensor, str]:
    """Bring samples to a number of channels: down to one by the mean, up from one by repetition.

    Args:
        samples: `[B, C, S]`.
        channels: The number wanted.

    Returns:
        The samples `[B, channels, S]`, and a note on what was done (empty if nothing was).

    Raises:
        AudioError: If neither number is one and they differ, since no mapping is the obvious one.

    Example:
        >>> to_channels(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]), 1)
        (tensor([[[0.5000, 0.0000]]]), '2 channels averaged to 1')
    """
    have = samples.shape[1]
    if have == channels:
        return samples, ""
    if channels == 1:
        # Added one by one, so that a stream of blocks and the whole give the same bits.
        total = samples[:, 0].clone()
        for channel in range(1, have):
            total += samples[:, channel]
        return (total / have).unsqueeze(1), f"{have} channels averaged to 1"
    if have == 1:
        return samples.expand(-1, channels, -1).contiguous(), f"1 channel repeated to {channels}"
    problem = f"{have} channels, but {channels} are wanted"
    raise AudioError(one_line(_WHERE, problem, f"give 1 or {channels} channels"))


def _from_file(path: str | os.PathLike[str], rate: int | None) -> Audio:
    """Read a whole file, and hold the caller to the rate he gave."""
    from tokaudio.audio.io import read_audio

    samples, file_rate = read_audio(path)
    if rate is not None and rate != file_rate:
        problem = f"the file is at {file_rate} Hz, but sample_rate={rate} was given"
        raise AudioError(one_line(path, problem, "leave sample_rate out, the file knows its own"))
    return Audio(samples.unsqueeze(0), file_rate)


def _to_tensor(audio: Any) -> Tensor:
    """Return a strided tensor over the samples, without a copy where that is possible."""
    if isinstance(audio, Tensor):
        if audio.layout != torch.strided or audio.is_quantized or audio.is_nested:
            raise AudioError(one_line(_WHERE, "the tensor is sparse, nested or quantized", "give a dense tensor"))
        return audio
    listed = isinstance(audio, (list, tuple))
    try:
        array = np.asarray(audio)
    except (ValueError, TypeError, RuntimeError):
        problem = "the nested lists are ragged or mixed"
        raise AudioError(one_line(_WHERE, problem, "give [S], [C, S] or [B, C, S], and the rate apart")) from None
    if listed and array.dtype.kind in "iu":
        array = array.astype(np.float32)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or array.dtype.name in ("uint16", "uint32", "uint64"):
        raise _bad_dtype(array.dtype.name)
    array = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _bad_dtype(name: str) -> AudioError:
    remedy = "give float32 in [-1, 1], or PCM as uint8, int8, int16 or int32"
    return AudioError(one_line(_WHERE, f"{name} samples are not audio", remedy))


def _to_float(samples: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """Return float32 samples; scale PCM by its full range (division by a power of two is exact up to rounding)."""
    if samples.dtype in _FLOATS:
        if samples.dtype == torch.float64:
            # Before the cast, so that 1e300 is refused for its size and not as an Inf that the caller never gave.
            check_block(samples, _WHERE)
        return samples.to(torch.float32), ()
    bits = _PCM_BITS.get(samples.dtype)
    name = str(samples.dtype).removeprefix("torch.")
    if bits is None:
        raise _bad_dtype(name)
    full = 2 ** (bits - 1)
    if samples.dtype == torch.uint8:
        return (samples.to(torch.float32) - full) / full, (f"{name} scaled: 128 is zero, then by 1/{full}",)
    return samples.to(torch.float32) / full, (f"{name} scaled by 1/{full}",)


def _to_three_axes(samples: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """Return `[B, C, S]`; the only guess made is `[S, C]`, where `[C, S]` could not be meant."""
    if samples.ndim == 1:
        return samples[None, None], ()
    if samples.ndim == 2:
        first, last = samples.shape
        if first > MAX_CHANNELS and 1 <= last <= MAX_CHANNELS:
            return samples.T.contiguous()[None], (f"read as [S, C] and transposed to [{last}, {first}]",)
        return samples[None], ()
    if samples.ndim == 3:
        if samples.shape[0] == 0:
            raise AudioError(one_line(_WHERE, "the batch holds no item", "give at least one"))
        return samples, ()
    problem = f"{samples.ndim} axes {list(samples.shape)}"
    raise AudioError(one_line(_WHERE, problem, "give [S], [C, S] or [B, C, S]"))
