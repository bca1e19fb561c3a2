"""Short-time spectra by hand: the values and gradients of plain transforms, whatever the window and the hop."""

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.training.spectra import spectra


def plain(signal: Tensor, window: Tensor, hop: int) -> tuple[Tensor, Tensor]:
    parts = torch.view_as_real(torch.fft.rfft(signal.unfold(-1, len(window), hop) * window))
    return parts, parts.square().sum(-1)


def signals() -> Tensor:
    return torch.randn(2, 61, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


SIZES = ((8, 2), (8, 4), (8, 8), (9, 4), (8, 3), (5, 1), (7, 10), (61, 5))


@pytest.mark.parametrize(("size", "hop"), SIZES)
def test_spectra_are_those_of_plain_transforms(size: int, hop: int):
    window = torch.hann_window(size, dtype=torch.float64) + 0.1
    for found, wanted in zip(spectra(signals(), window, hop), plain(signals(), window, hop), strict=True):
        assert_near(found, wanted, within=1e-12)


@pytest.mark.parametrize("part", (0, 1, 2))
@pytest.mark.parametrize(("size", "hop"), SIZES)
def test_gradients_are_those_of_plain_transforms(size: int, hop: int, part: int):
    window = torch.hann_window(size, dtype=torch.float64) + 0.1
    gradients = []
    for way in (spectra, plain):
        signal = signals().requires_grad_()
        parts, energy = way(signal, window, hop)
        total = (parts.sin().sum(), (energy + 1).log().sum())
        (sum(total) if part == 2 else total[part]).backward()
        gradients.append(signal.grad)
    assert_near(gradients[0], gradients[1], within=1e-12)
