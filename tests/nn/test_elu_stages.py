"""Residual units with ELU: the same as their layers one by one, with any shortcut, in pieces of any length."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn.activations import ELU
from tokaudio.nn.conv import Conv1d, causal, centred
from tokaudio.nn.elu_stages import UnitStage, unit_stage
from tokaudio.nn.stages import Residual, Sequence


def unit(*, shortcut: bool, ahead: bool, last_taps: int = 1) -> Residual:
    torch.manual_seed(0)
    padding = (centred if ahead else causal)(3)
    second = Conv1d(4, 8, last_taps, padding=causal(last_taps))
    made = Residual(
        Sequence(ELU(), Conv1d(8, 4, 3, padding=padding, mode="reflect"), ELU(), second),
        Conv1d(8, 8, 1) if shortcut else None,
    )
    for name, weight in made.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    return made.requires_grad_(False)


@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("ahead", [True, False])
@settings(max_examples=20, deadline=None)
@given(cuts=pieces(40))
def test_pieces_equal_the_whole(shortcut: bool, ahead: bool, cuts: list[int]) -> None:
    made, x = unit(shortcut=shortcut, ahead=ahead), torch.randn(sum(cuts) + 4, 8)
    stage = unit_stage(made)
    assert isinstance(stage, UnitStage)
    before = x.clone()
    assert_near(in_pieces(stage, x, [*cuts, 4]), made(x.T[None])[0].T)
    assert torch.equal(x, before), "the input is somebody else's"


def test_other_units_run_layer_by_layer() -> None:
    made, x = unit(shortcut=False, ahead=False, last_taps=2), torch.randn(9, 8)
    stage = unit_stage(made)
    assert not isinstance(stage, UnitStage)
    assert_near(stage(x, True), made(x.T[None])[0].T)
