"""SNAC's residual unit: the compiled pass, PyTorch's operations and the whole signal agree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn import depthwise_unit
from tokaudio.nn.depthwise_unit import ResidualUnit, UnitStage, table_of


def unit(channels: int = 5, dilation: int = 1, *, depthwise: bool = True) -> ResidualUnit:
    torch.manual_seed(channels * 10 + dilation)
    made = ResidualUnit(channels, dilation=dilation, depthwise=depthwise)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made.requires_grad_(False)


@settings(max_examples=60, deadline=None)
@given(
    cuts=pieces(120), dilation=st.sampled_from([1, 3, 9]), channels=st.sampled_from([1, 5, 16, 48]), plain=st.booleans()
)
def test_blocks_equal_the_whole(cuts: list[int], dilation: int, channels: int, plain: bool) -> None:
    made = unit(channels, dilation)
    x = torch.randn(sum(cuts), channels)
    with torch.set_grad_enabled(plain), pytest.MonkeyPatch.context() as patch:
        if plain:
            patch.setattr(depthwise_unit, "compiled", lambda name: None)
        got = in_pieces(made.stage(), x, cuts)
    assert got.shape == x.shape and torch.allclose(got, made(x.T[None])[0].T, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("dilation", [1, 9])
def test_it_is_what_the_paper_says(dilation: int) -> None:
    made = unit(3, dilation)
    first, conv, second, mix = made.parts()
    x = torch.randn(1, 3, 40)
    inner = x + torch.sin(first.alpha[:, None] * x) ** 2 / first.alpha[:, None]
    padded = torch.nn.functional.pad(inner, (3 * dilation, 3 * dilation))
    taps = [conv.weight[:, 0, k, None] * padded[:, :, k * dilation : k * dilation + 40] for k in range(7)]
    inner = sum(taps) + conv.bias[:, None]
    inner = inner + torch.sin(second.alpha[:, None] * inner) ** 2 / second.alpha[:, None]
    wanted = x + torch.einsum("dc,bct->bdt", mix.weight[:, :, 0], inner) + mix.bias[:, None]
    assert_near(made(x), wanted, within=0.0001)


def test_the_stage_leaves_its_input_alone_and_follows_the_cut_exactly() -> None:
    made = unit(16, 3)
    x = torch.randn(90, 16)
    before = x.clone()
    whole = in_pieces(made.stage(), x, [90])
    assert torch.equal(x, before)
    # The arithmetic of a step does not know where blocks begin, but for the product's.
    assert_near(whole, in_pieces(made.stage(), x, [1] * 90), within=0.0001)
    assert torch.equal(in_pieces(made.stage(), x, [50, 40]), in_pieces(made.stage(), x, [50, 40]))


def test_gradients_reach_every_parameter_through_the_stage() -> None:
    made = unit(4).requires_grad_(True)
    UnitStage(made)(torch.randn(30, 4), last=True).square().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in made.parameters())


def test_units_that_mix_channels_run_as_any_other() -> None:
    made = unit(4, 3, depthwise=False)
    x = torch.randn(50, 4)
    assert not isinstance(made.stage(), UnitStage)
    assert_near(in_pieces(made.stage(), x, [20, 30]), made(x.T[None])[0].T, within=0.0001)


def test_the_table_holds_taps_bias_snakes_and_the_last_bias() -> None:
    made = unit(6)
    first, conv, second, mix = made.parts()
    table = table_of(made)
    assert torch.equal(table[:7], conv.weight[:, 0].T) and torch.equal(table[7], conv.bias)
    assert torch.equal(table[8], first.alpha) and torch.allclose(table[9] * first.alpha, torch.ones(6))
    assert torch.equal(table[10], second.alpha) and torch.equal(table[12], mix.bias)


def test_strided_blocks_are_read_as_they_are_meant() -> None:
    made = unit(8)
    x = torch.randn(8, 40).T
    assert not x.is_contiguous()
    assert_near(made.stage()(x, True), made(x.T[None])[0].T, within=0.0001)
