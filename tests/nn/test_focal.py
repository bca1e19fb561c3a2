"""Focal modulation by its definition, with every switch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn.focal import FocalBlock, FocalCompressor, FocalDecompressor, FocalModulation, FocalSizes


def shaken(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module


class Through(nn.Module):
    def forward(self, x: Tensor, mean: Tensor | None) -> Tensor:
        return x


def modulated(layer: FocalModulation, x: Tensor) -> Tensor:
    """The definition, channel by channel."""
    c, levels = x.shape[-1], layer.sizes.levels
    everything = layer.inputs(x).transpose(1, 2)
    query, context, gates = everything[:, :c], everything[:, c : 2 * c], everything[:, 2 * c :]
    total = torch.zeros_like(query)
    for level, conv in enumerate(layer.contexts):
        taps = conv.kernel_size[0]
        padded = F.pad(context, ((taps - 1) // 2, taps // 2))
        context = F.gelu(F.conv1d(padded, conv.weight, conv.bias, groups=c))
        total = total + context * gates[:, level : level + 1]
    total = total + F.gelu(context.mean(2, keepdim=True)) * gates[:, levels:]
    out = query.transpose(1, 2) * layer.mix(total.transpose(1, 2) / (levels + 1 if layer.sizes.averaged else 1))
    return layer.out(layer.norm(out))


@pytest.mark.parametrize("window", [3, 4])
@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("norm_after", [False, True])
def test_modulation_is_its_definition(window: int, averaged: bool, norm_after: bool) -> None:
    sizes = FocalSizes(window=window, levels=3, factor=2, averaged=averaged, norm_after=norm_after)
    layer, x = shaken(FocalModulation(6, sizes)), torch.randn(2, 11, 6)
    wanted = modulated(layer, x)
    assert_near(layer(x), wanted)
    with torch.no_grad():
        assert_near(layer(x), wanted)


@pytest.mark.parametrize("norm_after", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_blocks_add_to_their_input(norm_after: bool, scaled: bool) -> None:
    sizes = FocalSizes(window=3, norm_after=norm_after, scaled=scaled)
    block, x = shaken(FocalBlock(6, sizes)), torch.randn(1, 9, 6)
    one = block.norm1(block.modulation(x)) if norm_after else block.modulation(block.norm1(x))
    half = x + one * (block.scale1 if scaled else 1)
    inner = half if norm_after else block.norm2(half)
    two = block.down(F.gelu(block.up(inner)))
    wanted = half + (block.norm2(two) if norm_after else two) * (block.scale2 if scaled else 1)
    assert_near(block(x), wanted)
    with torch.no_grad():
        assert_near(block(x), wanted)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_there_and_back_has_whole_strides(count: int) -> None:
    sizes = FocalSizes(window=3)
    there = shaken(FocalCompressor(8, (6, 5), (2, 2), 4, sizes))
    back = shaken(FocalDecompressor(4, (5, 6), (2, 2), 8, sizes))
    codes = there(torch.randn(2, count, 8))
    # Rounded up at each stage.
    assert codes.shape == (2, math.ceil(math.ceil(count / 2) / 2), 4)
    assert back(codes).shape == (2, 4 * codes.shape[1], 8)


def test_strided_convolutions_are_torchs() -> None:
    torch.manual_seed(0)
    down = FocalCompressor(8, (6,), (2,), 4, FocalSizes(window=3)).layers[0]
    down.block = nn.Identity()
    x = torch.randn(2, 8, 8)
    wanted = down.activation(F.conv1d(x.transpose(1, 2), down.conv.weight, down.conv.bias, 2)).transpose(1, 2)
    assert_near(down(x), wanted)
    up = FocalDecompressor(4, (6,), (2,), 8, FocalSizes(window=3)).layers[0]
    up.block = Through()
    y = torch.randn(2, 5, 6)
    wanted = F.conv_transpose1d(up.activation(y.transpose(1, 2)), up.conv.weight, up.conv.bias, 2).transpose(1, 2)
    assert_near(up(y), wanted)


@pytest.mark.parametrize("norm_after", [False, True])
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 1, 2)])
@pytest.mark.parametrize(("count", "steps"), [(1, 4), (40, 7), (60, 20)])
def test_pieces_are_the_whole(strides: tuple[int, int, int], norm_after: bool, count: int, steps: int) -> None:
    sizes = FocalSizes(window=4, levels=2, factor=3, norm_after=norm_after)
    back = shaken(FocalDecompressor(4, (5, 6, 7), strides, 8, sizes))
    with torch.no_grad():
        x = torch.randn(2, count, 4)
        pieces = list(back.pieces(x, steps))
        assert [piece.shape[1] for piece in pieces[:-1]] == [back.stride * steps] * (len(pieces) - 1)
        assert back.stride == math.prod(strides)
        assert_near(torch.cat(pieces, 1), back(x))


def test_modulation_sees_as_far_as_it_says() -> None:
    layer = shaken(FocalModulation(6, FocalSizes(window=4, levels=2, factor=3)))
    x, mean = torch.randn(1, 41, 6), torch.zeros(1, 1, 6)
    changed = x.clone()
    changed[:, 20] += 1.0
    seen = (layer(changed, mean) - layer(x, mean)).abs().amax((0, 2)).nonzero().flatten()
    # Taps of 4 and 7, whose odd one is at the end: 2 + 3 before, 1 + 3 after.
    assert layer.reach == 5 and (int(seen.min()), int(seen.max())) == (15, 24)


def test_every_parameter_learns() -> None:
    sizes = FocalSizes(window=3, norm_after=True, scaled=True)
    network = nn.Sequential(FocalCompressor(8, (6,), (2,), 4, sizes), FocalDecompressor(4, (6,), (2,), 8, sizes))
    (network(torch.randn(1, 6, 8)) * torch.randn(8)).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
