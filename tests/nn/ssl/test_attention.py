"""Attention with distances: by parts and by definition, with and without what is compiled."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.nn.ssl import attention
from tokaudio.nn.ssl.attention import Attention, biased
from tokaudio.nn.ssl.positions import Distances, PositionalConv


def by_definition(query: Tensor, key: Tensor, value: Tensor, gates: Tensor, distances: Tensor) -> Tensor:
    count = query.shape[1]
    table = torch.stack([distances[:, count - 1 - t : 2 * count - 1 - t] for t in range(count)], dim=1)
    scores = query @ key.transpose(1, 2) / query.shape[2] ** 0.5 + gates[..., None] * table
    return scores.softmax(-1) @ value


@pytest.mark.parametrize("count", [1, 2, 63, 64, 150])
@pytest.mark.parametrize("compiled", [True, False])
def test_biased_attention_is_its_definition(monkeypatch, count: int, compiled: bool) -> None:
    monkeypatch.setattr(attention, "_SCORES", 64)
    monkeypatch.setattr(attention, "_LEAST_ROWS", 16)
    monkeypatch.setattr(attention, "_QUERIES", 16)
    if not compiled:
        monkeypatch.setattr(attention, "_compiled", lambda: None)
    torch.manual_seed(count)
    query, key, value = torch.randn(3, 2, count, 8)
    gates, distances = torch.rand(2, count) * 3, torch.randn(2, 2 * count - 1)
    with torch.no_grad():
        assert_near(biased(query, key, value, gates, distances), by_definition(query, key, value, gates, distances))


def test_what_is_compiled_is_there() -> None:
    assert attention._compiled() is not None


@pytest.mark.parametrize("gated", [False, True])
def test_attention_trains_as_it_infers(gated: bool) -> None:
    torch.manual_seed(0)
    layer, x = Attention(8, 2, gated=gated), torch.randn(3, 20, 8)
    distances = torch.randn(2, 39) if gated else None
    with torch.no_grad():
        wanted = layer(x, distances)
    found = layer(x, distances)
    found.square().sum().backward()
    assert_near(found, wanted)
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


def test_distances_far_away_are_the_same_and_sides_differ() -> None:
    torch.manual_seed(0)
    values = Distances(2, buckets=16, longest=30)(200)
    assert values.shape == (2, 399)
    assert_near(values[:, :160], values[:, :1].expand(-1, 160))
    assert not torch.equal(values[:, 0], values[:, -1])
    assert not torch.equal(values[:, 198], values[:, 200])


def test_buckets_near_are_one_by_one() -> None:
    table = Distances(1, buckets=320, longest=800)
    assert table.buckets(torch.arange(-79, 1)).tolist() == list(range(79, -1, -1))
    assert table.buckets(torch.arange(1, 80)).tolist() == list(range(161, 240))
    assert table.buckets(torch.tensor([799, 800, 10**6])).tolist() == [319, 319, 319]
    coarse = table.buckets(torch.arange(80, 900))
    assert (coarse.diff() >= 0).all() and len(coarse.unique()) == 80


@pytest.mark.parametrize("taps", [4, 5])
def test_positions_are_a_centred_convolution(taps: int) -> None:
    torch.manual_seed(0)
    layer, x = PositionalConv(6, taps=taps, groups=2), torch.randn(2, 9, 6)
    plain = torch.nn.functional.conv1d(
        x.transpose(1, 2), layer.conv.weight, layer.conv.bias, padding=taps // 2, groups=2
    )
    assert_near(layer(x), x + torch.nn.functional.gelu(plain[..., :9]).transpose(1, 2))
