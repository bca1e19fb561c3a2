"""Normalised convolutions over whole signals: as `forward` has them, however they are sliced, alone or several."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.near import assert_near
from tokaudio.nn import bare, normed
from tokaudio.nn.activations import ELU, Snake
from tokaudio.nn.conv import Conv1d, ConvTranspose1d, centred
from tokaudio.nn.normed import Normed, Signal, add_moments, each_alone, normed_stage, over_all
from tokaudio.nn.seanet import SEANet
from tokaudio.nn.stages import Residual, Sequence

NET = SEANet(channels=2, filters=8, dimension=12, ratios=(5, 4, 2), norm="group")
KINDS = {
    "published": {},
    "without shortcuts": {"conv_shortcut": False},
    "several units": {"residual_layers": 2},
    "wide": {"filters": 64, "ratios": (2,)},
    "snake": {"activation": "snake"},
    "causal with zeros": {"causal": True, "padding": "zeros"},
    "copied ends": {"padding": "replicate", "lstm_layers": 0},
}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def loud(module: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for name, weight in module.named_parameters():
        if ".norm." in name or name.startswith("norm.") or name.endswith("alpha"):
            nn.init.uniform_(weight, 0.5, 1.5)
        else:
            nn.init.normal_(weight, std=1.4 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.3)
    return module.eval().requires_grad_(False)


@pytest.fixture(params=["compiled", "plain"])
def passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        for module in (bare, normed):
            monkeypatch.setattr(module, "compiled", lambda name: None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [2**18, 300], ids=["whole", "slices"])
def test_networks_equal_forward(kind: str, size: int, monkeypatch: pytest.MonkeyPatch, passes: None) -> None:
    monkeypatch.setattr(normed, "_SLICE", size)
    net = dataclasses.replace(NET, **KINDS[kind])
    encoder, decoder = loud(net.encoder()), loud(net.decoder())
    for length in (1, 2, net.hop_length, 7 * net.hop_length + 3):
        sound = random(1, 2, length)
        latents = encoder(sound)
        assert_near(encoder.stage()(sound[0].T, True), latents[0].T, within=5e-5)
        assert_near(decoder.stage()(latents[0].T, True), decoder(latents)[0].T, within=5e-5)


def test_stages_wait_for_the_end() -> None:
    encoder = loud(NET.encoder())
    sound = random(100, 2)
    stage = encoder.stage()
    assert not len(stage(sound[:60], False))
    assert torch.equal(stage(sound[60:], True), encoder.stage()(sound, True))


def test_gradients_change_nothing() -> None:
    encoder, sound = loud(NET.encoder()), random(100, 2)
    wanted = encoder.stage()(sound, True)
    assert_near(encoder.requires_grad_(True).stage()(sound, True), wanted)


@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None)
def test_several_signals_are_what_each_is_alone(lengths: list[int]) -> None:
    net = dataclasses.replace(NET, filters=16)
    assert net.filters * 2 ** len(net.ratios) % 32 == 0
    encoder = loud(net.encoder())
    sounds = [random(length, 2, seed=length) for length in lengths]
    together = encoder.each_alone(sounds)
    for sound, latents in zip(sounds, together, strict=True):
        assert torch.equal(latents, encoder.each_alone([sound])[0])


@pytest.mark.parametrize("kernel", [1, 4, 7])
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_one_convolution(kernel: int, stride: int, passes: None) -> None:
    layer = loud(Normed(Conv1d(3, 8, kernel, stride=stride, padding=centred(kernel), mode="reflect", fit=True), 8))
    signal = random(41, 3)
    wanted = F.group_norm(layer.conv(F.elu(signal).T[None]), 1, layer.norm.weight, layer.norm.bias)[0].T
    assert_near(over_all([ELU(), layer], Signal.plain(signal)).value(), wanted)


@pytest.mark.parametrize("bias", [True, False])
def test_trimmed_upsampling_counts_what_is_cut_off(bias: bool, passes: None) -> None:
    layer = loud(Normed(ConvTranspose1d(4, 3, 6, stride=3, bias=bias), 3, trim=(2, 1)))
    steps = random(9, 4)
    full = layer.norm(F.conv_transpose1d(steps.T[None], layer.conv.weight, layer.conv.bias, 3))
    assert_near(normed_stage([layer])(steps, True), full[0, :, 2:-1].T)
    assert_near(layer(steps.T[None]), full[..., 2:-1])


def test_moments_keep_small_deviations_from_a_large_mean(passes: None) -> None:
    rows, bias = 1000 + random(1003, 5), random(5, seed=1)
    out = torch.tensor([1.0, 2.0], dtype=torch.float64)
    add_moments(rows, bias, out)
    values = (rows + bias).double()
    assert_near(out, torch.stack([1 + values.sum(), 2 + values.square().sum()]), within=1e-12)
    mean, square = (float(v) for v in (out - torch.tensor([1.0, 2.0])) / values.numel())
    assert square - mean**2 == pytest.approx(float(values.var(correction=0)), rel=1e-6)


def test_other_layers_take_their_stages() -> None:
    signal, snake = random(20, 4), loud(Snake(4))
    wanted = snake(F.elu(signal).T[None])[0].T
    assert_near(over_all([ELU(), snake], Signal.plain(signal)).value(), wanted)
    assert_near(over_all([snake, ELU()], Signal.plain(signal)).value(), F.elu(snake(signal.T[None])[0].T))
    nested = Residual(Sequence(Residual(loud(Normed(Conv1d(4, 4, 1), 4)))), None)
    assert_near(over_all([nested], Signal.plain(signal)).value(), nested(signal.T[None])[0].T)
    assert_near(each_alone([nn.Tanh()], [signal])[0], signal.tanh())
