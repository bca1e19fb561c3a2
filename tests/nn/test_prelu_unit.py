"""The compiled unit of SQ-Codec against its modules: any block, both paddings, every dilation, changed weights."""

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.near import assert_near
from tokaudio.nn import prelu_unit
from tokaudio.nn.compiled import compiled
from tokaudio.nn.prelu_unit import PReLUUnit


def make(channels: int = 5, *, dilation: int = 3, back: bool = True, kernel_size: int = 7) -> PReLUUnit:
    unit = PReLUUnit(channels, kernel_size, dilation=dilation, back=back)
    generator = torch.Generator().manual_seed(0)
    for value in unit.parameters():
        noise = torch.rand(value.shape, generator=generator)
        value.data.copy_(noise if value.numel() == 1 else (noise - 0.5) * 2 * value[0].numel() ** -0.5)
    return unit.requires_grad_(False)


def through(unit: PReLUUnit, steps: Tensor, sizes: list[int]) -> Tensor:
    stage, blocks = unit.stage(), steps.split(sizes)
    return torch.cat([stage(part.clone(), number + 1 == len(blocks)) for number, part in enumerate(blocks)])


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=5).filter(any),
    st.sampled_from([1, 3, 5, 7, 9]),
    st.booleans(),
    st.integers(1, 9),
)
def test_blocks_give_what_the_modules_give(sizes: list[int], dilation: int, back: bool, channels: int):
    unit, steps = make(channels, dilation=dilation, back=back), normal(sum(sizes), channels)
    assert_near(through(unit, steps, sizes), unit(steps.T[None])[0].T)


@pytest.mark.parametrize("back", [True, False])
def test_blocks_of_one_kind_give_the_same_bits_whatever_they_arrive_in(back: bool):
    unit, steps = make(32, back=back), normal(500, 32)
    assert torch.equal(through(unit, steps, [100] * 5), through(unit, steps.flip(0).flip(0), [100] * 5))


def test_it_is_compiled_where_it_can_be_and_plain_elsewhere(monkeypatch: pytest.MonkeyPatch):
    assert compiled("dilated") is not None
    kinds = [type(unit.stage()).__name__ for unit in (make(), make(kernel_size=5), make().double())]
    assert kinds == ["_UnitStage", "Added", "Added"]
    wanted = through(make(), normal(50, 5), [50])
    monkeypatch.setattr(prelu_unit, "compiled", lambda name: None)
    assert_near(through(make(), normal(50, 5), [50]), wanted)


def test_tables_follow_the_weights_and_are_not_copied():
    unit, steps = make(), normal(40, 5)
    before = through(unit, steps, [40])
    twin = pickle.loads(pickle.dumps(unit))
    assert twin._tables._made is None and copy.deepcopy(unit)._tables._made is None
    with torch.no_grad():
        unit.body[0].weight.mul_(2)
    assert_near(through(unit, steps, [40]), unit(steps.T[None])[0].T)
    assert_near(through(twin, steps, [40]), before)
