"""The resampler inside networks against torchaudio's function, which the reference networks call."""

from __future__ import annotations

import pytest
import torch

from tests.near import assert_near
from tests.parity.peer import reference_mode
from tests.parity.signals import signals
from tokaudio.nn.sinc_resample import SincResample


@pytest.mark.parametrize("rates", [(24_000, 16_000), (16_000, 24_000), (44_100, 16_000), (48_000, 16_000)])
@pytest.mark.parametrize("extra", [0, 1, 7])
def test_it_is_torchaudios_default(rates: tuple[int, int], extra: int) -> None:
    import torchaudio

    sound = signals(rates[0], 3, seconds=0.5, channels=2)
    samples = torch.cat([sound, sound[:, :extra]], dim=1)
    with reference_mode():
        wanted = torchaudio.functional.resample(samples, *rates)
    # torchaudio computes its filters in float32, ours are rounded to it.
    assert_near(SincResample(*rates)(samples), wanted, within=2e-6 if rates[0] == 24_000 else 1e-5)
