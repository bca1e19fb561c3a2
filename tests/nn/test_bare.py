"""Convolutions without bias into given memory: as PyTorch has them, by whichever product."""

import pytest
import torch
import torch.nn.functional as F

from tests.near import assert_near
from tokaudio.nn import bare
from tokaudio.nn.bare import convolve, spread
from tokaudio.nn.conv import Conv1d, ConvTranspose1d

SHAPES = [
    # channels in, out, taps, stride, dilation, groups
    (2, 32, 7, 1, 1, 1),
    (1, 4, 3, 2, 1, 1),
    (32, 16, 3, 1, 1, 1),
    (64, 32, 3, 1, 1, 1),
    (128, 64, 3, 1, 1, 1),
    (32, 2, 7, 1, 1, 1),
    (16, 32, 1, 1, 1, 1),
    (32, 64, 4, 2, 1, 1),
    (16, 8, 7, 3, 1, 1),
    (8, 8, 3, 1, 2, 1),
    (6, 6, 3, 1, 1, 6),
]


@pytest.mark.parametrize(("inputs", "outputs", "taps", "stride", "dilation", "groups"), SHAPES)
@pytest.mark.parametrize("compiled", [True, False])
def test_convolutions(
    inputs: int,
    outputs: int,
    taps: int,
    stride: int,
    dilation: int,
    groups: int,
    compiled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not compiled:
        monkeypatch.setattr(bare, "compiled", lambda name: None)
    torch.manual_seed(0)
    conv = Conv1d(inputs, outputs, taps, stride=stride, dilation=dilation, groups=groups).requires_grad_(False)
    torch.nn.init.normal_(conv.bias, std=100.0)
    for count in (1, 2, 29):
        # A window is a part of something larger, and its memory need not be its own.
        window = torch.randn(count * stride + conv.span + 5, inputs)[3 : 3 + (count - 1) * stride + conv.span]
        out = torch.full((count, outputs), torch.nan)
        convolve(conv, window, out)
        wanted = F.conv1d(window.T[None], conv.weight, None, stride, 0, dilation, groups)[0].T
        assert_near(out, wanted)


@pytest.mark.parametrize("taps", [3, 5, 6])
def test_transposed_convolutions(taps: int) -> None:
    conv = ConvTranspose1d(8, 5, taps, stride=3).requires_grad_(False)
    steps = torch.randn(11, 8)
    window = torch.cat([torch.zeros(1, 8), steps, torch.zeros(1, 8)])
    out = torch.full((36, 5), torch.nan)
    spread(conv, window, out)
    wanted = F.conv_transpose1d(steps.T[None], conv.weight, None, 3)[0].T
    assert_near(out[: len(wanted)], wanted)
