"""Semantic distillation: the first codebook is taught what a semantic model hears, and the others keep the rest.

    loss = SemanticLoss(dim=64, width=teacher.width)
    out = quantizer(latents)
    semantic = loss(first_vectors(quantizer, latents, out.codes), teacher(signal))

Two similarities, both between a projection of the first codebook's vectors and the teacher's features: of each feature
over time (SpeechTokenizer, arXiv:2308.16692, section 3.3), and of each frame over features (Mimi, arXiv:2410.00037,
section 3.3.3).
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.quantizers.base import Quantizer


def first_vectors(quantizer: Quantizer, latents: Tensor, codes: Tensor) -> Tensor:
    """Return the vectors `[B, D, T]` of the first codebook alone, differentiable.

    Gradients go straight through to the latents, and also to what the quantizer makes vectors with.

    Args:
        quantizer: which found the codes.
        latents: what it found them for `[B, D, T]`.
        codes: `[B, K, T]`; nothing is searched again, and no codebook learns twice.

    Example:
        >>> from tokaudio.quantizers import ResidualVectorQuantizer
        >>> quantizer, latents = ResidualVectorQuantizer(4, 8, num_codebooks=3), torch.randn(1, 4, 5)
        >>> first_vectors(quantizer, latents, quantizer.encode(latents)).shape
        torch.Size([1, 4, 5])
    """
    return quantizer.decode(codes[:, :1]) + (latents - latents.detach())


def align_frames(features: Tensor, frames: int, ratio: Fraction | float = 1) -> Tensor:
    """Return features at another frame rate: the mean of each over the time of a frame.

    Features are taken to be constant within their frame; both sequences begin together. Frames after the last feature
    repeat it.

    Args:
        features: `[B, E, T']`.
        frames: T.
        ratio: frame rate of the features as a share of the wanted one; 4 for 50 Hz to 12.5 Hz.

    Raises:
        ValueError: if there are no features, or the ratio is not positive.

    Example:
        >>> align_frames(torch.tensor([[[1.0, 3.0, 5.0, 9.0]]]), 2, 2)
        tensor([[[2., 7.]]])
        >>> align_frames(torch.tensor([[[1.0, 4.0]]]), 4, Fraction(1, 2))
        tensor([[[1., 1., 4., 4.]]])
    """
    if features.ndim != 3 or not features.shape[-1] or not ratio > 0:
        raise ValueError(f"features are {list(features.shape)} at a ratio of {ratio}; give [B, E, T'] and more than 0")
    if ratio == 1 and features.shape[-1] == frames:
        return features
    count = features.shape[-1]
    edges = (torch.arange(frames + 1, dtype=torch.float64, device=features.device) * float(ratio)).clamp_max(count)
    # A frame needs some time in which to hear: those that begin at the end get the last feature's.
    starts = torch.minimum(edges[:-1], edges.new_tensor(count - min(1.0, float(ratio))))
    ends = torch.maximum(edges[1:], starts + 1e-3)
    sums = F.pad(features.double().cumsum(-1), (1, 0))

    def integral(at: Tensor) -> Tensor:
        whole = at.floor().long().clamp_max(count - 1)
        return sums[..., whole] + features[..., whole].double() * (at - whole)

    return ((integral(ends) - integral(starts)) / (ends - starts)).to(features.dtype)


class SemanticLoss(nn.Module):
    """Distance of a projection of vectors from a teacher's features.

    Args:
        dim: D of the vectors.
        width: E of the features.
        kind: `time` compares each feature over time, as a mean of -log sigmoid(cosine); `frame` compares each frame
            over features, as a mean of 1 - cosine.
        ratio: frame rate of the features as a share of that of the vectors.
        even: bring each feature to mean 0 and spread 1 first, over batches. Hidden states of transformers have a few
            features that are far larger than all others, and would decide every cosine of a frame; both papers take
            them as they are.

    Shape:
        vectors `[B, D, T]` and features `[B, E, T']`; returns a scalar.

    Example:
        >>> loss = SemanticLoss(8, 16, kind="frame")
        >>> loss(torch.randn(2, 8, 10), torch.randn(2, 16, 10)).shape
        torch.Size([])
    """

    def __init__(
        self,
        dim: int,
        width: int,
        *,
        kind: Literal["time", "frame"] = "time",
        ratio: Fraction | float = 1,
        even: bool = True,
    ) -> None:
        super().__init__()
        if kind not in ("time", "frame"):
            raise ValueError(f"the kind of similarity is {kind!r}; give 'time' or 'frame'")
        self.kind, self.ratio = kind, ratio
        self.projection = nn.Conv1d(dim, width, 1)
        self.norm = nn.BatchNorm1d(width, affine=False) if even else nn.Identity()

    def forward(self, vectors: Tensor, features: Tensor, *, exists: Tensor | None = None) -> Tensor:
        """Return the loss.

        Args:
            vectors: `[B, D, T]`.
            features: `[B, E, T']`; no gradient flows there.
            exists: which frames of the vectors count `[B, T]`; all by default.
        """
        with torch.no_grad():
            wanted = self.norm(align_frames(features.float(), vectors.shape[-1], self.ratio))
        found = self.projection(vectors).float()
        if self.kind == "time":
            mask = 1.0 if exists is None else exists[:, None].float()
            return -F.logsigmoid(F.cosine_similarity(found * mask, wanted * mask, dim=2)).mean()
        gaps = 1 - F.cosine_similarity(found, wanted, dim=1)
        return gaps.mean() if exists is None else (gaps * exists).sum() / exists.sum().clamp_min(1)
