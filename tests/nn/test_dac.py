"""DAC's networks: against PyTorch's own layers, and stages against whole signals."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.near import assert_near
from tokaudio.nn import dac
from tokaudio.nn.dac import DacDecoder, DacEncoder
from tokaudio.nn.dilated_unit import DilatedUnit


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def scattered(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Return a module whose every tensor matters, and that does not blow rounding up."""
    generator = torch.Generator().manual_seed(seed)
    for value in module.parameters():
        noise = torch.randn(value.shape, generator=generator)
        neutral = value.dim() == 1 and value[0] == 1
        value.copy_(1 + 0.2 * noise if neutral else 0.4 * noise / value[0].numel() ** 0.5)
    return module


def in_pieces(module: torch.nn.Module, steps: Tensor, sizes: list[int]) -> Tensor:
    stage, out, at = module.stage(), [], 0
    for size in sizes:
        out.append(stage(steps[at : at + size], at + size >= len(steps)))
        at += size
    return torch.cat(out)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dilation", [1, 3, 9])
@pytest.mark.parametrize("channels", [6, 512])
def test_a_unit_equals_the_paper(dilation: int, channels: int):
    unit, x = scattered(DilatedUnit(channels, dilation=dilation)), noise(1, channels, 70)
    first, wide, second, single = unit.body

    def snake(values: Tensor, alpha: Tensor) -> Tensor:
        return values + torch.sin(alpha[:, None] * values) ** 2 / (alpha[:, None] + 1e-9)

    inner = F.conv1d(snake(x, first.alpha), wide.weight, wide.bias, padding=3 * dilation, dilation=dilation)
    wanted = x + F.conv1d(snake(inner, second.alpha), single.weight, single.bias)
    torch.testing.assert_close(unit(x), wanted)
    for sizes in ([70], [1] * 70, [27, 3, 40], [40, 0, 30]):
        got = in_pieces(unit, x[0].T.contiguous(), sizes)
        assert_near(got, wanted[0].T)


@pytest.mark.parametrize("strides", [(2, 4, 5, 8), (2, 4, 8, 8), (3, 2)])
@pytest.mark.parametrize("frames", [1, 2, 9])
def test_the_encoder_in_pieces_equals_the_whole(strides: tuple[int, ...], frames: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dac, "_SLICE", 1024)
    encoder, hop = scattered(DacEncoder(4, strides, 12)), math.prod(strides)
    x = noise(1, 1, frames * hop)
    wanted = encoder(x)
    assert wanted.shape == (1, 12, frames)
    for sizes in ([frames * hop], [hop] * frames, [hop // 2, frames * hop - hop // 2]):
        got = in_pieces(encoder, x[0].T, sizes)
        assert_near(got, wanted[0].T)


@pytest.mark.parametrize(("strides", "short"), [((8, 5, 4, 2), 8), ((8, 8, 4, 2), 0), ((3, 5), 6)])
@pytest.mark.parametrize("frames", [1, 3, 11])
def test_the_decoder_in_pieces_equals_the_whole(
    strides: tuple[int, ...], short: int, frames: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dac, "_SLICE", 1024)
    decoder, x = scattered(DacDecoder(12, 32, strides)), noise(1, 12, frames)
    wanted = decoder(x)
    assert wanted.shape == (1, 1, frames * math.prod(strides) - short)
    assert float(wanted.abs().max()) <= 1
    for sizes in ([frames], [1] * frames):
        got = in_pieces(decoder, x[0].T.contiguous(), sizes)
        assert_near(got, wanted[0].T)


def test_an_upsampling_is_pytorchs_transposed_convolution():
    for stride in (2, 4, 5, 8):
        up, x = scattered(dac.upsampling(8, stride)), noise(2, 8, 6)
        wanted = F.conv_transpose1d(x, up.weight, up.bias, stride, (stride + 1) // 2)
        torch.testing.assert_close(up(x), wanted)


def test_a_complete_upsampling_has_output_padding_where_the_stride_is_odd():
    for stride in (2, 3, 4, 5, 8):
        up, x = scattered(dac.upsampling(8, stride, complete=True)), noise(2, 8, 6)
        edge = (stride + 1) // 2
        wanted = F.conv_transpose1d(x, up.weight, up.bias, stride, edge, output_padding=stride % 2)
        assert wanted.shape[2] == 6 * stride
        assert_near(up(x), wanted)


@pytest.mark.parametrize("frames", [1, 7])
def test_a_complete_decoder_without_bounds_in_pieces_equals_the_whole(frames: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dac, "_SLICE", 1024)
    decoder, x = scattered(DacDecoder(12, 32, (5, 2, 3), complete=True, bounded=False)), noise(1, 12, frames)
    wanted = decoder(x)
    assert wanted.shape == (1, 1, frames * 30)
    bounded = DacDecoder(12, 32, (5, 2, 3), complete=True)
    bounded.load_state_dict(decoder.state_dict())
    assert_near(bounded(x), wanted.tanh())
    for sizes in ([frames], [1] * frames):
        assert_near(in_pieces(decoder, x[0].T.contiguous(), sizes), wanted[0].T)


def test_both_networks_learn():
    with torch.enable_grad():
        encoder, decoder = DacEncoder(4, (2, 4), 12), DacDecoder(12, 16, (4, 2))
        decoder(encoder(noise(1, 1, 64))).square().sum().backward()
    for module in (encoder, decoder):
        assert all(value.grad is not None and bool(value.grad.any()) for value in module.parameters())
