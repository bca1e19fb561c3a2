"""Hidden states: of some layers as of all, of one signal as in a batch, in training as in use."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from tests.near import assert_near
from tokaudio.nn.ssl import SpeechModel, SpeechSizes, layer

SMALL = SpeechSizes(
    width=24,
    layers=3,
    heads=3,
    inner=40,
    conv_widths=(8,) * 7,
    position_taps=16,
    position_groups=4,
)
KINDS = {
    "post-norm": SMALL,
    "pre-norm": dataclasses.replace(SMALL, norm_first=True, conv_norm="layer", conv_bias=True, normalise=1e-7),
    "wavlm": dataclasses.replace(SMALL, buckets=32, max_distance=40),
    "wavlm-large": dataclasses.replace(SMALL, buckets=32, max_distance=40, norm_first=True, conv_norm="layer"),
    "unprojected": dataclasses.replace(SMALL, projection_norm=False),
}


def made(kind: str, layers: int | None = None) -> SpeechModel:
    torch.manual_seed(0)
    model = SpeechModel(KINDS[kind], layers=layers).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.requires_grad_(False)


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def test_some_layers_are_those_of_all(kind: str) -> None:
    model, sound = made(kind), torch.randn(6000)
    every = model.hidden_states(sound)
    assert every.shape == (4, SMALL.frames(6000), 24)
    some = model.hidden_states(sound, (2, 0, -1, 2))
    assert torch.equal(some, every[[2, 0, 3, 2]])
    assert torch.equal(model.hidden_states(sound, [1]), every[[1]])
    assert all((a - b).abs().max() > 0.1 for a, b in itertools.pairwise(every))


def test_layers_above_are_not_run() -> None:
    model, sound = made("post-norm"), torch.randn(2000)
    wanted = model.hidden_states(sound, (1,))
    model.layers[1].up.weight.fill_(float("nan"))
    assert torch.equal(model.hidden_states(sound, (1,)), wanted)
    assert model.hidden_states(sound, (2,)).isnan().any()


def test_fewer_layers_give_the_same(kind: str) -> None:
    whole, part = made(kind), SpeechModel(KINDS[kind], layers=2)
    part.load_state_dict({name: whole.state_dict()[name] for name in part.state_dict()})
    sound = torch.randn(3000)
    assert torch.equal(part.requires_grad_(False).hidden_states(sound), whole.hidden_states(sound, (0, 1, 2)))


def test_a_batch_is_its_items(kind: str) -> None:
    model, sound = made(kind), torch.randn(3, 4000) * torch.tensor([[0.01], [1.0], [5.0]])
    batch = model.hidden_states(sound, (1, 3))
    assert batch.shape == (2, 3, SMALL.frames(4000), 24)
    for item, states in zip(sound, batch.unbind(1), strict=True):
        assert torch.equal(model.hidden_states(item, (1, 3)), states)
        assert torch.equal(model.hidden_states(item.clone(), (1, 3)), states)


def test_the_mean_is_that_of_all(kind: str) -> None:
    model, sound = made(kind), torch.randn(2, 3000)
    assert_near(model.mean_hidden_state(sound), model.hidden_states(sound).mean(0))
    assert torch.equal(model.mean_hidden_state(sound[0]), model.mean_hidden_state(sound)[0])


def test_training_is_as_use(kind: str) -> None:
    model, sound = made(kind), torch.randn(2, 3000)
    wanted = model.hidden_states(sound)
    assert_near(model(sound), wanted)
    model.requires_grad_(True)
    found = model.hidden_states(sound)
    assert_near(found, wanted)
    # A loss of the variance would be blind to what norms take away.
    (found * torch.randn(24)).sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_rows_are_cut_without_a_trace(monkeypatch) -> None:
    model, sound = made("pre-norm"), torch.randn(9000)
    wanted = model.hidden_states(sound)
    monkeypatch.setattr(layer, "_ROWS", 5)
    assert_near(model.hidden_states(sound), wanted)


def test_loudness_is_taken_out_where_the_model_wants_it() -> None:
    sound = torch.randn(3000)
    for kind, same in (("pre-norm", True), ("wavlm-large", False)):
        model = made(kind)
        near = (model.hidden_states(3.0 * sound + 1.0) - model.hidden_states(sound)).abs().max() < 1e-3
        assert bool(near) == same


@pytest.mark.parametrize("samples", [400, 401, 719, 720])
def test_the_shortest_signals(kind: str, samples: int) -> None:
    states = made(kind).hidden_states(torch.randn(samples))
    assert states.shape == (4, 1 + samples // 720, 24) and states.isfinite().all()


@pytest.mark.parametrize(
    ("shape", "layers", "message"),
    [
        ((399,), (1,), "399 samples are fewer than the 400"),
        ((2, 0), (1,), "fewer"),
        ((1, 1, 4000), (1,), "waveform"),
        ((4000,), (), "layers"),
        ((4000,), (4,), "from 0 to 3"),
        ((4000,), (-5,), "from 0 to 3"),
    ],
)
def test_what_cannot_be_is_refused(shape: tuple[int, ...], layers: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made("post-norm").hidden_states(torch.zeros(shape), layers)


def test_a_model_of_too_many_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="layers"):
        SpeechModel(SMALL, layers=4)
