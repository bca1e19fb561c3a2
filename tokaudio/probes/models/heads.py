"""What stands on the frames of a probe: heads of fixed size, each written for frames of any length.

    head = make_head("xvector", width=64, outputs=10)
    head(frames, lengths)  # [B, T, 64], [B] -> [B, 10]
    head.embed(frames, lengths)  # [B, 64], of which the outputs are a linear map

Frames beyond an item's length never count: an item scores the same alone and in any batch. Sizes are part of the
version of the probes: [`PROBE_VERSION`][tokaudio.probes.PROBE_VERSION] changes with them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.errors import UnknownNameError
from tokaudio.probes.models.sequence_bodies import BiLstmBody, ConformerBody, frame_mask


def pooled_mean(frames: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean over the frames of each item `[B, D]`, of frames `[B, T, D]`.

    Example:
        >>> pooled_mean(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2]))
        tensor([[2.]])
    """
    mask = frame_mask(frames, lengths)
    return (frames * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def pooled_statistics(frames: Tensor, lengths: Tensor, shares: Tensor | None = None) -> Tensor:
    """Return mean and standard deviation over the frames of each item `[B, 2 D]`, of frames `[B, T, D]`.

    Args:
        frames: `[B, T, D]`.
        lengths: `[B]`.
        shares: weights of the frames `[B, T, D]` that sum to one over an item; equal ones if None.

    Example:
        >>> pooled_statistics(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2])).round(decimals=2)
        tensor([[2., 1.]])
    """
    if shares is None:
        mask = frame_mask(frames, lengths)
        shares = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (frames * shares).sum(dim=1)
    spread = ((frames - mean[:, None]).square() * shares).sum(dim=1)
    # The root has no finite slope at zero, where an item has a single frame.
    return torch.cat([mean, (spread + 1e-5).sqrt()], dim=1)


class Head(nn.Module, ABC):
    """A vector for each item, and a linear layer on it.

    Args:
        width: of that vector.
        outputs: classes.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, outputs)

    @abstractmethod
    def embed(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the vector of each item, of frames `[B, T, D]`."""

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Map frames `[B, T, D]` of lengths `[B]` to outputs `[B, outputs]`."""
        scores: Tensor = self.out(self.embed(frames, lengths))
        return scores


class LinearHead(Head):
    """The mean over time, and a linear layer: the least that a probe can be.

    Example:
        >>> LinearHead(8, 3)(torch.zeros(2, 5, 8), torch.tensor([5, 2])).shape
        torch.Size([2, 3])
    """

    def embed(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean over time `[B, D]`."""
        return pooled_mean(frames, lengths)


class XVectorHead(Head):
    """Convolutions over time, mean and deviation, a layer: x-vectors in small (Snyder et al. 2018, ICASSP).

    Context of 15 frames; `channels` is 64 where the original has 512.

    Example:
        >>> XVectorHead(8, 3)(torch.zeros(2, 5, 8), torch.tensor([5, 2])).shape
        torch.Size([2, 3])
    """

    def __init__(self, width: int, outputs: int, *, channels: int = 64, dropout: float = 0.2) -> None:
        super().__init__(channels, outputs)
        sizes = [(width, 5, 1), (channels, 3, 2), (channels, 3, 3)]
        self.convs = nn.ModuleList(
            nn.Conv1d(given, channels, kernel, dilation=dilation, padding=dilation * (kernel // 2))
            for given, kernel, dilation in sizes
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in sizes)
        self.dropout = nn.Dropout(dropout)
        self.segment = nn.Linear(2 * channels, channels)

    def embed(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the segment vector `[B, channels]`."""
        mask = frame_mask(frames, lengths)
        hidden = frames * mask
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = norm(conv(hidden.transpose(1, 2)).transpose(1, 2)).relu() * mask
        pooled: Tensor = self.segment(self.dropout(pooled_statistics(hidden, lengths)))
        return pooled.relu()


class SqueezeExcite(nn.Module):
    """A gate for each channel, from the mean over time (Hu et al., arXiv:1709.01507).

    Example:
        >>> SqueezeExcite(8)(torch.zeros(2, 5, 8), torch.tensor([5, 2])).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(channels, channels // 2), nn.ReLU(), nn.Linear(channels // 2, channels))

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Map `[B, T, C]` to the same shape."""
        gated: Tensor = frames * self.gate(pooled_mean(frames, lengths)).sigmoid()[:, None]
        return gated


class Res2Block(nn.Module):
    """SE-Res2Net block: a quarter of the channels after the other, each also sees what the one before made of its own.

    Example:
        >>> Res2Block(8, 2)(torch.zeros(2, 5, 8), torch.tensor([5, 2])).shape
        torch.Size([2, 5, 8])
    """

    PARTS = 4

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        part = channels // self.PARTS
        self.before, self.after = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.convs = nn.ModuleList(
            nn.Conv1d(part, part, 3, dilation=dilation, padding=dilation) for _ in range(self.PARTS - 1)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.excite = SqueezeExcite(channels)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Map `[B, T, C]` to the same shape."""
        mask = frame_mask(frames, lengths)
        parts = (self.norms[0](self.before(frames).relu()) * mask).chunk(self.PARTS, dim=2)
        made = [parts[0]]
        for conv, part in zip(self.convs, parts[1:], strict=True):
            given = part if len(made) == 1 else part + made[-1]
            made.append(conv(given.transpose(1, 2)).transpose(1, 2).relu() * mask)
        hidden = self.norms[1](self.after(torch.cat(made, dim=2)).relu())
        result: Tensor = (frames + self.excite(hidden, lengths)) * mask
        return result


class EcapaHead(Head):
    """A small ECAPA-TDNN (Desplanques et al., arXiv:2005.07143): SE-Res2Net blocks, joined, attentive statistics.

    64 channels where the original has 512 or 1024; its batch norms are layer norms here, so that a batch's other items
    do not count.

    Example:
        >>> EcapaHead(8, 3)(torch.zeros(2, 5, 8), torch.tensor([5, 2])).shape
        torch.Size([2, 3])
    """

    def __init__(self, width: int, outputs: int, *, channels: int = 64, dropout: float = 0.2) -> None:
        super().__init__(channels, outputs)
        self.first = nn.Conv1d(width, channels, 5, padding=2)
        self.blocks = nn.ModuleList(Res2Block(channels, dilation) for dilation in (2, 3, 4))
        self.join = nn.Linear(3 * channels, channels)
        self.attend = nn.Sequential(nn.Linear(channels, channels // 2), nn.Tanh(), nn.Linear(channels // 2, channels))
        self.dropout = nn.Dropout(dropout)
        self.segment = nn.Linear(2 * channels, channels)

    def embed(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the segment vector `[B, channels]`."""
        mask = frame_mask(frames, lengths)
        hidden = self.first((frames * mask).transpose(1, 2)).transpose(1, 2).relu() * mask
        made = []
        for block in self.blocks:
            hidden = block(hidden, lengths)
            made.append(hidden)
        joined = self.join(torch.cat(made, dim=2)).relu()
        shares = self.attend(joined).masked_fill(mask == 0, float("-inf")).softmax(dim=1)
        pooled: Tensor = self.segment(self.dropout(pooled_statistics(joined, lengths, shares)))
        return pooled


class BodyHead(Head):
    """A body that turns frames into frames, and their mean over time.

    Example:
        >>> BodyHead(BiLstmBody(8, width=6), 3)(torch.zeros(2, 5, 8), torch.tensor([5, 2])).shape
        torch.Size([2, 3])
    """

    def __init__(self, body: BiLstmBody | ConformerBody, outputs: int) -> None:
        super().__init__(body.width, outputs)
        self.body = body

    def embed(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Return the mean over time of what the body makes `[B, width]`."""
        made, lengths = self.body(frames, lengths)
        return pooled_mean(made, lengths)


class FrameHead(nn.Module):
    """A body, and outputs at every frame: for CTC, and for predicting codes.

    Args:
        body: turns frames into frames; its `stride` says how many make one.
        outputs: for each frame.

    Shape:
        input `[B, T, D]`, output `[B, ceil(T / stride), outputs]` and their lengths `[B]`.

    Example:
        >>> scores, lengths = FrameHead(BiLstmBody(8, width=6, stride=2), 3)(torch.zeros(2, 5, 8), torch.tensor([5, 2]))
        >>> scores.shape, lengths.tolist()
        (torch.Size([2, 3, 3]), [3, 1])
    """

    def __init__(self, body: BiLstmBody | ConformerBody, outputs: int) -> None:
        super().__init__()
        self.body, self.out = body, nn.Linear(body.width, outputs)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map frames `[B, T, D]` of lengths `[B]` to outputs of each frame, and their lengths."""
        made, lengths = self.body(frames, lengths)
        return self.out(made), lengths


POOLED_HEADS = ("linear", "xvector", "ecapa", "bilstm", "conformer")
"""Names that `make_head` knows."""


def make_head(name: str, *, width: int, outputs: int) -> Head:
    """Return a head of its fixed size that gives scores for whole items.

    Args:
        name: one of `POOLED_HEADS`.
        width: D, of the frames.
        outputs: classes.

    Raises:
        UnknownNameError: if there is none of this name.

    Example:
        >>> sum(p.numel() for p in make_head("xvector", width=64, outputs=10).parameters())
        54538
    """
    if name not in POOLED_HEADS:
        raise UnknownNameError(f"no head is named {name!r}; there are {', '.join(POOLED_HEADS)}")
    if name == "bilstm":
        return BodyHead(BiLstmBody(width), outputs)
    if name == "conformer":
        return BodyHead(ConformerBody(width), outputs)
    return {"linear": LinearHead, "xvector": XVectorHead, "ecapa": EcapaHead}[name](width, outputs)


class AngularMargin(nn.Module):
    """Cross-entropy of cosines, with an angular margin on the right class (Deng et al., arXiv:1801.07698).

    Args:
        width: of the vectors.
        classes: how many.
        margin: in radians.
        scale: of the cosines.

    Shape:
        input: vectors `[B, width]` and classes `[B]`; output: the loss, one number.

    Example:
        >>> loss = AngularMargin(2, 2)
        >>> _ = loss.centres.data.copy_(torch.eye(2))
        >>> loss(torch.eye(2), torch.tensor([0, 1])).item() < 0.01
        True
    """

    def __init__(self, width: int, classes: int, *, margin: float = 0.2, scale: float = 30.0) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, width))
        self.margin, self.scale = margin, scale

    def forward(self, vectors: Tensor, classes: Tensor) -> Tensor:
        """Return the mean loss of vectors `[B, width]` of classes `[B]`."""
        cosines = self.cosines(vectors)
        angle = cosines.gather(1, classes[:, None]).clamp(-1 + 1e-6, 1 - 1e-6).acos()
        return F.cross_entropy(self.scale * cosines.scatter(1, classes[:, None], (angle + self.margin).cos()), classes)

    def cosines(self, vectors: Tensor) -> Tensor:
        """Return the cosine of each vector with each class's centre `[B, classes]`."""
        return F.normalize(vectors) @ F.normalize(self.centres).T
