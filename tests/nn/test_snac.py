"""SNAC's networks give block by block what they give on the whole signal."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.near import assert_near
from tests.nn.support import in_pieces
from tokaudio.nn import snac
from tokaudio.nn.snac import Down, SnacDecoder, SnacEncoder, Up


def lively(network: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for name, parameter in network.named_parameters():
        if name.endswith("alpha"):
            nn.init.uniform_(parameter, 0.5, 2.0)
        elif name.endswith("bias"):
            nn.init.normal_(parameter, std=0.2)
    return network.eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that a short signal is cut, and both kinds of levels are there."""
    monkeypatch.setattr(snac, "_SLICE", 64 * 8)
    monkeypatch.setattr(snac, "_LIGHT", 3000)


@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize("window", [None, 4])
def test_encoder_in_blocks(depthwise: bool, window: int | None) -> None:
    encoder = lively(SnacEncoder(16, (2, 3, 4), window=window, depthwise=depthwise))
    assert encoder.latent_dim == 128
    light, heavy = snac._split(encoder.levels)
    assert light and heavy
    x = torch.randn(24 * 40, 1)
    wanted = encoder(x.T[None])[0].T
    assert wanted.shape == (40, 128) and float(wanted.std()) > 1e-3
    for cuts in ([960], [400, 560], [1, 300, 0, 659]):
        assert_near(in_pieces(encoder.stage(), x, cuts), wanted, within=0.0001)


@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("noise", [True, False])
def test_decoder_in_blocks(depthwise: bool, window: int | None, noise: bool) -> None:
    decoder = lively(SnacDecoder(24, 64, (4, 3, 2), window=window, noise=noise, depthwise=depthwise))
    assert [block.level for block in decoder.noise_blocks] == ([0, 1, 2] if noise else [])
    x = torch.randn(40, 24)
    wanted = decoder(x.T[None])[0].T
    assert wanted.shape == (960, 1) and float(wanted.std()) > 1e-3 and float(wanted.abs().max()) <= 1
    for cuts in ([40], [23, 17], [1, 20, 0, 19]):
        assert_near(in_pieces(decoder.stage(), x, cuts), wanted, within=0.0001)


@pytest.mark.parametrize("stride", [2, 3, 8])
def test_levels_change_the_rate_exactly(stride: int) -> None:
    down, up = lively(Down(4, stride)), lively(Up(4, stride))
    assert down(torch.randn(1, 4, 7 * stride)).shape == (1, 8, 7)
    assert up(torch.randn(1, 4, 7)).shape == (1, 2, 7 * stride)


@pytest.mark.parametrize("stride", [2, 3, 5, 8])
def test_transposed_convolutions_lose_the_odd_step_at_the_start(stride: int) -> None:
    up, before = lively(Up(4, stride)), (stride + 1) // 2
    x = torch.randn(1, 4, 7)
    wanted = F.conv_transpose1d(x, up.conv.weight, up.conv.bias, stride, before, stride % 2)
    assert_near(up.conv(x), wanted)


def test_silence_before_and_after_changes_the_middle_nowhere() -> None:
    """What the context of a frame is: frames far from both ends are those of a longer signal."""
    encoder = lively(SnacEncoder(4, (2, 2)))
    x = torch.randn(1, 1, 1200)
    alone, longer = encoder(x), encoder(torch.cat([torch.randn(1, 1, 400), x, torch.randn(1, 1, 400)], 2))
    assert_near(alone[..., 60:-60], longer[..., 160:-160])
    assert not torch.allclose(alone[..., :5], longer[..., 100:105], atol=1e-5)
