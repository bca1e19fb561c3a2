"""DAC's residual unit: the fast products against the definition in float64, in any pieces."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.near import assert_near
from tokaudio.nn import dilated_unit
from tokaudio.nn.dilated_unit import DilatedUnit, UnitStage
from tokaudio.nn.stages import Added


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def make(channels: int, dilation: int) -> DilatedUnit:
    torch.manual_seed(0)
    unit = DilatedUnit(channels, dilation=dilation)
    for value in unit.parameters():
        if value.dim() == 1:
            value.add_(0.3 * torch.randn_like(value))
    return unit


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def definition(unit: DilatedUnit, steps: Tensor) -> Tensor:
    """The unit on `[n, C]` in float64, by PyTorch's own convolutions."""
    first, wide, second, mix = (copy.deepcopy(part).double() for part in unit.body)
    x = steps.double().T[None]
    inner = F.conv1d(first(x), wide.weight, wide.bias, padding=3 * unit.dilation, dilation=unit.dilation)
    return (x + F.conv1d(second(inner), mix.weight, mix.bias))[0].T


def in_pieces(unit: DilatedUnit, steps: Tensor, sizes: list[int]) -> Tensor:
    stage, out, at = unit.stage(), [], 0
    for place, size in enumerate(sizes):
        out.append(stage(steps[at : at + size], place == len(sizes) - 1))
        at += size
    return torch.cat(out)


@pytest.mark.parametrize("dilation", [1, 2, 3, 9])
@pytest.mark.parametrize("length", [1, 2, 7, 35, 36, 37, 150])
def test_any_length_in_any_pieces_is_the_definition(dilation: int, length: int):
    unit, steps = make(6, dilation), noise(length, 6)
    wanted = definition(unit, steps).float()
    half = length // 2
    for sizes in ([length], [1] * length, [0, half, 0, length - half], [half, length - half, 0]):
        assert_near(in_pieces(unit, steps, sizes), wanted)


@pytest.mark.parametrize("dilation", [1, 9])
def test_rounding_is_about_that_of_plain_sums(dilation: int):
    unit, steps = make(256, dilation), noise(600, 256)
    wanted = definition(unit, steps)
    plain = unit(steps.T[None])[0].T.double() - wanted
    fast = in_pieces(unit, steps, [600]).double() - wanted
    assert float(fast.square().mean().sqrt()) < 2 * float(plain.square().mean().sqrt())


def test_an_empty_signal_gives_nothing():
    assert make(4, 3).stage()(torch.zeros(0, 4), last=True).shape == (0, 4)


def test_steps_wait_only_for_their_tile():
    stage = make(4, 3).stage()
    assert len(stage(noise(20, 4), last=False)) == 0
    assert len(stage(noise(1, 4), last=False)) == 12
    assert len(stage(noise(0, 4), last=True)) == 9


def test_what_goes_in_is_left_alone():
    unit, steps = make(4, 1), noise(40, 4)
    before = steps.clone()
    in_pieces(unit, steps, [20, 20])
    assert torch.equal(steps, before)


def test_tables_follow_the_parameters_and_stay_out_of_copies():
    unit = make(4, 1)
    tables = unit.tables()
    assert unit.tables() is tables
    unit.body[1].weight.mul_(2)
    assert torch.equal(unit.tables().near, 2 * tables.near)
    twin = copy.deepcopy(unit)
    assert twin._tables._made is None
    twin.body[1].weight.mul_(2)
    assert torch.equal(twin.tables().near, 4 * tables.near)
    assert not any("tables" in name for name in unit.state_dict())


def test_without_compiled_functions_the_layers_do_the_same(monkeypatch: pytest.MonkeyPatch):
    unit, steps = make(6, 3), noise(90, 6)
    assert isinstance(unit.stage(), UnitStage)
    fast = in_pieces(unit, steps, [50, 40])
    monkeypatch.setattr(dilated_unit, "compiled", lambda name: None)
    assert isinstance(unit.stage(), Added)
    assert_near(in_pieces(unit, steps, [50, 40]), fast)


def test_a_stage_needs_no_grad_mode_of_its_own():
    unit, steps = make(6, 3), noise(90, 6)
    without = in_pieces(unit, steps, [90])
    with torch.enable_grad():
        assert torch.equal(in_pieces(unit, steps, [90]), without)
