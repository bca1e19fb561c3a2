"""SQ-Codec's networks against torch's own layers, whole and in blocks."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn.prelu_unit import PReLU
from tokaudio.nn.sq_codec import DILATIONS, MeanPool, Repeat, sq_decoder, sq_encoder
from tokaudio.nn.stages import stage_of

STRIDES, KERNELS = (2, 5), (4, 10)
VARIANTS = [(True, 1), (True, 2), (False, 1), (False, 3)]


def filled(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for value in network.parameters():
        noise = torch.rand(value.shape, generator=generator)
        value.data.copy_(noise if value.numel() == 1 else (noise - 0.5) * 2 * value[0].numel() ** -0.5)
    return network.requires_grad_(False)


def convolved(x: Tensor, conv: nn.Module, *, back: bool, stride: int = 1, dilation: int = 1) -> Tensor:
    """As published: zeros before the signal for all but one tap, or half of that, rounded down, on either side."""
    reach = (conv.weight.shape[2] - 1) * dilation
    if back:
        return F.conv1d(F.pad(x, (reach, 0)), conv.weight, conv.bias, stride, 0, dilation)
    return F.conv1d(x, conv.weight, conv.bias, stride, int(reach / 2), dilation)


def unit(x: Tensor, layers: nn.Module, dilation: int, *, back: bool) -> Tensor:
    wide, first, narrow, second = layers.body
    out = F.prelu(convolved(x, wide, back=back, dilation=dilation), first.weight)
    return F.prelu(convolved(out, narrow, back=back), second.weight) + x


def encoded(network: nn.Module, x: Tensor, *, back: bool, pool: int) -> Tensor:
    first, *blocks, last = network
    x = convolved(x, first[0], back=back)
    if pool > 1:
        x = F.avg_pool1d(F.prelu(convolved(x, first[1], back=back), first[2].weight), pool)
    for block, stride in zip(blocks, STRIDES, strict=True):
        for number, dilation in enumerate(DILATIONS):
            x = unit(x, block[number], dilation, back=back)
        x = F.prelu(convolved(x, block[5], back=back, stride=stride), block[6].weight)
    return convolved(x, last, back=back)


def decoded(network: nn.Module, x: Tensor, *, back: bool, pool: int) -> Tensor:
    first, *blocks, last = network
    x = convolved(x, first, back=False)
    for block, stride, kernel in zip(blocks, STRIDES[::-1], KERNELS[::-1], strict=True):
        edge = 0 if back else (kernel - stride) // 2
        x = F.conv_transpose1d(x, block[0].weight, block[0].bias, stride, edge)
        x = x[..., :-stride] if back else x
        for number, dilation in enumerate(DILATIONS):
            x = unit(x, block[number + 1], dilation, back=back)
    if pool > 1:
        batch, channels, steps = x.shape
        x = x.mT.repeat(1, 1, pool).view(batch, steps * pool, channels).mT
        x = F.prelu(convolved(x, last[1], back=back), last[2].weight)
    return convolved(x, last[-1], back=back)


def in_blocks(network: nn.Module, x: Tensor, size: int) -> Tensor:
    stage, blocks = stage_of(network), x[0].T.split(size)
    return torch.cat([stage(part.clone(), number + 1 == len(blocks)) for number, part in enumerate(blocks)]).T[None]


@pytest.mark.parametrize(("back", "pool"), VARIANTS)
@torch.no_grad()
def test_the_encoder_is_the_published_one_whole_and_in_blocks(back: bool, pool: int):
    network = filled(sq_encoder(6, STRIDES, KERNELS, 9, back=back, pool=pool))
    sound = torch.randn(1, 1, 600, generator=torch.Generator().manual_seed(1))
    wanted = encoded(network, sound, back=back, pool=pool)
    assert wanted.shape == (1, 9, 60 // pool)
    assert_near(network(sound), wanted)
    for size in (600, 77):
        assert_near(in_blocks(network, sound, size), wanted)


@pytest.mark.parametrize(("back", "pool"), VARIANTS)
@torch.no_grad()
def test_the_decoder_is_the_published_one_whole_and_in_blocks(back: bool, pool: int):
    network = filled(sq_decoder(9, 6, STRIDES[::-1], KERNELS[::-1], back=back, pool=pool))
    vectors = torch.randn(1, 9, 40, generator=torch.Generator().manual_seed(1))
    wanted = decoded(network, vectors, back=back, pool=pool)
    # Without looking back only, an odd stride gives one sample more.
    assert wanted.shape == (1, 1, (400 if back else 402) * pool)
    assert_near(network(vectors), wanted)
    for size in (40, 7):
        assert_near(in_blocks(network, vectors, size), wanted)


@pytest.mark.parametrize("module", [PReLU(), MeanPool(3), Repeat(3)])
def test_stages_do_what_modules_do_and_gradients_pass(module: nn.Module):
    x = torch.randn(1, 2, 11, generator=torch.Generator().manual_seed(1)).requires_grad_()
    wanted = module(x)
    wanted.square().sum().backward()
    assert x.grad is not None and bool(x.grad.any())
    with torch.no_grad():
        assert_near(in_blocks(module, x, 4), wanted)
        assert module.stage()(x[0].T[:0], last=False).shape == (0, 2)
