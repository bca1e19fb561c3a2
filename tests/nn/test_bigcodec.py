"""BigCodec's networks: sizes, and blocks against the whole."""

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn import bigcodec
from tokaudio.nn.bigcodec import bigcodec_decoder, bigcodec_encoder, residual_unit
from tokaudio.nn.stages import InSlices, Sequence, stage_of

SIZES = {"dilations": (1, 3), "lstm_layers": 1}


def network(side: str) -> Sequence:
    torch.manual_seed(0)
    made = bigcodec_encoder(8, (2, 5), 6, **SIZES) if side == "encoder" else bigcodec_decoder(6, 32, (5, 2), **SIZES)
    return made.eval().requires_grad_(False)


def signal(steps: int, channels: int) -> Tensor:
    return torch.randn(steps, channels, generator=torch.Generator().manual_seed(steps))


@pytest.mark.parametrize("strides", [(2, 2, 5), (3, 4), (1, 2)])
def test_frames_and_samples_fit_the_strides(strides: tuple[int, ...]):
    hop = torch.tensor(strides).prod().item()
    encoder, decoder = bigcodec_encoder(4, strides, 6, **SIZES), bigcodec_decoder(6, 32, strides[::-1], **SIZES)
    latents = encoder(torch.randn(2, 1, 7 * hop))
    assert latents.shape == (2, 6, 7)
    sound = decoder(latents)
    assert sound.shape == (2, 1, 7 * hop) and bool((sound.abs() <= 1).all())


@settings(max_examples=15, deadline=None)
@given(cuts=pieces(400))
def test_the_encoder_in_blocks_is_the_encoder_at_once(cuts: list[int]):
    encoder, total = network("encoder"), -(-sum(cuts) // 10) * 10
    x = signal(total, 1)
    with torch.no_grad():
        blocks = in_pieces(encoder.stage(), x, [*cuts, total - sum(cuts)])
        assert_near(blocks.T[None], encoder(x.T[None]))


@settings(max_examples=15, deadline=None)
@given(cuts=pieces(60))
def test_the_decoder_in_blocks_is_the_decoder_at_once(cuts: list[int]):
    decoder, x = network("decoder"), signal(sum(cuts), 6)
    with torch.no_grad():
        blocks = in_pieces(decoder.stage(), x, cuts)
        assert_near(blocks.T[None], decoder(x.T[None]))


@pytest.mark.parametrize("stride", [2, 5])
def test_odd_strides_are_cut_as_published(stride: int):
    part = bigcodec_decoder(6, 8, (stride,), **SIZES).requires_grad_(False)[2]
    assert isinstance(part, InSlices)
    up, x = part[1], torch.randn(1, 8, 9)
    wanted = torch.nn.functional.conv_transpose1d(
        x, up.weight, up.bias, stride, padding=(stride + 1) // 2, output_padding=stride % 2
    )
    torch.testing.assert_close(up(x), wanted)


def test_short_slices_change_nothing_but_the_last_bits(monkeypatch: pytest.MonkeyPatch):
    x = signal(600, 1)
    wanted = network("encoder").stage()(x, last=True)
    monkeypatch.setattr(bigcodec, "_LEAST_STEPS", 1)
    monkeypatch.setattr(bigcodec, "_SLICE", 256)
    encoder = network("encoder")
    assert [part.steps for part in encoder if isinstance(part, InSlices)] == [32, 32, 16]
    assert_near(encoder.stage()(x, last=True), wanted)


def test_a_unit_adds_what_it_makes_to_what_it_gets():
    unit, x = residual_unit(5, 3).requires_grad_(False), torch.randn(1, 5, 50)
    torch.testing.assert_close(unit(x), x + unit.body(x))
    with torch.no_grad():
        assert_near(stage_of(unit)(x[0].T, last=True).T[None], unit(x))
    # In float64: the outermost of twelve taps hardly moves anything.
    unit, x = unit.double(), x.double()
    moved = x.clone()
    moved[..., 25] += 1
    changed = (unit(moved) != unit(x)).any(1).nonzero()[:, 1]
    # Five steps for each SnakeBeta, nine for three taps at a distance of three.
    assert (int(changed.min()), int(changed.max())) == (25 - 19, 25 + 19)
