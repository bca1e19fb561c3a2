"""Blocks lie at the same places however a signal arrives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.nn.support import pieces
from tokaudio.audio.blocks import BlockStream
from tokaudio.errors import AudioError


class Echo:
    def __init__(self) -> None:
        self.seen: list[tuple[int, bool]] = []

    def __call__(self, block: Tensor, last: bool) -> Tensor:
        assert block.is_contiguous()
        self.seen.append((len(block), last))
        return block


def run(echo: Echo, cuts: list[int], **options: object) -> Tensor:
    stream = BlockStream(echo, 2, 8, torch.zeros(2, 0), **options)
    x = torch.arange(2.0 * sum(cuts)).view(2, -1)
    out = [stream.push(piece) for piece in x.split(cuts, dim=1)]
    assert stream.pushed == sum(cuts)
    return torch.cat([*out, stream.flush()], dim=1)


@given(pieces(60))
def test_pieces_do_not_move_blocks(cuts: list[int]) -> None:
    whole, cut = Echo(), Echo()
    x = run(whole, [sum(cuts)])
    assert torch.equal(run(cut, cuts), x)
    assert cut.seen == whole.seen
    assert torch.equal(x, torch.arange(2.0 * sum(cuts)).view(2, -1))


@given(st.integers(1, 100))
def test_all_blocks_but_the_last_have_one_length(length: int) -> None:
    echo = Echo()
    run(echo, [length])
    *before, (size, last) = echo.seen
    assert all(block == (8, False) for block in before)
    assert last
    assert 4 <= size < 12 or length < 4


@given(st.integers(1, 40))
def test_signals_are_filled_up_and_results_have_the_length_asked_for(length: int) -> None:
    out = run(Echo(), [length], padded_length=lambda n: -(-n // 5) * 5)
    assert out.shape[1] == -(-length // 5) * 5
    assert out[:, length:].abs().sum() == 0
    for wanted in (length - 1, length + 3):
        assert run(Echo(), [length], result_length=lambda _, w=wanted: w).shape[1] == wanted


def test_an_empty_signal_gives_nothing() -> None:
    echo = Echo()
    assert run(echo, [0], padded_length=lambda n: 5).shape == (2, 0)
    assert not echo.seen


def test_wrong_pieces_and_ended_streams_are_refused() -> None:
    stream = BlockStream(Echo(), 2, 8, torch.zeros(2, 0))
    with pytest.raises(AudioError, match=r"give \[2, n\]"):
        stream.push(torch.zeros(3, 4))
    stream.flush()
    with pytest.raises(AudioError, match="has ended"):
        stream.push(torch.zeros(2, 4))


@given(pieces(60))
def test_eager_blocks_run_as_soon_as_they_are_complete(cuts: list[int]) -> None:
    echo = Echo()
    stream = BlockStream(echo, 1, 8, torch.zeros(1, 0), eager=True)
    given_, taken = 0, 0
    for cut in cuts:
        taken += stream.push(torch.zeros(1, cut)).shape[1]
        given_ += cut
        assert taken == given_ // 8 * 8
    stream.flush()
    if given_:
        assert echo.seen == [(8, False)] * (given_ // 8) + [(given_ % 8, True)]
