"""Teaching a student to tell phones apart: a light supervision beside distillation, and a linear map for k-means.

K-means finds what is far apart, which need not be what tells phones apart. Two remedies, both linear on top of the
student: heads that name the phone of a frame, trained by cross-entropy beside the distillation; and linear discriminant
analysis (Fisher 1936, doi:10.1111/j.1469-1809.1936.tb02137.x; Rao 1948 for many classes), after which the spread
within phones is the same in all directions, and only the directions in which phones differ most are left.

Frames may carry labels of several kinds, each with phones of its own; -1 is a frame without a label of a kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tokaudio.nn.spectral_codec import SpectralEncoder
from tokaudio.training.augment import Augmentation
from tokaudio.training.descent import Descent
from tokaudio.training.distillation import DistillationOptions, DistillationTraining
from tokaudio.training.frames import Frames
from tokaudio.training.pool import AudioPool

# Of the mean spread within phones, added to each direction: few labels leave some directions without any.
_SHRINKAGE = 1e-3


@dataclass(frozen=True, slots=True)
class SupervisionOptions:
    """Choices of the supervision.

    Attributes:
        weight: of the cross-entropy beside the distillation loss.
        average: decay of the averaged weights; the training is short.
    """

    weight: float = 0.5
    average: float = 0.99


class SupervisedStudent(nn.Module):
    """A student and a linear head per kind of labels on the first part of what it gives.

    Example:
        >>> from tokaudio.nn.spectral_codec import SpectralCodecShape
        >>> student = SpectralEncoder(SpectralCodecShape(latent_dim=8, encoder_dim=8, encoder_blocks=1))
        >>> [head.weight.shape for head in SupervisedStudent(student, 4, (30, 40)).heads]
        [torch.Size([30, 4]), torch.Size([40, 4])]
    """

    def __init__(self, student: SpectralEncoder, width: int, classes: Sequence[int]) -> None:
        super().__init__()
        self.student = student
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in classes)


class SupervisedDistillation(DistillationTraining):
    """Goes on with a distillation while heads name phones; a `Trainable` for the loop.

    Args:
        student: gives as many dimensions per frame as the features have.
        pool: of sound.
        targets: the features of all frames of the pool, in its order.
        labels: of the same frames, a column per kind `[N, L]`, -1 where there is none.
        options: of the distillation.
        supervision: weight of the heads.
        augmentation: of what the student hears.
        hop_length: samples per frame.
    """

    def __init__(
        self,
        student: SpectralEncoder,
        pool: AudioPool,
        targets: Frames,
        labels: Tensor,
        *,
        options: DistillationOptions,
        supervision: SupervisionOptions,
        augmentation: Augmentation,
        hop_length: int,
    ) -> None:
        super().__init__(student, pool, targets, options=options, augmentation=augmentation, hop_length=hop_length)
        if len(labels) != targets.shape[0]:
            raise ValueError(f"there are features of {targets.shape[0]} frames and labels of {len(labels)}")
        self.labels, self.supervision = labels.long(), supervision
        self.width = targets.shape[1] // len(options.weights)
        self.net = SupervisedStudent(student, self.width, [int(kind.max()) + 1 for kind in self.labels.unbind(1)])
        self.descent = Descent(self.net, average=supervision.average)

    def _wanted(self, rows: Tensor) -> Tensor:
        # Numbers of phones are small enough for float32.
        return torch.cat([super()._wanted(rows), self.labels[rows].float()], dim=1)

    def _loss(self, got: Tensor, wanted: Tensor) -> tuple[Tensor, dict[str, float]]:
        features, labels = wanted.split([got.shape[1], self.labels.shape[1]], dim=1)
        loss, figures = super()._loss(got, features)
        total, named = got.new_zeros(()), 0
        for head, kind in zip(self.net.heads, labels.long().unbind(1), strict=True):
            total = total + F.cross_entropy(head(got[:, : self.width]), kind, ignore_index=-1, reduction="sum")
            named += int((kind >= 0).sum())
        phones = total / max(1, named)
        return loss + self.supervision.weight * phones, figures | {"phones": phones.item()}


def discriminant(rows: Tensor, labels: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Return the offset `[width]` and matrix `[D, width]` to the directions in which phones differ most.

    Each kind of labels has the same weight, however many frames it has, and is looked at around its own mean: what
    differs between the recordings of two kinds is no phone. The spread within phones becomes 1 in all directions, the
    mean of all rows 0.

    Args:
        rows: features `[N, D]`.
        labels: a column per kind `[N, L]`, -1 where there is none.
        width: directions to keep.

    Example:
        >>> noise = torch.randn(900, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([9.0, 1.0, 1.0])
        >>> phones = torch.arange(900) % 3
        >>> _, matrix = discriminant(noise + torch.eye(3)[phones] * torch.tensor([0.0, 4.0, 0.0]), phones[:, None], 1)
        >>> int(matrix.abs().argmax())
        1
    """
    within = between = rows.new_zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for kind in labels.unbind(1):
        inner, outer = _scatter(rows[kind >= 0].double(), kind[kind >= 0])
        within, between = within + inner / labels.shape[1], between + outer / labels.shape[1]
    within = within + _SHRINKAGE * within.diagonal().mean() * torch.eye(len(within), dtype=torch.float64)
    # With W = L L^T, the generalised problem B v = l W v is an ordinary symmetric one of L^-1 B L^-T.
    lower = torch.linalg.cholesky(within)
    half = torch.linalg.solve_triangular(lower, between, upper=False)
    _, vectors = torch.linalg.eigh(torch.linalg.solve_triangular(lower, half.T, upper=False))
    matrix = torch.linalg.solve_triangular(lower.T, vectors.flip(1)[:, :width], upper=True).float()
    return -rows.mean(0) @ matrix, matrix


def _scatter(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the spread within phones, and that of their means, around the mean of all rows `[D, D]`."""
    counts = torch.bincount(labels).double()
    means = rows.new_zeros(len(counts), rows.shape[1]).index_add_(0, labels, rows) / counts.clamp_min(1)[:, None]
    apart, far = rows - means[labels], means - rows.mean(0)
    return apart.T @ apart / len(rows), (far * counts[:, None]).T @ far / len(rows)


def fold(student: SpectralEncoder, offset: Tensor, matrix: Tensor) -> None:
    """Make a student give `[part @ matrix + offset, zeros]` in place of the first D of its dimensions, for ever.

    Its last layer is linear, so that a linear map after it is another such layer. Zeros fill up to the old width; they
    change no distance.

    Args:
        student: which is changed.
        offset: `[d]`.
        matrix: `[D, d]`, d at most D.
    """
    old, new = matrix.shape
    weight, bias = student.out.weight, student.out.bias
    with torch.no_grad():
        mapped, shifted = matrix.T @ weight[:old], bias[:old] @ matrix + offset
        weight[:old], bias[:old] = 0.0, 0.0
        weight[:new], bias[:new] = mapped, shifted
