"""Signals are seeded and varied; filling gives layers unit spread, codebooks diversity, and changes what it says."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.parity.filling import (
    calibrate,
    effective_weight,
    fill_projected,
    fill_residual_euclidean,
    scatter,
    set_weight,
)
from tests.parity.signals import lengths, recording, signals

WEIGHT_NORMS = {
    "none": lambda layer: layer,
    "parametrized": nn.utils.parametrizations.weight_norm,
    "old": lambda layer: _old_weight_norm(layer),
}


def _old_weight_norm(layer: nn.Module) -> nn.Module:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(layer)


def test_signals_repeat_with_the_seed_and_differ_without() -> None:
    first, again, other = (signals(8_000, seed, seconds=3.0, channels=2) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first[0], first[1])
    assert first.shape == (2, 24_000)
    assert first.isfinite().all()


def test_signals_hold_pauses_and_sound() -> None:
    loudness = signals(16_000, 0, seconds=8.0)[0].unfold(0, 320, 320).square().mean(1).sqrt()
    assert loudness.min() < 5e-3
    assert loudness.max() > 0.2


def test_the_recording_has_any_length_rate_and_channels() -> None:
    stereo = recording(24_000, seconds=6.0, channels=2)
    assert stereo.shape == (2, 144_000)
    assert not torch.allclose(stereo[0], stereo[1])
    assert recording(16_000).shape[0] == 1


def test_lengths_are_around_a_multiple_of_the_hop() -> None:
    found = lengths(320)
    assert found["multiple of the hop"] % 320 == 0
    assert found["one less"] % 320 == 319
    assert 0 < found["very short"] < 320 < found["one more"] < found["long"]


@pytest.mark.parametrize("norm", WEIGHT_NORMS)
@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ConvTranspose1d])
def test_set_weight_sets_what_the_layer_multiplies_by(norm: str, kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    layer = WEIGHT_NORMS[norm](kind(3, 5, 4))
    wanted = torch.randn(effective_weight(layer).shape)
    set_weight(layer, wanted)
    torch.testing.assert_close(effective_weight(layer), wanted)
    operation = F.conv1d if kind is nn.Conv1d else F.conv_transpose1d
    sound = torch.randn(1, 3, 20)
    torch.testing.assert_close(layer(sound), operation(sound, wanted, layer.bias))


@pytest.mark.parametrize("norm", ["parametrized", "old"])
def test_under_weight_norm_gains_are_not_the_lengths_of_directions(norm: str) -> None:
    layer = WEIGHT_NORMS[norm](nn.Conv1d(3, 5, 4))
    set_weight(layer, torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0)))
    state = layer.state_dict()
    gain = next(value for name, value in state.items() if name.endswith(("weight_g", "original0")))
    direction = next(value for name, value in state.items() if name.endswith(("weight_v", "original1")))
    assert ((gain.flatten() / direction.flatten(1).norm(dim=1) - 1).abs() > 0.02).sum() >= 3


@pytest.mark.parametrize("norm", WEIGHT_NORMS)
def test_calibration_gives_unit_spread_through_a_deep_stack(norm: str) -> None:
    torch.manual_seed(0)
    wrap = WEIGHT_NORMS[norm]
    last = wrap(nn.ConvTranspose1d(8, 2, 4, stride=2))
    hidden = [layer for _ in range(6) for layer in (wrap(nn.Conv1d(8, 8, 3)), nn.ELU())]
    stack = nn.Sequential(wrap(nn.Conv1d(1, 8, 3)), nn.ELU(), *hidden, last)
    sound = signals(8_000, 0, seconds=1.0)[None]
    calibrate(stack, lambda: stack(sound), scales={last: 0.3})
    out = stack(sound)
    torch.testing.assert_close(out.std(2), torch.full((1, 2), 0.3), rtol=1e-2, atol=1e-2)
    middle = stack[:7](sound)
    torch.testing.assert_close(middle.std(2), torch.ones(1, 8), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(middle.mean(2), torch.zeros(1, 8), rtol=0, atol=1e-2)


def test_calibration_leaves_layers_that_are_not_reached() -> None:
    used, unused = nn.Linear(3, 3), nn.Linear(3, 3)
    before = unused.weight.clone()
    calibrate(nn.ModuleList([used, unused]), lambda: used(torch.randn(10, 3)))
    assert torch.equal(unused.weight, before)


def test_scatter_moves_norms_and_biases_but_not_gains_and_weights() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 6, 3)), nn.GroupNorm(1, 6))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scatter(model)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"0.bias", "1.weight", "1.bias"}


def test_euclidean_chains_stay_diverse_and_shrink() -> None:
    vectors = torch.randn(1500, 16, generator=torch.Generator().manual_seed(0))
    residual, spread = vectors[750:], []
    for book in fill_residual_euclidean(vectors[:750], [256] * 12):
        codes = torch.cdist(residual, book).argmin(1)
        assert len(codes.unique()) > 120
        residual = residual - book[codes]
        spread.append(float(residual.square().mean()))
    assert spread == sorted(spread, reverse=True)


@pytest.mark.parametrize("pool", [1, 4])
def test_projected_levels_are_diverse_and_shrink(pool: int) -> None:
    torch.manual_seed(0)
    vectors = torch.randn(400, 16).cumsum(0)
    vectors = (vectors - vectors.mean(0)) / vectors.std(0)
    inward, outward = nn.Conv1d(16, 4, 1), nn.Conv1d(4, 16, 1)
    book, residual = fill_projected(vectors, 64, inward, outward, torch.Generator().manual_seed(0), pool=pool)
    query = inward(vectors.unflatten(0, (-1, pool)).mean(1).T[None])[0].T
    torch.testing.assert_close(query.std(0), torch.ones(4), rtol=1e-3, atol=1e-3)
    codes = (F.normalize(query) @ F.normalize(book).T).argmax(1)
    assert len(codes.unique()) > 30
    assert book.norm(dim=1).max() > 2 * book.norm(dim=1).min()
    torch.testing.assert_close(residual, vectors - outward(book[codes].T[None])[0].T.repeat_interleave(pool, 0))
    assert residual.square().mean() < vectors.square().mean()
