"""Stages give, block by block, what their modules give on the whole signal."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.near import assert_near
from tests.nn.support import in_pieces, pieces
from tokaudio.nn.conv import Conv1d, centred
from tokaudio.nn.stages import Added, Aligned, InSlices, Pointwise, Residual, Sequence, Sliced, Stage, Whole, stage_of


def conv(channels: int, kernel: int) -> Conv1d:
    return Conv1d(channels, channels, kernel, padding=centred(kernel))


@settings(max_examples=60, deadline=None)
@given(cuts=pieces(90), steps=st.integers(1, 40), seed=st.integers(0, 99))
def test_nested_stages_equal_their_modules(cuts: list[int], steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    unit = Residual(Sequence(nn.ReLU(), conv(3, 7), nn.Tanh(), conv(3, 1)))
    network = Sequence(InSlices(conv(3, 3), unit, steps=steps), Residual(conv(3, 5), conv(3, 9)))
    x = torch.randn(sum(cuts), 3)
    with torch.no_grad():
        assert_near(in_pieces(network.stage(), x, cuts), network(x.T[None])[0].T)


def test_a_sum_waits_for_the_slower_side() -> None:
    late = Whole(lambda steps: 10 * steps)
    added = Added(late, Pointwise(torch.neg))
    assert len(added(torch.ones(2, 1), last=False)) == 0
    assert added(torch.full((1, 1), 2.0), last=True).flatten().tolist() == [9, 9, 18]


def test_a_sum_leaves_its_input_alone() -> None:
    x = torch.ones(3, 2)
    Added(Pointwise(lambda steps: steps))(x.T.contiguous().T, last=True)
    assert Added(Pointwise(lambda steps: steps + 1))(x, last=True).tolist() == [[3, 3]] * 3
    assert x.tolist() == [[1, 1]] * 3


def test_an_identity_body_is_not_overwritten() -> None:
    x = torch.ones(3, 2)
    assert Residual(nn.Identity()).stage()(x, last=True).tolist() == [[2, 2]] * 3
    assert x.tolist() == [[1, 1]] * 3


class Recorder:
    def __init__(self) -> None:
        self.seen: list[tuple[int, bool]] = []

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        self.seen.append((len(block), last))
        return block


def test_slices_are_short_and_only_the_last_is_last() -> None:
    recorder = Recorder()
    stage: Stage = Sliced(recorder, 4)
    stage(torch.zeros(10, 1), last=False)
    stage(torch.zeros(5, 1), last=True)
    stage(torch.zeros(0, 1), last=True)
    assert recorder.seen == [(4, False), (3, False), (3, False), (3, False), (2, True), (0, True)]


@given(cuts=pieces(40), multiple=st.integers(1, 7))
def test_aligned_lets_multiples_through_and_loses_nothing(cuts: list[int], multiple: int) -> None:
    stage, given_out = Aligned(multiple), []
    x = torch.arange(float(sum(cuts)))[:, None]
    for piece in x.split(cuts):
        given_out.append(stage(piece, last=False))
        assert sum(map(len, given_out)) % multiple == 0
    given_out.append(stage(x[:0], last=True))
    assert torch.equal(torch.cat(given_out), x)


def test_modules_without_a_stage_are_pointwise() -> None:
    assert isinstance(stage_of(nn.ReLU()), Pointwise)
    assert not isinstance(stage_of(conv(1, 3)), Pointwise)


@pytest.mark.parametrize("cuts", [[5], [2, 3], [0, 5, 0]])
def test_whole_sees_all_at_once(cuts: list[int]) -> None:
    x = torch.arange(5.0)[:, None]
    assert torch.equal(in_pieces(Whole(lambda steps: steps.cumsum(0).flip(0)), x, cuts), x.cumsum(0).flip(0))
