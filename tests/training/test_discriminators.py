"""Discriminators: shapes, what they depend on, and that nothing of a signal escapes them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.training.discriminators import (
    Discriminators,
    DiscriminatorSizes,
    PeriodDiscriminator,
    SpectrumDiscriminator,
)

TINY = DiscriminatorSizes(
    periods=(2, 3), period_channels=(4, 6), windows=(64, 32), spectrum_channels=4, bands=((0.0, 0.3), (0.3, 1.0))
)


def noise(samples: int = 300, *, batch: int = 2, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))


def made(sizes: DiscriminatorSizes = TINY) -> Discriminators:
    torch.manual_seed(0)
    return Discriminators(sizes)


@settings(max_examples=15, deadline=None)
@given(samples=st.integers(64, 400), batch=st.integers(1, 3))
def test_every_length_is_judged_by_all(samples: int, batch: int):
    judgements = made()(noise(samples, batch=batch))
    assert len(judgements) == 4
    for score, features in judgements:
        assert score.shape[0] == batch and bool(torch.isfinite(score).all())
        assert features and all(map.shape[0] % batch == 0 and map.numel() for map in features)
    # One score per period and about every third sample of it; one per window and eighth of its frequencies.
    assert judgements[1].score.shape[:2] == (batch, 3)
    assert judgements[2].score.shape[1] == (samples // 16) + 1


def test_an_item_does_not_see_its_neighbours():
    judges, signals = made(), noise(batch=3)
    together = judges(signals)
    for number in range(3):
        for whole, alone in zip(together, judges(signals[number : number + 1]), strict=True):
            assert_near(alone.score, whole.score[number : number + 1])


def test_gradients_reach_every_parameter_and_nearly_every_sample():
    judges, signal = made(), noise().requires_grad_()
    sum(judgement.score.square().mean() for judgement in judges(signal)).backward()
    for name, parameter in judges.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.any()), name
    assert float((signal.grad != 0).float().mean()) > 0.99


def test_a_period_discriminator_equals_the_two_dimensional_form_of_the_paper():
    torch.manual_seed(0)
    judge, signal = PeriodDiscriminator(3, (4, 6)), noise(61)
    found = judge(signal)
    picture = F.pad(signal[:, None], (0, 2), mode="reflect").view(2, 1, 21, 3)
    for layer, stride, seen in zip(judge.layers, (3, 1), found.features, strict=True):
        picture = F.conv2d(picture, layer.weight[..., None], layer.bias, stride=(stride, 1), padding=(2, 0))
        picture = F.leaky_relu(picture, 0.1)
        assert_near(seen.view(2, 3, *seen.shape[1:]).permute(0, 2, 3, 1), picture)
    score = F.conv2d(picture, judge.score.weight[..., None], judge.score.bias, padding=(1, 0))
    assert_near(found.score.transpose(1, 2), score[:, 0])


def test_interleaved_signals_are_judged_apart():
    judge, signal = PeriodDiscriminator(3, (4, 6)), noise(90)
    changed = signal.clone()
    changed[:, 1::3] += 1
    before, after = judge(signal).score, judge(changed).score
    assert torch.equal(before[:, ::2], after[:, ::2]) and not torch.allclose(before[:, 1], after[:, 1])


def test_white_noise_has_a_spectrum_of_its_own_power():
    judge = SpectrumDiscriminator(64, 4)
    spectrum = judge.spectrum(torch.randn(4, 20_000, generator=torch.Generator().manual_seed(0)))
    assert abs(float(spectrum.square().sum(1)[..., 1:-1].mean()) - 1) < 0.05


@pytest.mark.parametrize("power", [0.3, 0.5])
def test_compressed_spectra_keep_the_phase_and_raise_what_is_quiet(power: float):
    plain, compressed = SpectrumDiscriminator(64, 2), SpectrumDiscriminator(64, 2, power=power)
    signal = noise()
    real, imaginary = plain.spectrum(signal).unbind(1)
    found = compressed.spectrum(signal)
    size, angle = (real.square() + imaginary.square()).sqrt(), torch.atan2(imaginary, real)
    heard = size > 1e-2
    for part, wanted in zip(found.unbind(1), (angle.cos(), angle.sin()), strict=True):
        assert_near(part[heard], (size.pow(power) * wanted)[heard], within=1e-3)


def test_compressed_spectra_of_silence_have_a_gradient():
    signal = torch.zeros(1, 300, requires_grad=True)
    SpectrumDiscriminator(64, 2, power=0.3).spectrum(signal).sum().backward()
    assert signal.grad is not None and bool(torch.isfinite(signal.grad).all())


def test_bands_have_filters_of_their_own():
    judge = SpectrumDiscriminator(64, 4, bands=((0.0, 0.5), (0.5, 1.0)), dilations=(1,))
    assert judge.edges == [(0, 16), (16, 33)]
    assert [map.shape[-1] for map in judge(noise()).features] == [16, 8, 8, 17, 9, 9]
    low = torch.cos(torch.arange(640) * (2 * torch.pi * 4 / 64))[None]
    with torch.no_grad():
        quiet, loud = judge(0 * low).features, judge(low).features
    moved = [float((a - b).abs().max()) for a, b in zip(quiet, loud, strict=True)]
    # Away from the ends of the signal, a tone on a bin stays inside its band.
    inner = [float((a - b)[:, :, 8:-8].abs().max()) for a, b in zip(quiet, loud, strict=True)]
    assert len(moved) == 6 and min(moved[:3]) > 0.01 and max(inner[3:]) < 1e-4


def test_the_phase_is_seen():
    judge = SpectrumDiscriminator(64, 4)
    signal = noise()
    assert not torch.allclose(judge(signal).score, judge(-signal).score, atol=1e-4)


def test_dilations_widen_the_view_in_time():
    reach = []
    for dilations in ((1, 1, 1), (1, 2, 4)):
        torch.manual_seed(0)
        judge = SpectrumDiscriminator(32, 4, bands=((0, 1),), dilations=dilations)
        signal = noise(800, batch=1).requires_grad_()
        score = judge(signal).score
        score[0, score.shape[1] // 2].sum().backward()
        reach.append(int((signal.grad != 0).sum()))
    # Four more frames on either side, of 8 samples each.
    assert reach[1] - reach[0] == 2 * 4 * 8


def test_a_small_set_is_small_and_the_full_one_is_that_of_the_papers():
    assert sum(p.numel() for p in Discriminators(DiscriminatorSizes.small()).parameters()) < 500_000
    full = DiscriminatorSizes()
    assert full.periods == (2, 3, 5, 7, 11) and len(full.bands) == 5 and full.windows == (2048, 1024, 512)


@pytest.mark.parametrize("samples", [1, 63])
def test_signals_shorter_than_a_window_are_refused(samples: int):
    with pytest.raises(ValueError, match="64 or more"):
        made()(noise(samples))


def test_other_ranks_and_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match=r"give \[B, S\]"):
        made()(torch.zeros(2, 1, 300))
    for wrong in (
        {"periods": (), "windows": ()},
        {"periods": (0,)},
        {"windows": (8,)},
        {"bands": ((0.5, 0.2),)},
        {"overlap": 0},
    ):
        with pytest.raises(ValueError):
            DiscriminatorSizes(**wrong)
    with pytest.raises(ValueError, match="power must be above 0"):
        DiscriminatorSizes(power=0.0)
