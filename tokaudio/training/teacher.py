"""What a teacher hears: hidden states of a backbone for every frame of a pool, and what a student is to learn of them.

Hidden states of transformers have a few dimensions that are far larger than the others (positions among them). Each
dimension is brought to the same spread first, or they would decide every distance; then the leading principal
components of each layer are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from tokaudio.tokenizers.backbones import Backbone
from tokaudio.training.frames import Frames, FramesOnDisk, write_frames
from tokaudio.training.pool import AudioPool


def frame_starts(pool: AudioPool, hop_length: int) -> list[int]:
    """Return the row of the first frame of every clip, and the number of all frames last."""
    starts = [0]
    for clip in pool.clips:
        starts.append(starts[-1] - (-clip.length // hop_length))
    return starts


@torch.inference_mode()
def centred_states(backbone: Backbone, samples: Tensor, layers: Sequence[int]) -> Tensor:
    """Return hidden states `[T, len(layers) * D]`, T = ceil(S / hop), each heard around the middle of its hop.

    Whisper's frame t is centred on the first sample of hop t: without its first half hop, a sound is heard half a hop
    early.

    Args:
        backbone: whose frames are centred on multiples of its hop.
        samples: `[S]`, at its rate.
        layers: whose states are laid side by side.
    """
    early = backbone.sizes.hop_length // 2
    states = backbone.hidden_states(F.pad(samples[early:], (0, min(early, len(samples)))), layers)
    return states.transpose(0, 1).flatten(1)


def extract(pool: AudioPool, backbone: Backbone, layers: Sequence[int], folder: Path) -> FramesOnDisk:
    """Write the hidden states of all clips, in the order of the pool, as float16 rows `[N, len(layers) * D]`."""
    rows = (centred_states(backbone, pool.read(clip), layers) for clip in pool.clips)
    return write_frames(folder, rows)


def components(
    frames: Frames, columns: slice, width: int, *, sample: int = 50_000, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the offset `[width]` and matrix `[D, width]` to the principal components of columns of equal spread.

    Components keep their proportions; together they have the variance `width`.

    Example:
        >>> from tokaudio.training.frames import FramesInMemory
        >>> rows = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([100.0, 1, 1, 1])
        >>> offset, matrix = components(FramesInMemory(rows), slice(0, 4), 2)
        >>> round(float((rows @ matrix + offset).var(0).sum()), 2)
        2.0
    """
    total = frames.shape[0]
    picked = torch.randperm(total, generator=torch.Generator().manual_seed(seed))[:sample].sort().values
    rows = frames.take(picked)[:, columns]
    mean, deviation = rows.mean(0), rows.std(0).clamp_min(1e-6)
    even = (rows - mean) / deviation
    values, vectors = torch.linalg.eigh(even.T @ even / (len(even) - 1))
    kept = vectors.flip(1)[:, :width] * (width / values.flip(0)[:width].sum()).sqrt()
    matrix = kept / deviation[:, None]
    return -mean @ matrix, matrix


def write_targets(frames: Frames, parts: Sequence[slice], width: int, folder: Path) -> FramesOnDisk:
    """Write the components of several parts of frames side by side, as float16 rows `[N, len(parts) * width]`."""
    maps = [(part, *components(frames, part, width)) for part in parts]

    def rows() -> Iterator[Tensor]:
        for block in frames.blocks():
            yield torch.cat([block[:, part] @ matrix + offset for part, offset, matrix in maps], dim=1)

    return write_frames(folder, rows())
