"""SI-SDR: known answers, whatever the level, and with delays taken out."""

import numpy as np
import pytest

from tokaudio.errors import AudioError
from tokaudio.metrics.alignment import aligned, aligned_si_sdr, shift_of, si_sdr

NOISE = np.random.default_rng(0).standard_normal((2, 16_000))


@pytest.mark.parametrize("ratio", [-10.0, 0.0, 7.5, 30.0])
@pytest.mark.parametrize("gain", [0.01, 1.0, -3.0])
def test_noise_that_is_at_right_angles_gives_its_own_ratio(ratio: float, gain: float) -> None:
    wanted, other = NOISE - NOISE.mean(axis=1, keepdims=True)
    other = other - (other @ wanted) / (wanted @ wanted) * wanted
    other *= np.sqrt((wanted @ wanted) / (other @ other)) * 10 ** (-ratio / 20)
    assert si_sdr(wanted, gain * (wanted + other), 16_000) == pytest.approx(ratio, abs=1e-6)


@pytest.mark.parametrize("shift", [-160, -8, 0, 1, 160])
def test_a_delay_is_found_and_taken_out(shift: int) -> None:
    wanted = NOISE[0]
    late = np.roll(wanted, shift) + 0.1 * NOISE[1]
    assert shift_of(wanted, late, 16_000) == shift
    first, second = aligned(wanted, late, 16_000)
    assert first.size == second.size == wanted.size - abs(shift)
    assert aligned_si_sdr(wanted, late, 16_000) == pytest.approx(20.0, abs=0.2)
    if shift:
        assert si_sdr(wanted, late, 16_000) < -10


def test_a_delay_beyond_the_limit_is_left_as_it_is() -> None:
    assert abs(shift_of(NOISE[0], np.roll(NOISE[0], 400), 16_000)) <= 160
    assert aligned_si_sdr(NOISE[0], np.roll(NOISE[0], 400), 16_000) < 0


def test_silence_has_no_ratio_and_nothing_the_lowest() -> None:
    with pytest.raises(AudioError, match="silent"):
        si_sdr(np.zeros(10), np.ones(10), 16_000)
    assert si_sdr(NOISE[0], np.zeros(16_000), 16_000) == -60.0
    assert si_sdr(NOISE[0], NOISE[0], 16_000) == 120.0
