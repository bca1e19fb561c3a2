"""Entropies of codes whose bits are soft: what keeps lookup-free and spherical codebooks in use.

A vector z is on the side of bit d with probability p_d = sigmoid(a z_d), and, as the distances to the corners of a cube
are sums over dimensions, the bits of one vector are independent: its code's probability is the product of its bits'.
The mean entropy of one vector's code is therefore exactly the sum over its bits (Zhao et al. 2024, arXiv:2406.07548,
section 3.3). The entropy of the mean distribution over all 2^d codes (Yu et al. 2023, arXiv:2310.05737, equation 5) is
not: mixing vectors makes bits depend on each other. Two ways keep it in memory here. The table of a group of bits is
made as one matrix product of two half tables, so that N vectors cost N 2^(d/2) numbers and not N 2^d; and wide codes
can be split into groups, whose entropies add up to an upper bound, equal where groups are independent.

Both begin with a mean over vectors, which may reach over the vectors of other processes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

# Makes the mean of a sum over so many vectors.
Mean = Callable[[Tensor, int], Tensor]


def own_mean(total: Tensor, count: int) -> Tensor:
    """Return the mean, of a sum over `count` vectors; zero of none.

    Example:
        >>> own_mean(torch.tensor([6.0]), 3)
        tensor([2.])
    """
    return total / max(1, count)


def bit_entropy(logits: Tensor, *, mean: Mean = own_mean) -> Tensor:
    """Return the mean entropy of codes in nats, of logits of their bits `[N, d]`.

    Args:
        logits: of the bits of N vectors.
        mean: makes the mean of a sum over N vectors.

    Example:
        >>> (bit_entropy(torch.zeros(5, 3)) / torch.tensor(2.0).log()).round(decimals=4)
        tensor(3.)
    """
    # -p log p - (1 - p) log(1 - p) for p = sigmoid(x) is softplus(x) - x p, without a logarithm of zero.
    return mean((F.softplus(logits) - logits * torch.sigmoid(logits)).sum(), len(logits))


def codebook_entropy(logits: Tensor, *, group: int, mean: Mean = own_mean) -> Tensor:
    """Return the entropy in nats of the mean distribution of codes, of logits of their bits `[N, d]`.

    Args:
        logits: of the bits of N vectors.
        group: bits whose joint distribution is taken; from d on the result is exact, below it is the sum over groups,
            which is never smaller.
        mean: makes the mean of a sum over N vectors.

    Example:
        >>> logits = torch.tensor([[9.0, 9.0], [-9.0, -9.0]])  # bits that always agree
        >>> [round(float(codebook_entropy(logits, group=g)) / 0.6931, 2) for g in (1, 2)]
        [2.0, 1.0]
    """
    total = logits.new_zeros(())
    for part in logits.split(group, dim=-1):
        half = part.shape[-1] // 2
        # Mean over vectors of the outer products of the tables of both halves.
        joint = mean(code_shares(part[:, :half]).T @ code_shares(part[:, half:]), len(part))
        total = total - torch.xlogy(joint, joint.clamp_min(1e-30)).sum()
    return total


def code_shares(logits: Tensor) -> Tensor:
    """Return the probability `[N, 2^d]` of every code, first bit highest, of logits of the bits `[N, d]`.

    Example:
        >>> code_shares(torch.tensor([[0.0, 2.0]]).log()).round(decimals=2)  # bits that are 1 with 0 and 2/3
        tensor([[0.3300, 0.6700, 0.0000, 0.0000]])
    """
    shares = logits.new_ones(len(logits), 1)
    for bit in logits.unbind(-1):
        pair = torch.stack([torch.sigmoid(-bit), torch.sigmoid(bit)], dim=-1)
        shares = (shares[:, :, None] * pair[:, None]).flatten(1)
    return shares
