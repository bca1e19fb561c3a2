"""What codebooks exchange between training processes, so that they stay one codebook.

Every process adds what its own part of the batch says; the sums are the same everywhere, and so is what is drawn, since
all draw with one seed from the vectors of all processes in the order of their ranks. The codebooks then are what one
process would make of the joined batch. Every process has to take every training step, though its part may be empty.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def process_count() -> int:
    """Return the number of processes that train together; 1 without `torch.distributed`.

    Example:
        >>> process_count()
        1
    """
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_rank() -> int:
    """Return the number of this process among those that train together.

    Example:
        >>> process_rank()
        0
    """
    return dist.get_rank() if process_count() > 1 else 0


def add_up(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; alone, the tensor itself. Writes into a tensor of its own.

    Example:
        >>> add_up(torch.ones(2))
        tensor([1., 1.])
    """
    if process_count() > 1:
        tensor = tensor.contiguous().clone()
        dist.all_reduce(tensor)
    return tensor


def joined_mean(total: Tensor, count: int, *, batch: int) -> Tensor:
    """Return the mean over the vectors of all processes, of a sum over this process' own ones.

    The value is that of the joined batch, the same everywhere. So is the gradient, once those of all processes are
    averaged by their shares of the batch, as `DistributedDataParallel` does where shares are equal.

    Args:
        total: sum over vectors of this process, of any shape.
        count: how many vectors that are.
        batch: how many vectors this process has of the batch, where some of them do not count.

    Example:
        >>> joined_mean(torch.tensor([6.0]), 3, batch=4)
        tensor([2.])
    """
    if process_count() == 1:
        return total / max(1, count)
    said = add_up(torch.cat([total.detach().flatten(), total.new_tensor([count, batch])]))
    counted, whole = said[-2].clamp_min(1), said[-1]
    own = total * (whole / max(1, batch) / counted)
    return said[:-2].view_as(total) / counted + (own - own.detach())


def from_first(tensor: Tensor) -> Tensor:
    """Return the tensor of the first process, everywhere: what was computed alike may differ between machines.

    Example:
        >>> from_first(torch.ones(2))
        tensor([1., 1.])
    """
    if process_count() > 1:
        tensor = tensor.contiguous().clone()
        dist.broadcast(tensor, 0)
    return tensor


def joined(vectors: Tensor) -> Tensor:
    """Return the vectors `[N, D]` of all processes in the order of their ranks; every process may have another N.

    Example:
        >>> joined(torch.zeros(3, 2)).shape
        torch.Size([3, 2])
    """
    if process_count() == 1:
        return vectors
    sizes = _sizes(vectors)
    padded = vectors.new_zeros(max(sizes), vectors.shape[1])
    padded[: len(vectors)] = vectors
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def joined_finite(vectors: Tensor) -> Tensor:
    """Return the vectors `[N, D]` of all processes whose squared lengths are finite.

    Example:
        >>> joined_finite(torch.tensor([[1.0], [torch.nan], [1e30], [2.0]])).flatten()
        tensor([1., 2.])
    """
    return joined(vectors[torch.isfinite(vectors.square().sum(-1))])


def draw_joined(vectors: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` random ones `[count, D]` of the vectors `[N, D]` of all processes, with repetition.

    The vectors themselves are not exchanged, only those that are drawn.

    Example:
        >>> draw_joined(torch.tensor([[5.0]]), 3, torch.Generator()).flatten()
        tensor([5., 5., 5.])
    """
    sizes = _sizes(vectors)
    pick = torch.randint(0, sum(sizes), (count,), generator=generator).to(vectors.device)
    pick = pick - sum(sizes[: process_rank()])
    if process_count() == 1:
        return vectors[pick]
    drawn = vectors.new_zeros(count, vectors.shape[1])
    mine = (pick >= 0) & (pick < len(vectors))
    drawn[mine] = vectors[pick[mine]]
    return add_up(drawn)


def _sizes(vectors: Tensor) -> list[int]:
    if process_count() == 1:
        return [len(vectors)]
    sizes = torch.zeros(process_count(), dtype=torch.int64, device=vectors.device)
    sizes[process_rank()] = len(vectors)
    return [int(size) for size in add_up(sizes)]
