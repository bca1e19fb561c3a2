"""Attention within windows, against a slow and obvious twin."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn.local_attention import LocalAttention


def layer(channels: int = 8, window: int = 5, head_dim: int = 4) -> LocalAttention:
    torch.manual_seed(0)
    made = LocalAttention(channels, window=window, head_dim=head_dim)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return made.requires_grad_(False)


def slow(made: LocalAttention, steps: Tensor) -> Tensor:
    """One window `[n, C]`, one pair of steps at a time; a pair of entries is a complex number."""
    width, heads = made.head_dim, made.heads
    query, key, value = made.qkv(made.norm(steps)).chunk(3, dim=1)
    out = torch.zeros_like(steps)

    def turned(row: Tensor, position: int) -> Tensor:
        numbers = torch.complex(row[: width // 2], row[width // 2 :])
        angles = torch.tensor([position * 10000 ** (-2 * i / width) for i in range(width // 2)])
        return numbers * torch.exp(1j * angles)

    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        for i in range(len(steps)):
            q = turned(query[i, part], i)
            scores = torch.stack([(q * turned(key[j, part], j).conj()).real.sum() for j in range(len(steps))])
            out[i, part] = torch.softmax(scores / math.sqrt(width), 0) @ value[:, part]
    return steps + made.out(out)


def test_it_is_attention_with_turned_queries_and_keys() -> None:
    made = layer()
    x = torch.randn(1, 8, 13)
    wanted = torch.cat([slow(made, window) for window in x[0].T.split(5)]).T[None]
    assert_near(made(x), wanted, within=0.0001)


@settings(max_examples=40, deadline=None)
@given(cuts=pieces(60))
def test_blocks_equal_the_whole(cuts: list[int]) -> None:
    made = layer()
    x = torch.randn(sum(cuts), 8)
    assert_near(in_pieces(made.stage(), x, cuts), made(x.T[None])[0].T)


def test_windows_do_not_see_each_other() -> None:
    made = layer()
    x = torch.randn(1, 8, 20)
    changed = x.clone()
    changed[..., 5:10] += 1
    same = (made(x) - made(changed)).abs().amax((0, 1)) == 0
    assert same.tolist() == [True] * 5 + [False] * 5 + [True] * 10


def test_nothing_stays_nothing() -> None:
    made = layer()
    assert made(torch.zeros(1, 8, 0)).shape == (1, 8, 0)
    assert made.stage()(torch.zeros(0, 8), True).shape == (0, 8)


def test_channels_must_fill_heads() -> None:
    with pytest.raises(ValueError, match="multiple of the even head_dim 64, got 96"):
        LocalAttention(96, window=4)
