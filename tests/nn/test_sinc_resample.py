"""The resampler inside networks: against its definition, sample by sample, and against what a resampler must do."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.near import assert_near
from tokaudio.nn import sinc_resample
from tokaudio.nn.sinc_resample import SincResample


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


def obvious(samples: list[float], from_rate: int, to_rate: int) -> list[float]:
    """Each output sample as the sum of the sinc at its place, by plain loops over the whole signal."""
    cutoff, out = min(from_rate, to_rate) * 0.99, []
    for index in range(math.ceil(len(samples) * to_rate / from_rate)):
        total = 0.0
        for place, value in enumerate(samples):
            t = (place / from_rate - index / to_rate) * cutoff
            if abs(t) < 6:
                sinc = 1.0 if t == 0 else math.sin(math.pi * t) / (math.pi * t)
                total += value * sinc * math.cos(math.pi * t / 12) ** 2
        out.append(total * cutoff / from_rate)
    return out


@given(
    st.sampled_from([(24, 16), (16, 24), (3, 2), (48, 16), (16, 48), (441, 160), (5, 7)]),
    st.integers(1, 90),
)
@settings(max_examples=40, deadline=None)
def test_it_is_its_definition(rates: tuple[int, int], length: int):
    samples = noise(length)
    wanted = torch.tensor(obvious(samples.tolist(), *rates))
    assert_near(SincResample(*rates)(samples[None])[0], wanted, within=1e-5)


def test_long_signals_are_resampled_in_parts(monkeypatch: pytest.MonkeyPatch):
    samples = noise(2, 1000)
    wanted = SincResample(3, 2)(samples)
    monkeypatch.setattr(sinc_resample, "_GROUPS", 7)
    assert_near(SincResample(3, 2)(samples), wanted)


def test_a_low_tone_stays_and_a_high_one_goes():
    time = torch.arange(24_000) / 24_000
    low, high = (torch.sin(2 * math.pi * pitch * time)[None] for pitch in (440, 11_000))
    resample = SincResample(24_000, 16_000)
    wanted = torch.sin(2 * math.pi * 440 * torch.arange(16_000) / 16_000)
    assert (resample(low)[0] - wanted)[100:-100].abs().max() < 0.01
    assert resample(high)[0, 100:-100].abs().max() < 0.05


def test_equal_rates_change_nothing():
    samples = noise(1, 50)
    assert torch.equal(SincResample(16_000, 16_000)(samples), samples)


def test_it_has_no_weights_to_store():
    assert not SincResample(24_000, 16_000).state_dict()


@pytest.mark.parametrize("rates", [(0, 16_000), (16_000, -1)])
def test_impossible_rates_are_refused(rates: tuple[int, int]):
    with pytest.raises(ValueError, match="above 0"):
        SincResample(*rates)
