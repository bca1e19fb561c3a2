"""The convolutions over samples: in slices as on whole signals, with the statistics of the whole."""

from __future__ import annotations

import pytest
import torch

from tests.near import assert_near
from tokaudio.nn.ssl import front_end
from tokaudio.nn.ssl.front_end import FrontEnd, StridedConv
from tokaudio.nn.ssl.sizes import SpeechSizes


def made(*, bias: bool, norm: str, kernels: tuple[int, ...] = (10, 3, 3, 2), widths: tuple[int, ...] = (8, 6, 5, 7)):
    torch.manual_seed(0)
    sizes = SpeechSizes(
        conv_widths=widths, conv_kernels=kernels, conv_strides=(5, 2, 2, 2), conv_bias=bias, conv_norm=norm
    )
    network = FrontEnd(sizes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return sizes, network


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("samples", [0, 1, 39, 40, 3000])
def test_pieces_are_the_whole(monkeypatch, norm: str, bias: bool, samples: int) -> None:
    monkeypatch.setattr(front_end, "_STEPS", 16)
    monkeypatch.setattr(front_end, "_WINDOWS", 100)
    sizes, network = made(bias=bias, norm=norm)
    # An offset and a trend: statistics of slices would be other ones.
    samples += sizes.shortest
    waveform = 0.4 + 0.1 * torch.randn(samples) + torch.linspace(0, 1, samples)
    with torch.no_grad():
        pieces = [piece.clone() for piece in network.pieces(waveform)]
        assert_near(torch.cat(pieces), network(waveform[None])[0])
    assert sum(map(len, pieces)) == sizes.frames(samples)
    assert (len(pieces) > 10) == (samples > 1000)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_silence_is_finite(norm: str) -> None:
    _, network = made(bias=True, norm=norm)
    with torch.no_grad():
        pieces = torch.cat([piece.clone() for piece in network.pieces(torch.zeros(900))])
        assert_near(pieces, network(torch.zeros(1, 900))[0])


def test_loud_and_offset_sound_keeps_its_statistics() -> None:
    _, network = made(bias=False, norm="group")
    waveform = 100.0 + torch.randn(5000)
    with torch.no_grad():
        wanted = network.double()(waveform.double()[None])[0].float()
        found = torch.cat([piece.clone() for piece in network.float().pieces(waveform)])
        assert_near(found, wanted, within=2e-4)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_a_strided_convolution_is_one(kernel: int, stride: int, bias: bool) -> None:
    torch.manual_seed(kernel)
    conv = StridedConv(3, 4, kernel, stride=stride, bias=bias)
    steps = torch.randn(20, 3)
    out = torch.empty((20 - kernel) // stride + 1, 4)
    with torch.no_grad():
        conv.into(steps[1:], out[: (19 - kernel) // stride + 1])
        assert_near(out[: (19 - kernel) // stride + 1], conv(steps[1:].T[None])[0].T)


def test_gradients_reach_the_first_convolution() -> None:
    _, network = made(bias=True, norm="group")
    network(torch.randn(2, 500)).square().sum().backward()
    assert network.convs[0].weight.grad.abs().sum() > 0
