"""Mimi's networks: in blocks as in one go, causal, with the paddings and the slip of the published ones."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn.mimi import DepthwiseUpsampling, MimiDecoder, MimiEncoder, TransformerSizes
from tokaudio.nn.seanet import SEANet
from tokaudio.nn.stages import stage_of

NET = SEANet(filters=4, dimension=8, ratios=(4, 2), causal=True, padding="zeros", conv_shortcut=False, lstm_layers=0)
SIZES = TransformerSizes(layers=2, heads=2, hidden=16, window=6)
HOP = 16


def made(kind: type[MimiEncoder] | type[MimiDecoder]) -> MimiEncoder | MimiDecoder:
    torch.manual_seed(0)
    network = kind(NET, SIZES, stride=2)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "scale" in name:
                parameter.fill_(0.5)
            elif parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape))
    return network.eval().requires_grad_(False)


def sound(channels: int, steps: int, seed: int = 1) -> Tensor:
    return torch.randn(1, channels, steps, generator=torch.Generator().manual_seed(seed))


def in_blocks(network: nn.Module, x: Tensor, lengths: list[int]) -> Tensor:
    stage, blocks = stage_of(network), x[0].T.split(lengths)
    return torch.cat([stage(block.contiguous(), i == len(blocks) - 1) for i, block in enumerate(blocks)]).T[None]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(sum))
def test_the_encoder_in_blocks_of_any_length(lengths: list[int]):
    network, x = made(MimiEncoder), sound(1, sum(lengths))
    whole = network(x)
    assert whole.shape == (1, 8, -(-sum(lengths) // HOP)), "one latent for every frame begun"
    assert_near(in_blocks(network, x, lengths), whole)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(sum))
def test_the_decoder_in_blocks_of_any_length_gives_all_that_is_due_at_once(lengths: list[int]):
    network, x = made(MimiDecoder), sound(8, sum(lengths))
    stage, out = stage_of(network), []
    for index, block in enumerate(x[0].T.split(lengths)):
        out.append(stage(block.contiguous(), index == len(lengths) - 1))
        assert len(out[-1]) == len(block) * HOP
    assert_near(torch.cat(out).T[None], network(x))


def test_no_output_depends_on_later_input():
    encoder, decoder = made(MimiEncoder), made(MimiDecoder)
    x, z = sound(1, 10 * HOP), sound(8, 10)
    for network, given_, unit, due in ((encoder, x, HOP, 1), (decoder, z, 1, HOP)):
        changed = given_.clone()
        changed[..., 6 * unit :] = 0
        same = network(changed) == network(given_)
        assert bool(same[..., : 6 * due].all())
        assert not bool(same[..., 6 * due : 7 * due].all())


def test_the_ends_of_the_latents_are_repeated_not_zero():
    network = made(MimiEncoder)
    network.transformer, network.seanet = nn.Identity(), nn.Identity()
    steps = sound(8, 5)
    padded = torch.cat([steps[..., :1].expand(1, 8, 2), steps, steps[..., -1:]], dim=2)
    torch.testing.assert_close(network(steps), F.conv1d(padded, network.downsample.weight, stride=2))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_every_channel_is_spread_alone(stride: int):
    torch.manual_seed(0)
    layer, x = DepthwiseUpsampling(3, stride).requires_grad_(False), sound(3, 7)
    wanted = torch.zeros(3, 7 * stride + stride)
    for channel in range(3):
        for step in range(7):
            start = step * stride
            wanted[channel, start : start + 2 * stride] += x[0, channel, step] * layer.weight[channel, 0]
    torch.testing.assert_close(layer(x)[0], wanted[:, : 7 * stride])
    torch.testing.assert_close(in_blocks(layer, x, [3, 0, 4]), layer(x))


def test_a_full_upsampling_is_there_for_weights_that_have_one():
    torch.manual_seed(0)
    network, x = MimiDecoder(NET, SIZES, stride=2, depthwise=False).requires_grad_(False), sound(8, 6)
    assert network.upsample.weight.shape == (8, 8, 4)
    assert_near(in_blocks(network, x, [2, 4]), network(x))
