"""The voice of a signal: against loops, whole, in blocks, in windows."""

import math

import pytest
import torch
from torch import Tensor

from tests.near import assert_near
from tokaudio.nn.timbre import TimbreEncoder, Voiced, VoiceMeter, first_position
from tokaudio.nn.windows import Windows


def make() -> TimbreEncoder:
    torch.manual_seed(0)
    encoder = TimbreEncoder(8, layers=2, heads=2, hidden=12, kernel_size=3).requires_grad_(False)
    for value in encoder.parameters():
        value.add_(0.3 * torch.randn_like(value))
    return encoder


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


def twin(encoder: TimbreEncoder, latents: Tensor) -> Tensor:
    """One item `[D, T]`, frame by frame and head by head, in float64."""
    encoder = encoder.double()
    x = latents.double().T + torch.tensor([0.0, 1.0] * 4)
    for layer in encoder.layers:
        query, key, value = layer.qkv(layer.norm1(x)).chunk(3, dim=1)
        rows = []
        for t in range(len(x)):
            parts = []
            for head in range(layer.heads):
                own = slice(4 * head, 4 * head + 4)
                scores = torch.stack([query[t, own] @ row[own] for row in key]) / math.sqrt(4)
                parts.append(scores.softmax(0) @ value[:, own])
            rows.append(torch.cat(parts))
        x = x + layer.out(torch.stack(rows))
        padded = torch.cat([x.new_zeros(1, 8), layer.norm2(x), x.new_zeros(1, 8)])
        windows = [padded[t : t + 3].T for t in range(len(x))]
        hidden = [(layer.conv.weight * window).sum((1, 2)) + layer.conv.bias for window in windows]
        x = x + layer.down(torch.stack(hidden).relu())
    out = encoder.norm(x)
    encoder.float()
    return out.T


def test_vectors_and_voice_equal_the_twin():
    encoder, latents = make(), normal(2, 8, 13)
    for item in range(2):
        wanted = twin(encoder, latents[item])
        assert_near(encoder(latents)[item].double(), wanted)
        assert_near(encoder.voice(latents)[item].double(), wanted.mean(1))


@pytest.mark.parametrize("sizes", [[15], [1] * 15, [4, 0, 11], [0, 15, 0]])
def test_blocks_give_the_voice_of_the_whole(sizes: list[int]):
    encoder, latents = make(), normal(15, 8)
    meter = VoiceMeter(encoder, Windows(10, 3))
    for number, block in enumerate(latents.split(sizes)):
        meter(block, last=number + 1 == len(sizes))
    assert_near(meter.voice, encoder.voice(latents.T[None])[0])


def test_long_signals_are_measured_in_windows_with_context():
    encoder, latents = make(), normal(16, 8)
    meter = VoiceMeter(encoder, Windows(10, 3))
    meter(latents[:9], last=False)
    meter(latents[9:], last=True)
    early, late = encoder(latents[:13].T[None])[0, :, :10], encoder(latents[7:].T[None])[0, :, 3:]
    assert_near(meter.voice, torch.cat([early, late], dim=1).mean(1))


def test_a_voice_is_a_scale_and_a_shift_after_a_norm():
    torch.manual_seed(0)
    voiced = Voiced(8).requires_grad_(False)
    voiced.style.weight.normal_()
    vectors, voices = normal(2, 8, 5), normal(2, 8)
    out = voiced(vectors, voices)
    for item in range(2):
        scale, shift = (voiced.style.weight @ voices[item] + voiced.style.bias).chunk(2)
        rows = vectors[item].T
        spread = rows.var(1, correction=0, keepdim=True).add(1e-5).sqrt()
        assert_near(out[item].T, (rows - rows.mean(1, keepdim=True)) / spread * scale + shift)
        assert_near(voiced.stage(voices[item])(rows.contiguous(), last=True), out[item].T)


def test_an_untrained_voice_changes_nothing_but_the_norm():
    vectors = normal(1, 8, 5)
    voiced = Voiced(8)
    torch.nn.init.zeros_(voiced.style.weight)
    assert_near(voiced(vectors, normal(1, 8)), torch.nn.functional.layer_norm(vectors.mT, (8,)).mT)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="even parts, got 3"):
        TimbreEncoder(8, heads=3)
    with pytest.raises(ValueError, match="odd, got 4"):
        TimbreEncoder(8, heads=2, kernel_size=4)
    assert first_position(3).tolist() == [0, 1, 0]
