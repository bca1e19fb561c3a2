"""DualCodec's ConvNeXt blocks: the formula, stages, and that they look back only."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn.dualcodec import CausalConvNeXt, narrowing, widening


def shaken(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return module.eval().requires_grad_(False)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


NARROW, WIDE = shaken(narrowing(12, 8, 20, blocks=2)), shaken(widening(8, 12, 20, blocks=2))


def test_a_block_is_convolution_norm_and_perceptron():
    block, x = shaken(CausalConvNeXt(8, 20)), noise(2, 8, 15)
    y = F.conv1d(F.pad(x, (6, 0)), block.dwconv.weight, block.dwconv.bias, groups=8).transpose(1, 2)
    y = F.layer_norm(y, (8,), block.norm.weight, block.norm.bias, 1e-6)
    assert_near(block(x), x + block.pwconv2(F.gelu(block.pwconv1(y))).transpose(1, 2))


def test_blocks_look_back_only():
    x = noise(1, 12, 20)
    later = x.clone()
    later[..., 9:] += 1
    assert_near(NARROW(later)[..., :9], NARROW(x)[..., :9])
    assert not torch.allclose(NARROW(later)[..., 9], NARROW(x)[..., 9], atol=1e-3)


@settings(max_examples=15)
@given(cuts=pieces(30))
def test_stages_equal_forward(cuts: list[int]):
    for module, width in ((NARROW, 12), (WIDE, 8)):
        x = noise(sum(cuts), width)
        assert_near(in_pieces(module.stage(), x, cuts), module(x.T[None])[0].T)
