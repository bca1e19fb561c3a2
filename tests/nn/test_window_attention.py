"""Heads and windows against plain definitions in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn.window_attention import turned_heads, windowed


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize(("head", "index"), [(8, 0), (20, 1), (128, 1)])
def test_heads_are_normalised_and_turned(head: int, index: int):
    parts, norm, quarter = 3 * normal(7, 3, 2, head) + 0.5, nn.LayerNorm(head, eps=1e-2), head // 4
    norm.weight.copy_(1 + normal(head, seed=1)), norm.bias.copy_(normal(head, seed=2))
    angles = normal(7, quarter, seed=3)
    found = turned_heads(parts, index, norm, (angles.cos(), angles.sin()))
    heads, angles = (
        nn.functional.layer_norm(parts[:, index].double(), (head,), norm.weight.double(), norm.bias.double(), 1e-2),
        angles.double(),
    )
    wanted = heads.clone()
    for pair in range(quarter):
        a, b, angle = heads[..., pair], heads[..., pair + quarter], angles[:, None, pair]
        wanted[..., pair] = a * angle.cos() - b * angle.sin()
        wanted[..., pair + quarter] = b * angle.cos() + a * angle.sin()
    assert found.shape == (2, 7, head) and found.is_contiguous()
    assert_near(found.double(), wanted.transpose(0, 1))


@torch.no_grad()
def test_heads_of_a_batch_are_those_of_its_items():
    parts, norm, angles = normal(3, 5, 3, 2, 8), nn.LayerNorm(8), normal(5, 2)
    rotation = (angles.cos(), angles.sin())
    batch = turned_heads(parts, 1, norm, rotation)
    assert_near(batch, torch.stack([turned_heads(item, 1, norm, rotation) for item in parts]))


def looked(query: Tensor, key: Tensor, value: Tensor, window: tuple[int, int], first: int) -> Tensor:
    """One head's steps one after the other, in float64."""
    rows = []
    for number, step in enumerate(query.double()):
        near = slice(max(0, first + number - window[0]), first + number + window[1] + 1)
        scores = key[near].double() @ step / math.sqrt(len(step))
        rows.append(scores.softmax(0) @ value[near].double())
    return torch.stack(rows)


@pytest.mark.parametrize("window", [(31, 32), (0, 0), (5, 0), (0, 200), (300, 300)])
@pytest.mark.parametrize(
    ("first", "count", "keys"), [(0, 1, 1), (0, 150, 150), (20, 129, 149), (3, 64, 90), (40, 65, 105)]
)
def test_steps_see_their_windows_and_nothing_else(window: tuple[int, int], first: int, count: int, keys: int):
    query, key, value = normal(2, count, 8), normal(2, keys, 8, seed=1), normal(2, keys, 8, seed=2)
    found = windowed(query, key, value, window, first)
    wanted = [looked(query[head], key[head], value[head], window, first) for head in range(2)]
    assert_near(found.double(), torch.cat(wanted, dim=1))


def test_batches_and_gradients_pass():
    parts = [normal(3, 2, 70, 8, seed=seed).requires_grad_() for seed in range(3)]
    found = windowed(*parts, (4, 3))
    assert_near(found[1], windowed(*(part[1] for part in parts), (4, 3)))
    found[:, 66].sum().backward()
    assert parts[1].grad is not None
    assert [int(step) for step in parts[1].grad.abs().sum((0, 1, 3)).nonzero()] == list(range(62, 70))
