"""Windows over long signals: whole where short enough, the same wherever blocks end, context on both sides."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.nn.support import in_pieces, pieces
from tokaudio.nn.windows import Windowed, Windows


def ramp(n: int) -> Tensor:
    return torch.arange(float(n))[:, None]


def smooth(steps: Tensor) -> Tensor:
    """See two steps to each side, and nothing beyond."""
    padded = torch.nn.functional.pad(steps.T[None], (2, 2))
    return torch.nn.functional.avg_pool1d(padded, 5, 1)[0].T


@given(pieces(60), st.integers(2, 9), st.data())
def test_blocks_do_not_matter(cuts: list[int], steps: int, data: st.DataObject):
    windows = Windows(steps, data.draw(st.integers(0, steps // 2)))
    x = torch.randn(sum(cuts), 2, generator=torch.Generator().manual_seed(0)).cumsum(0)
    once = Windowed(lambda part: part - part.mean(0), windows)(x, last=True)
    again = in_pieces(Windowed(lambda part: part - part.mean(0), windows), x, cuts)
    assert once.shape == x.shape and torch.equal(once, again)


@given(st.integers(1, 80), st.integers(4, 9))
def test_a_function_that_sees_less_than_the_context_is_exact(length: int, steps: int):
    x = torch.randn(length, 1, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(Windowed(smooth, Windows(steps, 2))(x, last=True), smooth(x))


def test_short_signals_are_one_call_and_long_ones_are_bounded():
    seen: list[int] = []

    def note(steps: Tensor) -> Tensor:
        seen.append(len(steps))
        return steps

    windows = Windows(10, 3)
    assert torch.equal(Windowed(note, windows)(ramp(15), last=True), ramp(15))
    assert seen == [15] and windows.longest_whole == 15
    seen.clear()
    stage = Windowed(note, windows)
    out = [stage(block, last=i == 99) for i, block in enumerate(ramp(1000).split(10))]
    assert torch.equal(torch.cat(out), ramp(1000))
    assert max(seen) <= 10 + 5 + 3 and list(map(len, out[:3])) == [0, 10, 10]


def test_durations_and_impossible_windows():
    assert Windows.of(75, longest_whole=60, context=4) == Windows(3000, 300)
    assert Windows.of(50, longest_whole=1, context=4) == Windows(33, 16)
    for steps, context in ((10, 6), (10, -1)):
        with pytest.raises(ValueError, match="context must be from 0"):
            Windows(steps, context)


def test_nothing_has_the_width_of_results():
    stage = Windowed(lambda steps: steps.repeat(1, 2), Windows(4, 1))
    widths = [stage(ramp(7), last=False).shape, stage(ramp(1), last=False).shape, stage(ramp(0), last=False).shape]
    assert widths == [(4, 2), (0, 2), (0, 2)]


@given(pieces(90), st.integers(2, 9), st.integers(2, 3), st.data())
def test_results_of_several_steps(cuts: list[int], steps: int, every: int, data: st.DataObject):
    windows = Windows(steps, data.draw(st.integers(0, steps // 2)))

    def sums(part: Tensor) -> Tensor:
        return torch.nn.functional.pad(part, (0, 0, 0, -len(part) % every)).unflatten(0, (-1, every)).sum(1)

    x = ramp(sum(cuts))
    assert torch.equal(in_pieces(Windowed(sums, windows, every), x, cuts)[-len(sums(x)) :], sums(x))
    lengths: list[int] = []
    Windowed(lambda part: lengths.append(len(part)) or sums(part), windows, every)(x, last=True)
    assert (len(lengths) == 1) == (len(sums(x)) <= windows.longest_whole)
