"""Whisper's encoder from samples: what it hears is what the reference front end makes of a full window."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.near import assert_near
from tokaudio.audio.log_mel import LogMel
from tokaudio.nn.ssl import WhisperEncoder, WhisperSizes
from tokaudio.nn.ssl.whisper import rows
from tokaudio.tokenizers import whisper
from tokaudio.tokenizers.whisper import WhisperModel

SMALL = WhisperSizes(width=24, layers=2, heads=3, inner=40, mels=16, positions=60)
WINDOW = 60 * 320


def made(**changes) -> WhisperModel:
    torch.manual_seed(0)
    model = WhisperModel(dataclasses.replace(SMALL, **changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.requires_grad_(False)


def sound_of(samples: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, generator=generator) * torch.linspace(0.01, 1, samples)


@pytest.mark.parametrize("samples", [1, 199, 320, 321, 5000, WINDOW - 300, WINDOW - 1, WINDOW])
def test_a_signal_is_heard_as_filled_up_with_silence(samples: int) -> None:
    model, sound = made(), sound_of(samples)
    count = -(-samples // 320)
    # All of the window, with its end mirrored.
    edges = F.pad(F.pad(sound, (0, WINDOW - samples))[None], (200, 200), mode="reflect")[0]
    wanted = rows(model.mel.raw(edges)[:120], 60)
    found = model.frames(sound)
    assert found.shape == (count, 64) and torch.equal(found, model.frames(sound, fill=True))
    assert_near(found[:, :32], wanted[:count, :32])
    assert_near(found[:, 32:], wanted[:count, 32:])
    # Nothing more than silence lies behind the last row.
    assert count == 60 or bool((wanted[count:, 32:] == -10.0).all())
    assert_near(model.hidden_states(sound), WhisperEncoder.later_states(model, wanted)[:, :count])


def test_the_front_end_is_the_log_mel_of_whisper() -> None:
    model, sound = made(), sound_of(WINDOW)
    mel = LogMel(16)(sound[None])[0]
    raw = model.frames(sound)[:, :32].reshape(120, 16)
    assert_near((raw.clamp(min=float(raw.max()) - 8.0) + 4.0) / 4.0, mel)


def test_a_batch_is_its_items() -> None:
    model, sound = made(), torch.stack([scale * sound_of(7000, seed) for seed, scale in enumerate((0.01, 1.0, 5.0))])
    batch = model.hidden_states(sound, (0, 2))
    assert batch.shape == (2, 3, 22, 24)
    for item, states in zip(sound, batch.unbind(1), strict=True):
        assert torch.equal(model.hidden_states(item, (0, 2)), states)
    assert_near(model(sound, (0, 2)), batch)


def test_loudness_is_taken_out_of_each_window_by_itself() -> None:
    model = made()
    loud_end = torch.cat([sound_of(3 * WINDOW), 100.0 * sound_of(WINDOW, 1)])
    quiet = model.hidden_states(loud_end[: 3 * WINDOW], (2,))[0]
    assert torch.equal(model.hidden_states(loud_end, (2,))[0, :100], quiet[:100])


def test_silence_has_states_and_every_length_its_frames() -> None:
    model = made()
    for samples in (1, 2 * WINDOW + 7):
        states = model.hidden_states(torch.zeros(samples), (2,))
        assert states.shape == (1, -(-samples // 320), 24) and states.isfinite().all()


def test_blocks_of_spectra_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sound = made(), sound_of(2 * WINDOW + 100)
    wanted = model.hidden_states(sound)
    monkeypatch.setattr(whisper, "_BLOCK", 1600)
    assert_near(model.hidden_states(sound), wanted)


def test_its_own_length_is_another_way() -> None:
    sound = sound_of(5000)
    short, filled = made(filled=False).hidden_states(sound), made().hidden_states(sound)
    assert short.shape == filled.shape and (short - filled)[2].abs().max() > 0.01


@pytest.mark.parametrize(("shape", "message"), [((0,), "no samples"), ((2, 0), "no samples"), ((1, 1, 9), "waveform")])
def test_what_is_no_signal_is_refused(shape: tuple[int, ...], message: str) -> None:
    for function in (made().hidden_states, made().forward):
        with pytest.raises(ValueError, match=message):
            function(torch.zeros(shape))
