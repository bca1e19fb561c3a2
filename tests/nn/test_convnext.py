"""ConvNeXt blocks over frames: what they see, and what they compute."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn.convnext import ConvNeXtBlock, ConvNeXtStack, FrameConv


def seen_by(network: nn.Module, dim: int, frames: int = 41) -> list[int]:
    """Return the distances at which an input frame matters: a NaN spreads to all that depends on it."""
    poisoned = torch.zeros(1, frames, dim)
    poisoned[0, frames // 2] = torch.nan
    with torch.no_grad():
        out = network(poisoned)
    return (out[0].isnan().any(1).nonzero().squeeze(1) - frames // 2).tolist()


@pytest.mark.parametrize("kernel_size", [1, 3, 7])
def test_a_convolution_sees_its_declared_reach(kernel_size: int):
    conv = FrameConv(4, 6, kernel_size)
    assert seen_by(conv, 4) == [*range(-conv.reach, conv.reach + 1)]


@pytest.mark.parametrize(("blocks", "kernel_size", "entry"), [(0, 7, 7), (1, 3, 1), (2, 7, 7), (3, 5, 3)])
def test_a_stack_sees_its_declared_reach(blocks: int, kernel_size: int, entry: int):
    stack = ConvNeXtStack(4, 8, blocks=blocks, expansion=2, kernel_size=kernel_size, entry_kernel_size=entry)
    assert seen_by(stack, 4) == [*range(-stack.reach, stack.reach + 1)]


def by_loops(conv: FrameConv, frames: Tensor) -> Tensor:
    batch, count, _ = frames.shape
    out_dim, width, _ = conv.weight.shape
    per_group = out_dim // conv.groups
    out = conv.bias.double().expand(batch, count, out_dim).clone()
    for frame in range(count):
        for tap in range(conv.kernel_size):
            at = frame + tap - conv.reach
            if 0 <= at < count:
                for to in range(out_dim):
                    start = to // per_group * width
                    out[:, frame, to] += (
                        frames[:, at, start : start + width].double() @ conv.weight[to, :, tap].double()
                    )
    return out


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_convolution_equals_loops(groups: int):
    torch.manual_seed(0)
    conv = FrameConv(4, 8, 3, groups=groups)
    nn.init.normal_(conv.bias)
    frames = torch.randn(2, 9, 4)
    with torch.no_grad():
        assert_near(conv(frames).double(), by_loops(conv, frames))


def test_a_block_adds_a_scaled_perceptron_of_the_mixed_frames():
    torch.manual_seed(0)
    block, frames = ConvNeXtBlock(8, expansion=1.5, layer_scale=0.1), torch.randn(2, 12, 8)
    mixed = by_loops(block.conv, frames).float()
    normed = (mixed - mixed.mean(-1, keepdim=True)) / (mixed.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    hidden = F.gelu(normed @ block.widen.weight.T + block.widen.bias)
    assert hidden.shape[-1] == 12
    wanted = frames + 0.1 * (hidden @ block.narrow.weight.T + block.narrow.bias)
    assert_near(block(frames), wanted, within=0.0001)


def test_inner_frames_do_not_depend_on_where_they_stand():
    torch.manual_seed(0)
    stack = ConvNeXtStack(4, 8, blocks=2, expansion=2).eval()
    frames = torch.randn(1, 60, 4)
    whole, part = stack(frames), stack(frames[:, 15:])
    inner = slice(stack.reach, 45)
    assert_near(part[:, inner], whole[:, 15:][:, inner])


def test_even_kernels_are_refused():
    with pytest.raises(ValueError, match="must be odd to keep the number of frames, got 4"):
        FrameConv(2, 2, 4)
