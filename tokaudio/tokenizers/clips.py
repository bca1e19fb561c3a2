"""Whatever a caller passes as audio, cut into clips at a tokenizer's rate and number of channels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from tokaudio.audio import as_audio, resample, to_channels
from tokaudio.errors import AudioError
from tokaudio.spec import TokenizerSpec


def split_clips(
    audio: Any, sample_rate: int | None, num_samples: Sequence[int] | Tensor | None, spec: TokenizerSpec
) -> tuple[list[Tensor], bool]:
    """Return clips `[C, S]` for a tokenizer, and whether any had to be resampled.

    Args:
        audio: anything that `as_audio` takes, or a list of such clips.
        sample_rate: of the samples in Hz; None for the tokenizer's own, or the file's.
        num_samples: real samples of each item of a right-padded batch `[B]`, counted at `sample_rate`.
        spec: of the tokenizer.

    Raises:
        AudioError: if the audio is unusable, or `num_samples` does not fit it.

    Example:
        >>> import torch
        >>> from tokaudio.spec import CodebookSpec
        >>> spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(8),))
        >>> clips, resampled = split_clips([torch.zeros(8), torch.zeros(2, 12)], 8_000, None, spec)
        >>> [list(clip.shape) for clip in clips], resampled
        ([[1, 16], [1, 24]], True)
    """
    items: list[Tensor] = []
    resampled = False
    for clip in audio if _is_list_of_clips(audio) else [audio]:
        judged = as_audio(clip, sample_rate)
        samples, _ = to_channels(judged.samples, spec.channels)
        rate = judged.sample_rate or spec.sample_rate
        resampled = resampled or rate != spec.sample_rate
        items.extend(_at_rate(item.detach(), rate, spec.sample_rate) for item in _cut(samples, num_samples))
    return items, resampled


def raw_clips(
    audio: Any, sample_rate: int | None, num_samples: Sequence[int] | Tensor | None, *, default: int
) -> Iterator[tuple[Tensor, int]]:
    """Yield clips `[C, S]` as they are, each with its rate in Hz.

    Args:
        audio: as for `split_clips`.
        sample_rate: as for `split_clips`.
        num_samples: as for `split_clips`.
        default: rate of samples of which nothing else is known, in Hz.

    Raises:
        AudioError: as for `split_clips`.

    Example:
        >>> import torch
        >>> [(list(clip.shape), rate) for clip, rate in raw_clips(torch.zeros(3, 2, 8), None, [8, 4, 0], default=8_000)]
        [([2, 8], 8000), ([2, 4], 8000), ([2, 0], 8000)]
    """
    for clip in audio if _is_list_of_clips(audio) else [audio]:
        judged = as_audio(clip, sample_rate)
        for item in _cut(judged.samples, num_samples):
            yield item.detach(), judged.sample_rate or default


def _at_rate(samples: Tensor, rate: int, wanted: int) -> Tensor:
    return samples if rate == wanted else resample(samples.cpu(), rate, wanted)


def _cut(samples: Tensor, num_samples: Sequence[int] | Tensor | None) -> list[Tensor]:
    if num_samples is None:
        return list(samples)
    lengths = [int(n) for n in num_samples]
    if len(lengths) != len(samples) or any(not 0 <= n <= samples.shape[2] for n in lengths):
        raise AudioError(f"num_samples is {lengths} for audio of shape {list(samples.shape)}; give one length per item")
    return [item[:, :n] for item, n in zip(samples, lengths, strict=True)]


def _is_list_of_clips(audio: Any) -> bool:
    return isinstance(audio, (list, tuple)) and any(
        isinstance(clip, (Tensor, str, os.PathLike)) or hasattr(clip, "__array__") for clip in audio
    )
