"""Teachers of a first codebook: features `[B, E, T]` of sound, computed at once or read from disk.

teacher = load_teacher("whisper-tiny.en", layers=(3,))
features = teacher(signal)  # [B, S] at 16 kHz to [B, 384, T] at 50 Hz
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.ssl import WhisperSizes
from tokaudio.tokenizers.backbones import Backbone, load_backbone
from tokaudio.tokenizers.base import Tokenizer
from tokaudio.training.frames import Frames
from tokaudio.training.teacher import centred_states

SAMPLE_RATE = 16_000
"""Hz: what all backbones hear."""


class BackboneTeacher:
    """The mean of some hidden states of a backbone, each frame heard around the middle of its hop.

    Args:
        backbone: hears sound at 16 kHz; it learns nothing.
        layers: whose states are averaged; the last one by default.

    Attributes:
        width: E.
        frame_rate: frames per second.

    Example:
        >>> from tokaudio.tokenizers.whisper import WhisperModel
        >>> sizes = WhisperSizes(width=8, layers=2, heads=2, inner=16, positions=60)
        >>> BackboneTeacher(WhisperModel(sizes).eval(), layers=(1, 2))(torch.zeros(2, 1600)).shape
        torch.Size([2, 8, 5])
    """

    def __init__(self, backbone: Backbone, *, layers: Sequence[int] = (-1,)) -> None:
        count = backbone.sizes.layers + 1
        if not layers or not all(-count <= layer < count for layer in layers):
            raise ValueError(f"layers are {tuple(layers)}; give some from 0 to {count - 1}")
        self.backbone, self.layers = backbone, tuple(layer % count for layer in layers)
        self.width: int = backbone.sizes.width
        self.frame_rate = Fraction(SAMPLE_RATE, backbone.sizes.hop_length)
        cast("nn.Module", backbone).requires_grad_(False)

    @torch.no_grad()
    def __call__(self, signal: Tensor) -> Tensor:
        """Return features `[B, E, T]` of signals `[B, S]` at 16 kHz, T = ceil(S / hop)."""
        return torch.stack([self._one(samples).T for samples in signal])

    def _one(self, samples: Tensor) -> Tensor:
        sizes = self.backbone.sizes
        if isinstance(sizes, WhisperSizes):
            states = centred_states(self.backbone, samples, self.layers).unflatten(1, (len(self.layers), -1))
            return states.mean(1)
        # The other backbones see `shortest` samples per frame: as many before their hop as after it.
        count, edge = -(-len(samples) // sizes.hop_length), max(0, sizes.shortest - sizes.hop_length)
        padding = (edge // 2, count * sizes.hop_length - len(samples) + edge - edge // 2)
        return self.backbone.hidden_states(F.pad(samples, padding), self.layers).mean(0)


class TokenizerTeacher:
    """What the encoder of any tokenizer gives before quantization.

    Args:
        tokenizer: hears sound at its own rate; it learns nothing.

    Attributes:
        width: E.
        frame_rate: frames per second.

    Example:
        >>> teacher = TokenizerTeacher(Tokenizer.from_pretrained("mini-semantic"))
        >>> teacher(torch.zeros(2, 1600)).shape[1] == teacher.width
        True
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.frame_rate = tokenizer, tokenizer.spec.frame_rate
        self.width: int = tokenizer.codebooks()[0].shape[1]

    def __call__(self, signal: Tensor) -> Tensor:
        """Return features `[B, E, T]` of signals `[B, S]` at the tokenizer's rate."""
        # Made in inference mode; a clone may take part in what is differentiated.
        return self.tokenizer.features(signal.unsqueeze(1), self.tokenizer.spec.sample_rate).clone()


class CachedTeacher:
    """Features that were written for all clips of a pool, by `teacher.extract` or `teacher.write_targets`.

    Args:
        frames: features of all frames of the pool `[N, E]`, in its order.
        starts: the row of the first frame of every clip, and N last: `teacher.frame_starts`.

    Example:
        >>> from tokaudio.training.frames import FramesInMemory
        >>> teacher = CachedTeacher(FramesInMemory(torch.arange(10.0)[:, None]), [0, 4, 10])
        >>> features, exists = teacher.read([(0, 2), (1, 0)], 3)
        >>> features[:, 0].tolist(), exists.tolist()[0]
        ([[2.0, 3.0, 0.0], [4.0, 5.0, 6.0]], [True, True, False])
    """

    def __init__(self, frames: Frames, starts: Sequence[int]) -> None:
        if starts[-1] != frames.shape[0]:
            raise ValueError(f"the pool has {starts[-1]} frames and there are features of {frames.shape[0]}")
        self.frames, self.starts, self.width = frames, list(starts), frames.shape[1]

    def read(self, crops: Sequence[tuple[int, int]], frames: int) -> tuple[Tensor, Tensor]:
        """Return features `[B, E, T]` of crops, zero after the end of a clip, and which frames exist `[B, T]`.

        Args:
            crops: number of the clip, and the first frame of the crop within it.
            frames: T.
        """
        features, exists = [], torch.zeros(len(crops), frames, dtype=torch.bool)
        for item, (clip, first) in enumerate(crops):
            begin = self.starts[clip] + first
            end = max(begin, min(begin + frames, self.starts[clip + 1]))
            exists[item, : end - begin] = True
            features.append(F.pad(self.frames.take(torch.arange(begin, end)).T, (0, frames - (end - begin))))
        return torch.stack(features), exists


def load_teacher(
    name_or_path: str | os.PathLike[str] = "whisper-tiny.en",
    *,
    layers: Sequence[int] = (-1,),
    filled: bool = False,
    local_files_only: bool = False,
) -> BackboneTeacher:
    """Load a backbone as a teacher.

    Args:
        name_or_path: as [`load_backbone`][tokaudio.tokenizers.backbones.load_backbone] takes it.
        layers: whose states are averaged.
        filled: whether Whisper hears every crop filled up with silence to 30 s; without, a crop of a second takes a
            fraction of the time.
        local_files_only: never touch the network.

    Raises:
        CheckpointError: if a file is missing or does not fit.
        UnknownNameError: if there is no such folder or name.
        MissingDependencyError: if a package is needed and not installed.
        ValueError: if a layer is not there.
    """
    return BackboneTeacher(load_backbone(name_or_path, filled=filled, local_files_only=local_files_only), layers=layers)
