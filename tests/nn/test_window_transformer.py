"""Windowed transformer layers against loops in float64, whole and in blocks."""

import math

import pytest
import torch
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn.stages import stage_of
from tokaudio.nn.window_attention import windowed
from tokaudio.nn.window_transformer import WindowLayer, frequencies, window_layers


def filled(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for value in network.parameters():
        noise = torch.randn(value.shape, generator=generator)
        value.data.copy_(0.5 + 0.3 * noise if value.dim() == 1 else noise * value[0].numel() ** -0.5)
    return network.requires_grad_(False)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def turned(vector: Tensor, position: int, head: int) -> Tensor:
    """Turn dimension i together with i + head / 4, for the first half of a head."""
    out, quarter = vector.clone(), head // 4
    for pair in range(quarter):
        angle = position * 10_000 ** (-pair / quarter)
        a, b = vector[pair], vector[pair + quarter]
        out[pair] = a * math.cos(angle) - b * math.sin(angle)
        out[pair + quarter] = b * math.cos(angle) + a * math.sin(angle)
    return out


def twin(layer: WindowLayer, x: Tensor) -> Tensor:
    """One item `[T, D]`, step by step and head by head, in float64."""
    layer, x = layer.double(), x.double()
    width, head = x.shape[1], layer.head
    query, key, value = (layer.qkv(layer.norm1(x))[:, part * width : (part + 1) * width] for part in range(3))
    rows = []
    for t in range(len(x)):
        near = range(max(0, t - layer.window[0]), min(len(x), t + layer.window[1] + 1))
        found = []
        for start in range(0, width, head):
            own = slice(start, start + head)
            mine = turned(layer.query_norm(query[t, own]), t, head)
            scores = torch.stack([mine @ turned(layer.key_norm(key[s, own]), s, head) for s in near]) / math.sqrt(head)
            found.append(scores.softmax(0) @ value[near.start : near.stop, own])
        rows.append(torch.cat(found))
    x = x + layer.scale1 * layer.out(torch.stack(rows))
    wide = layer.up(layer.norm2(x))
    half = wide.shape[1] // 2
    x = x + layer.scale2 * layer.down(wide[:, :half] * nn.functional.silu(wide[:, half:]))
    layer.float()
    return x


@pytest.mark.parametrize("window", [(2, 3), (0, 0), (50, 50), (4, 0)])
def test_a_layer_equals_the_twin(window: tuple[int, int]):
    layer, x = filled(WindowLayer(16, window, head=8)), normal(2, 16, 11)
    for item in range(2):
        assert_near(layer(x)[item].T.double(), twin(layer, x[item].T))


@pytest.mark.parametrize("window", [(2, 3), (0, 0), (50, 50), (3, 0), (0, 2)])
@pytest.mark.parametrize("sizes", [[20], [1] * 20, [7, 0, 13], [3, 16, 1], [19, 1]])
@torch.no_grad()
def test_blocks_give_what_the_whole_gives(window: tuple[int, int], sizes: list[int]):
    network, x = filled(window_layers(16, 3, window, head=8)), normal(1, 16, 20)
    stage = stage_of(network)
    parts = [stage(part.contiguous(), number + 1 == len(sizes)) for number, part in enumerate(x[0].T.split(sizes))]
    assert_near(torch.cat(parts).T[None], network(x))


@torch.no_grad()
def test_a_stage_waits_for_no_more_than_its_window_and_keeps_no_more():
    stage = filled(WindowLayer(16, (4, 3), head=8)).stage()
    assert [len(stage(normal(10, 16), False)), len(stage(normal(10, 16), False))] == [7, 10]
    assert stage._seen[0].shape[1] == 4 + 3 and len(stage._waiting) == 3
    assert len(stage(normal(0, 16), True)) == 3


@torch.no_grad()
def test_positions_matter_by_their_distance_only():
    layer = filled(WindowLayer(16, (4, 4), head=8))
    steps = normal(1, 9, 16)
    early, late = (windowed(*layer.heads(steps, start), layer.window) for start in (0, 1000))
    assert_near(late, early, within=1e-3)


def test_impossible_sizes_are_refused():
    for head in (6, 3, 12):
        with pytest.raises(ValueError, match=f"multiple of 4 that divides 16, got {head}"):
            WindowLayer(16, (1, 1), head=head)
    with pytest.raises(ValueError, match="two numbers from 0"):
        WindowLayer(16, (-1, -1), head=8)
    assert len(frequencies(128)) == 32
