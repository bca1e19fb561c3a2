"""From one vector for each codebook to one for each frame.

    fusion = make_fusion("attention", streams=8, width=64)
    frames = fusion(vectors)  # [B, T, 8, 64] -> [B, T, 64]
    fusion.weights            # [B, T, 8]: how much each codebook had to say, for inspection

Streams are codebooks, or layers of a model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tokaudio.errors import UnknownNameError


class AttentionFusion(nn.Module):
    """A weight for each stream at each frame, from that stream's own vector.

    DASB's (arXiv:2406.14294): linear, ReLU, linear without bias to one number, softmax over streams.

    Args:
        streams: K, which may be any number: the weights do not belong to a stream.
        width: D.

    Attributes:
        weights: of the last call, `[B, T, K]`, without gradient; None before the first.

    Shape:
        input `[B, T, K, D]`, output `[B, T, D]`.

    Example:
        >>> fusion = AttentionFusion(2, 4)
        >>> fusion(torch.zeros(1, 3, 2, 4)).shape, fusion.weights.tolist()[0][0]
        (torch.Size([1, 3, 4]), [0.5, 0.5])
    """

    def __init__(self, streams: int, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1, bias=False))
        self.weights: Tensor | None = None

    def forward(self, vectors: Tensor) -> Tensor:
        """Map `[B, T, K, D]` to `[B, T, D]`."""
        share = self.score(vectors).softmax(dim=2)
        self.weights = share.detach()[..., 0]
        return (share.transpose(2, 3) @ vectors)[:, :, 0]


class ScalarFusion(nn.Module):
    """One learned weight for each stream, the same at every frame; they are positive and sum to one.

    Args:
        streams: K.
        width: D; any.

    Attributes:
        weights: of the last call, `[B, T, K]`; None before the first.

    Shape:
        input `[B, T, K, D]`, output `[B, T, D]`.

    Example:
        >>> ScalarFusion(2, 4)(torch.tensor([1.0, 3.0])[:, None].expand(1, 1, 2, 4))
        tensor([[[2., 2., 2., 2.]]], grad_fn=<SelectBackward0>)
    """

    def __init__(self, streams: int, width: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(streams))
        self.weights: Tensor | None = None

    def forward(self, vectors: Tensor) -> Tensor:
        """Map `[B, T, K, D]` to `[B, T, D]`."""
        share = self.logits.softmax(dim=0)
        self.weights = share.detach().expand(vectors.shape[:3])
        return (share @ vectors[:, :, None])[:, :, 0]


class MeanFusion(nn.Module):
    """The mean over streams.

    Args:
        streams: K; any.
        width: D; any.

    Shape:
        input `[B, T, K, D]`, output `[B, T, D]`.

    Example:
        >>> MeanFusion(2, 1)(torch.tensor([[[[1.0], [3.0]]]]))
        tensor([[[2.]]])
    """

    def __init__(self, streams: int, width: int) -> None:
        super().__init__()
        self.weights: Tensor | None = None

    def forward(self, vectors: Tensor) -> Tensor:
        """Map `[B, T, K, D]` to `[B, T, D]`."""
        return vectors.mean(dim=2)


class ConcatFusion(nn.Module):
    """All streams side by side, brought to the width of one.

    Args:
        streams: K.
        width: D.

    Shape:
        input `[B, T, K, D]`, output `[B, T, D]`.

    Example:
        >>> ConcatFusion(2, 4)(torch.zeros(1, 3, 2, 4)).shape
        torch.Size([1, 3, 4])
    """

    def __init__(self, streams: int, width: int) -> None:
        super().__init__()
        self.join = nn.Linear(streams * width, width)
        self.weights: Tensor | None = None

    def forward(self, vectors: Tensor) -> Tensor:
        """Map `[B, T, K, D]` to `[B, T, D]`."""
        joined: Tensor = self.join(vectors.flatten(2))
        return joined


FUSIONS: dict[str, Callable[[int, int], nn.Module]] = {
    "attention": AttentionFusion,
    "scalar": ScalarFusion,
    "mean": MeanFusion,
    "concat": ConcatFusion,
}
"""Ways to fuse streams, by name."""


def make_fusion(name: str, *, streams: int, width: int) -> nn.Module:
    """Return a way to fuse streams.

    Raises:
        UnknownNameError: if there is none of this name.

    Example:
        >>> make_fusion("mean", streams=2, width=4)
        MeanFusion()
    """
    if name not in FUSIONS:
        raise UnknownNameError(f"no fusion is named {name!r}; there are {', '.join(FUSIONS)}")
    return FUSIONS[name](streams, width)
