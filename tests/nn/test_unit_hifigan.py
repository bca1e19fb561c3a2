"""HiFi-GAN on units: in any pieces what it is on the whole, pooled over units, conditioned, and judged."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn.unit_hifigan import UnitHiFiGAN, UnitHiFiGANSizes

SIZES = UnitHiFiGANSizes(
    units=31,
    unit_dim=8,
    attention_dim=4,
    speaker_dim=3,
    channels=16,
    factors=(3, 2),
    kernels=(7, 6),
    branch_kernels=(3, 5),
    branch_dilations=((1, 2), (1, 3)),
)


def made(**changes: Any) -> UnitHiFiGAN:
    torch.manual_seed(0)
    network = UnitHiFiGAN(dataclasses.replace(SIZES, **changes)).eval().requires_grad_(False)
    for name, value in network.named_parameters():
        if name.startswith("generator"):
            value.add_(0.1 * torch.randn_like(value)) if value.dim() == 1 else value.mul_(1.7)
    return network


def units(steps: int, inputs: int = 3) -> Tensor:
    return torch.randint(0, 31, (steps, inputs), generator=torch.Generator().manual_seed(steps))


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("paired", [True, False])
@settings(max_examples=15, deadline=None)
@given(cuts=pieces(40))
def test_any_pieces_give_the_sound_of_the_whole(padding: str, paired: bool, cuts: list[int]) -> None:
    network = made(padding=padding, paired=paired)
    condition = torch.tensor([0.3, -1.0, 2.0])
    given_units = units(sum(cuts))
    whole = network(given_units[None], condition[None])[0]
    assert whole.shape == (1, 6 * sum(cuts)) and float(whole.std()) > 1e-3
    with torch.no_grad():
        assert_near(in_pieces(network.stage(condition), given_units, cuts).T, whole)


def test_sound_is_what_plain_operations_give() -> None:
    network = made(speaker_dim=0)
    given_units = units(9)
    vectors = network.units.weight[given_units]
    first, _, second = network.attention
    shares = ((vectors @ first.weight.T + first.bias).relu() @ second.weight.T).softmax(1)
    x = network.generator.entry(((vectors * shares).sum(1)).T[None])
    for up, branches, (factor, taps) in zip(
        network.generator.ups, network.generator.branches, ((3, 7), (2, 6)), strict=True
    ):
        conv = up[1]
        x = F.conv_transpose1d(F.leaky_relu(x, 0.1), conv.weight, conv.bias, factor, (taps - factor) // 2)
        total = torch.zeros_like(x)
        for branch, kernel, dilations in zip(branches.branches, (3, 5), ((1, 2), (1, 3)), strict=True):
            y = x
            for unit, dilation in zip(branch, dilations, strict=True):
                z = y
                for part, spread in zip(unit.body, (dilation, 1), strict=True):
                    z = F.leaky_relu(z, 0.1)
                    reach = (kernel - 1) * spread // 2
                    z = F.conv1d(z, part.conv.weight, part.conv.bias, padding=reach, dilation=spread)
                y = y + z
            total = total + y
        x = total / 2
    last = network.generator.exit.conv
    wanted = F.conv1d(F.leaky_relu(x, 0.01), last.weight, last.bias, padding=3).tanh()
    assert_near(network(given_units[None]), wanted)


def test_one_unit_per_frame_needs_no_attention() -> None:
    network = made(attention_dim=0, speaker_dim=0)
    assert torch.equal(network.embed(units(5, 1)), network.units.weight[units(5, 1)[:, 0]])


def test_conditions_are_vectors_and_rows_of_tables() -> None:
    network = made(speaker_dim=0, speakers=4, styles=2)
    wanted = torch.cat([network.speakers.weight[3], network.styles.weight[1]])
    assert torch.equal(network.condition(speaker=torch.tensor(3), style=1), wanted)
    for speaker, style in ((4, 0), (-1, 0), (None, 0), (0, 2)):
        with pytest.raises(ValueError, match="must be a number from 0 to"):
            network.condition(speaker=speaker, style=style)
    assert made(speaker_dim=0).condition() is None
    vector = torch.tensor([3.0, 0.0, 4.0])
    assert torch.equal(made().condition(speaker=vector), vector)
    assert_near(made(normalised=True).condition(speaker=vector), vector / 5)
    with pytest.raises(ValueError, match=r"a vector \[3\]"):
        made().condition(speaker=1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"units": 0}, "1 or more"),
        ({"factors": (), "kernels": ()}, "no list empty"),
        ({"kernels": (7,)}, "as many as each other"),
        ({"branch_dilations": ((1,),)}, "as many as each other"),
        ({"kernels": (6, 6)}, "by even numbers"),
        ({"kernels": (1, 6)}, "by even numbers"),
        ({"branch_kernels": (3, 4)}, "must be odd"),
        ({"channels": 18}, "cannot halve 18"),
        ({"padding": "mirror"}, "zeros or reflect"),
        ({"speakers": 3}, "not both"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        dataclasses.replace(SIZES, **changes)
