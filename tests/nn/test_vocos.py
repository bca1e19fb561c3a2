"""The Vocos decoder: stage equals forward, the head inverts a spectrum, attention is what torch says it is."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn import vocos, whole_signal
from tokaudio.nn.conv import Conv1d
from tokaudio.nn.stages import stage_of
from tokaudio.nn.vocos import ConvNeXt, FourierHead, FrameNorm, Vocos
from tokaudio.nn.whole_signal import GlobalAttention, ResnetUnit, TimeNorm
from tokaudio.nn.windows import Windows


def shaken(module: nn.Module) -> nn.Module:
    """Move every parameter away from its neutral value."""
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return module.eval().requires_grad_(False)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def decoder(conditions: int = 4) -> vocos.VocosDecoder:
    sizes = {"latents": 6, "dim": 64, "intermediate_dim": 40, "layers": 2, "n_fft": 32, "hop_length": 8}
    made = shaken(Vocos(conditions=conditions, **sizes).make())
    assert isinstance(made, vocos.VocosDecoder)
    return made


@torch.no_grad()
def same(module: nn.Module, x: Tensor, cuts: list[int]) -> None:
    """Require that a stage over pieces gives what forward gives."""
    found = in_pieces(stage_of(module), x, cuts)
    assert_near(found, module(x.T[None])[0].T, within=0.0001)


@pytest.mark.parametrize(
    "module",
    [TimeNorm(64), ResnetUnit(64), GlobalAttention(64), FrameNorm(64), vocos.frame_norm(64, 3), ConvNeXt(64, 40, 2, 3)],
    ids=lambda module: type(module).__name__,
)
@settings(max_examples=15)
@given(cuts=pieces(30))
def test_stages_equal_forward(module: nn.Module, cuts: list[int]):
    if not hasattr(module, "is_shaken"):
        shaken(module).is_shaken = True
    same(module, noise(sum(cuts), 64), cuts)


@settings(max_examples=25)
@given(cuts=pieces(30), n_fft=st.sampled_from([8, 24, 40]))
def test_the_head_in_pieces(cuts: list[int], n_fft: int):
    same(shaken(FourierHead(5, n_fft, 8)), noise(sum(cuts), 5), cuts)


@settings(max_examples=20)
@given(cuts=pieces(40), conditions=st.sampled_from([0, 4]), steps=st.sampled_from([3, 1000]))
def test_the_decoder_in_pieces(cuts: list[int], conditions: int, steps: int):
    before, vocos._SLICE = vocos._SLICE, steps
    try:
        same(decoder(conditions), noise(sum(cuts), 6), cuts)
    finally:
        vocos._SLICE = before


def test_norm_and_attention_are_torchs():
    x = noise(1, 64, 37) * 3 + 1
    norm = shaken(TimeNorm(64))
    wanted = F.group_norm(x, 32, norm.weight, norm.bias, 1e-6)
    assert_near(norm.stage()(x[0].T, True).T[None], wanted)
    attention = shaken(GlobalAttention(64))
    normed = attention.norm(x)
    scores = attention.q(normed).transpose(1, 2) @ attention.k(normed) / 8
    wanted = x + attention.proj_out(attention.v(normed) @ scores.softmax(-1).transpose(1, 2))
    assert_near(attention(x), wanted, within=0.0001)


def test_queries_in_groups_change_nothing(monkeypatch: pytest.MonkeyPatch):
    attention, x = shaken(GlobalAttention(32)), noise(50, 32)
    wanted = attention.stage()(x, True)
    monkeypatch.setattr(whole_signal, "_QUERIES", 7)
    assert_near(attention.stage()(x, True), wanted)


def test_the_head_returns_the_sound_of_its_spectrum():
    head = FourierHead(34, 32, 8)
    sound = noise(1, 12 * 8)[0]
    padded = F.pad(sound, (head.cut, head.cut))
    spectrum = torch.fft.rfft(padded.unfold(0, 32, 8) * head.window)
    rows = torch.cat([spectrum.abs().log(), spectrum.angle()], 1)
    head.out.weight.data = torch.eye(34)
    head.out.bias.data.zero_()
    assert_near(head.stage()(rows, True)[:, 0], sound, within=0.001)
    rows[0, 3] = 60.0
    assert head.frames(rows)[0].abs().max() <= 2e2 / 32 * 17


def test_only_the_first_condition_is_used():
    made, x = decoder(), noise(1, 6, 9)
    wanted = made(x)
    for name, table in made.named_parameters():
        if ".scale." in name or ".shift." in name:
            table.data[1:] += 1
    assert torch.equal(made(x), wanted)
    made.norm.shift.weight.data[0] += 1
    assert not torch.allclose(made(x), wanted)


def test_long_signals_come_in_windows():
    made, x = decoder(), noise(60, 6)
    made.windows = Windows(40, 8)
    assert_near(made.stage()(x, True).T[None], made(x.T[None]), within=0.0001)
    long = noise(100, 6)
    parts = [made.stage(), made.stage()]
    once = parts[0](long, True)
    assert once.shape == (800, 1)
    assert_near(in_pieces(parts[1], long, [30] * 3 + [10]), once, within=0.0001)
    assert not torch.allclose(once, made(long.T[None])[0].T, atol=1e-3)


def test_wide_products_keep_the_weight():
    conv, x = Conv1d(3, 4, 5, padding=(2, 2)), noise(1, 3, 4)
    before = conv.weight.detach().clone()
    for length in (1, 2, 4):
        part = x[..., :length]
        with torch.no_grad():
            assert_near(whole_signal.wide_product(conv, part[0].T), conv(part)[0].T)
    assert torch.equal(conv.weight, before)


@pytest.mark.parametrize("sizes", [{"n_fft": 30}, {"dim": 33}, {"n_fft": 24, "hop_length": 8, "dim": 16}])
def test_impossible_sizes_are_refused(sizes: dict[str, int]):
    good = {"latents": 6, "dim": 64, "intermediate_dim": 40, "layers": 2, "n_fft": 32, "hop_length": 8}
    with pytest.raises(ValueError, match="must be a multiple of hop_length"):
        Vocos(**(good | sizes))


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 320), (16, 5), (10, 4), (12, 4)])
@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_a_head_whose_pieces_are_no_whole_hops(n_fft: int, hop: int, count: int) -> None:
    torch.manual_seed(0)
    head, x = FourierHead(8, n_fft, hop), torch.randn(1, 8, count)
    cut = (n_fft - hop) // 2
    with torch.no_grad():
        pieces = head.frames(x.transpose(1, 2))[0, :, :n_fft]
        total, weight = torch.zeros(2, (count - 1) * hop + n_fft)
        for index, piece in enumerate(pieces):
            total[index * hop : index * hop + n_fft] += piece
            weight[index * hop : index * hop + n_fft] += torch.hann_window(n_fft).square()
        wanted = (total / weight.clamp(min=1e-11))[cut : cut + count * hop]
        assert_near(head(x)[0, 0], wanted)
        stage = head.stage()
        found = torch.cat([stage(block, i == count - 1) for i, block in enumerate(x[0].T.split(1))])
        assert_near(found[:, 0], wanted)
