"""Whisper's encoder from mel frames: beside torch's own layers, of some layers as of all, window by window."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.near import assert_near
from tokaudio.nn.ssl import WhisperEncoder, WhisperSizes
from tokaudio.nn.ssl.whisper import SILENCE, rows, sinusoids

SMALL = WhisperSizes(width=24, layers=3, heads=3, inner=40, mels=8, positions=12)


def made(layers: int | None = None, **changes) -> WhisperEncoder:
    torch.manual_seed(0)
    model = WhisperEncoder(dataclasses.replace(SMALL, **changes), layers=layers).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.requires_grad_(False)


def mel_of(count: int, seed: int = 1) -> Tensor:
    """Return raw mel frames for `count` rows `[2 * count + 2, 8]`, some of them 80 dB below others."""
    return 6.0 * torch.rand(2 * count + 2, 8, generator=torch.Generator().manual_seed(seed)) - 6.0


def slow(model: WhisperEncoder, mel: Tensor, steps: int) -> list[Tensor]:
    """Return all states `[steps, D]` of raw mel frames `[n, M]`, by convolutions and layers of torch itself."""
    sizes = model.sizes
    scaled = (mel.clamp(min=float(mel.max()) - 8.0) + 4.0) / 4.0
    x = F.gelu(F.conv1d(scaled.T[None], model.conv1.weight, model.conv1.bias, padding=1))
    x = F.gelu(F.conv1d(x, model.conv2.weight, model.conv2.bias, stride=2, padding=1)).transpose(1, 2)
    x = x[:, :steps] + model.positions[:steps]
    states = [x]
    for ours in model.layers:
        layer = nn.TransformerEncoderLayer(
            sizes.width, sizes.heads, sizes.inner, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias = (
            ours.attention.inputs.weight,
            ours.attention.inputs.bias,
        )
        layer.self_attn.out_proj = ours.attention.out
        layer.linear1, layer.linear2, layer.norm1, layer.norm2 = ours.up, ours.down, ours.norm1, ours.norm2
        # In training mode, without dropout, torch takes no fused path of its own.
        states.append(layer.train()(states[-1]))
    return [*(state[0] for state in states[:-1]), model.norm(states[-1])[0]]


@pytest.mark.parametrize("count", [1, 5, 12])
@pytest.mark.parametrize("filled", [True, False])
def test_states_are_those_of_torch_s_layers(count: int, filled: bool) -> None:
    model, mel = made(filled=filled), mel_of(count)
    heard = mel[: 2 * SMALL.positions]
    if filled:
        heard = F.pad(heard, (0, 0, 0, 2 * SMALL.positions - len(heard)), value=SILENCE)
    found = model.later_states(rows(mel, count))
    assert found.shape == (4, count, 24)
    for mine, wanted in zip(found, slow(model, heard, 12 if filled else count), strict=True):
        assert_near(mine, wanted[:count])


def test_silence_that_fills_up_is_heard() -> None:
    lengths = [made(filled=filled).later_states(rows(mel_of(5), 5), (3,)) for filled in (True, False)]
    assert (lengths[0] - lengths[1]).abs().max() > 0.01


def test_some_layers_are_those_of_all() -> None:
    model, frames = made(), rows(mel_of(7), 7)
    every = model.later_states(frames)
    assert torch.equal(model.later_states(frames, (2, 0, -1, 2)), every[[2, 0, 3, 2]])
    assert torch.equal(model.later_states(frames, [1]), every[[1]])
    assert all((a - b).abs().max() > 0.1 for a, b in itertools.pairwise(every))


def test_layers_above_are_not_run_and_need_not_be_there() -> None:
    whole, part, frames = made(), WhisperEncoder(SMALL, layers=2), rows(mel_of(7), 7)
    part.load_state_dict({name: whole.state_dict()[name] for name in part.state_dict()})
    assert not hasattr(part, "norm")
    wanted = whole.later_states(frames, (0, 1, 2))
    assert torch.equal(part.requires_grad_(False).later_states(frames), wanted)
    whole.layers[2].up.weight.fill_(float("nan"))
    assert torch.equal(whole.later_states(frames, (0, 1, 2)), wanted)
    assert whole.later_states(frames, (3,)).isnan().any()


@settings(max_examples=20, deadline=None)
@given(st.integers(13, 60))
def test_long_signals_are_windows_merged_at_the_middle_of_their_overlaps(count: int) -> None:
    model, frames = made(), rows(mel_of(count, seed=count), count)
    found = model.later_states(frames, (3,))[0]
    # Windows of 12 rows begin every 8; of an overlap of 4, the first 2 rows are those of the earlier one.
    for row in range(count):
        window = 0 if row < 10 else min((row - 2) // 8, max(0, -(-(count - 12) // 8)))
        start = 8 * window
        alone = model.later_states(frames[start : start + 12], (3,))[0]
        assert torch.equal(found[row], alone[row - start])
    assert found.shape == (count, 24)


def test_a_batch_is_its_items() -> None:
    model = made()
    batch = torch.stack([rows(mel_of(30, seed), 30) - 3 * seed for seed in range(3)])
    together = model.batch_states(batch, (1, 3))
    for number, item in enumerate(batch):
        assert_near(together[:, number], model.later_states(item, (1, 3)))


def test_every_weight_learns() -> None:
    model, frames = made().requires_grad_(True), rows(mel_of(12), 12)
    (model.later_states(frames) * torch.randn(24)).sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("given", [0, 1, 4, 9])
def test_rows_hold_their_own_frames_and_the_next(count: int, given: int) -> None:
    mel = torch.arange(float(given))[:, None]
    found = rows(mel, count)
    for row in range(count):
        wanted = [float(n) if n < given else SILENCE for n in range(2 * row, 2 * row + 4)]
        assert found[row].tolist() == wanted


def test_positions_are_sines_and_cosines_of_geometric_frequencies() -> None:
    found = sinusoids(100, 8)
    steps = torch.arange(100, dtype=torch.float64)
    for number, wavelength in enumerate([1.0, 10_000 ** (1 / 3), 10_000 ** (2 / 3), 10_000.0]):
        assert_near(found[:, number], torch.sin(steps / wavelength))
        assert_near(found[:, 4 + number], torch.cos(steps / wavelength))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 25}, "width 25"),
        ({"width": 21}, "even"),
        ({"positions": 14}, "multiple of 6"),
        ({"mels": 0}, "0 mels"),
        ({"layers": -1}, "-1 layers"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_frames_are_counted() -> None:
    assert [SMALL.frames(n) for n in (0, 1, 320, 321, 640)] == [0, 1, 1, 2, 2]
    assert (SMALL.hop_length, SMALL.shortest, SMALL.windows.longest_whole) == (320, 1, 12)


@pytest.mark.parametrize("layers", [(), (4,), (-5,)])
def test_layers_that_are_not_there_are_refused(layers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="from 0 to 3"):
        made().later_states(rows(mel_of(3), 3), layers)
    with pytest.raises(ValueError, match="from 0 to 3"):
        made(layers=4)
