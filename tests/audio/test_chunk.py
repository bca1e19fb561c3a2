"""Tiles: any cut of the input gives what a direct computation on the whole gives."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tokaudio.audio.chunk import TilePlan, TileStream
from tokaudio.errors import AudioError, TokensError

plans = st.builds(TilePlan, st.integers(1, 7), st.integers(0, 4), st.integers(1, 5), st.integers(0, 6))
lengths = st.integers(0, 120)


def signal(length: int, channels: int = 2) -> Tensor:
    return torch.randint(-50, 50, (channels, length), generator=torch.Generator().manual_seed(length))


def weights(plan: TilePlan, channels: int = 2) -> Tensor:
    """A kernel `[C, w]` as wide as all that one frame may depend on."""
    width = (2 * plan.reach + 1) * plan.hop_length + 2 * plan.context
    return torch.randint(1, 9, (channels, width), generator=torch.Generator().manual_seed(width))


def convolve(plan: TilePlan, window: Tensor, out_per_frame: int) -> Tensor:
    """The tiny network: a strided convolution of whole numbers, and a second row that says how it was reached."""
    frames = [
        (window[:, start : start + weights(plan).shape[1]] * weights(plan)).sum()
        for start in range(0, plan.tile * plan.hop_length, plan.hop_length)
    ]
    out = torch.stack(frames).repeat_interleave(out_per_frame)
    return torch.stack([out, torch.arange(out_per_frame).repeat(plan.tile)])


def directly(plan: TilePlan, whole: Tensor, out_per_frame: int, fill: int) -> Tensor:
    """The same network, frame by frame on the whole signal, in loops."""
    rows: list[list[int]] = [[], []]
    kernel = weights(plan)
    for frame in range(-(-whole.shape[1] // plan.hop_length)):
        total, first = 0, (frame - plan.reach) * plan.hop_length - plan.context
        for channel in range(2):
            for tap in range(kernel.shape[1]):
                at = first + tap
                value = int(whole[channel, at]) if 0 <= at < whole.shape[1] else fill
                total += value * int(kernel[channel, tap])
        for step in range(out_per_frame):
            rows[0].append(total)
            rows[1].append(step)
    return torch.tensor(rows, dtype=torch.int64).view(2, -1)


def stream(plan: TilePlan, *, out_per_frame: int = 1, fill: int = 0) -> TileStream:
    return TileStream(
        plan,
        2,
        lambda window: convolve(plan, window, out_per_frame),
        torch.zeros(2, 0, dtype=torch.int64),
        out_per_frame=out_per_frame,
        dtype=torch.int64,
        fill=fill,
    )


@settings(max_examples=120, deadline=None)
@given(plans, lengths, st.lists(st.integers(0, 120), max_size=8), st.integers(1, 3), st.sampled_from([0, -1]))
def test_every_cut_gives_the_whole(plan: TilePlan, length: int, cuts: list[int], out_per_frame: int, fill: int):
    whole = signal(length)
    tiles = stream(plan, out_per_frame=out_per_frame, fill=fill)
    edges = [0, *sorted(min(cut, length) for cut in cuts), length]
    out = [tiles.push(whole[:, start:stop]) for start, stop in itertools.pairwise(edges)]
    out.append(tiles.flush())
    assert torch.equal(torch.cat(out, dim=1), directly(plan, whole, out_per_frame, fill))
    assert tiles.pushed == length


@settings(max_examples=30, deadline=None)
@given(plans, lengths)
def test_one_step_at_a_time_gives_the_whole_as_early_as_possible(plan: TilePlan, length: int):
    whole, tiles, out = signal(length), stream(plan), []
    for at in range(length):
        out.append(tiles.push(whole[:, at : at + 1]))
        ready = max(0, at + 1 - plan.reach * plan.hop_length - plan.context) // plan.advance * plan.tile
        assert sum(piece.shape[1] for piece in out) == ready
        assert tiles._held.shape[1] < plan.window + plan.advance, "no more than a window is held"
    out.append(tiles.flush())
    assert torch.equal(torch.cat(out, dim=1), directly(plan, whole, 1, 0))


@given(plans, lengths)
def test_a_plan_counts_frames_tiles_and_windows(plan: TilePlan, length: int):
    assert plan.frames(length) == sum(1 for start in range(0, length, plan.hop_length))
    assert plan.tiles(length) == sum(1 for start in range(0, plan.frames(length), plan.tile))
    covered = plan.start(0) + plan.window
    assert covered == (plan.tile + plan.reach) * plan.hop_length + plan.context
    assert plan.start(3) - plan.start(2) == plan.advance


def test_windows_are_contiguous_copies_of_one_shape():
    plan, seen = TilePlan(tile=3, reach=1, hop_length=2), []

    def run(window: Tensor) -> Tensor:
        seen.append((window.shape, window.is_contiguous(), window.storage_offset()))
        window.zero_()
        return torch.zeros(1, 3)

    tiles = TileStream(plan, 1, run, torch.zeros(1, 0))
    tiles.push(torch.ones(1, 40))
    assert bool(tiles._held.any()), "a run may write into its window without touching the rest"
    tiles.flush()
    assert set(seen) == {((1, plan.window), True, 0)} and len(seen) == plan.tiles(40)


def test_two_streams_share_nothing():
    plan = TilePlan(tile=2, reach=1)
    one, two = stream(plan), stream(plan)
    a, b = signal(11), signal(13)
    pieces = [(one.push(a[:, at : at + 3]), two.push(b[:, at : at + 3])) for at in range(0, 13, 3)]
    out = torch.cat([*(piece[0] for piece in pieces), one.flush()], dim=1)
    assert torch.equal(out, directly(plan, a, 1, 0))
    out = torch.cat([*(piece[1] for piece in pieces), two.flush()], dim=1)
    assert torch.equal(out, directly(plan, b, 1, 0))


def test_a_stream_that_ended_takes_nothing_more():
    tiles = stream(TilePlan(tile=2, reach=1))
    tiles.push(signal(5))
    tiles.flush()
    for again in (tiles.flush, lambda: tiles.push(signal(5))):
        with pytest.raises(AudioError, match="stream: has ended; make a new one"):
            again()


@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (1, 2, 5)])
def test_pieces_of_another_shape_are_refused(shape: tuple[int, ...]):
    with pytest.raises(AudioError, match=r"give \[2, n\]"):
        stream(TilePlan(tile=2, reach=1)).push(torch.zeros(shape))


def test_a_check_judges_every_piece_before_it_is_taken():
    def check(piece: Tensor) -> None:
        if bool((piece < 0).any()):
            raise TokensError("negative")

    tiles = TileStream(TilePlan(2, 1), 1, lambda window: window[:, 1:-1], torch.zeros(1, 0), check=check)
    tiles.push(torch.ones(1, 3))
    with pytest.raises(TokensError, match="negative"):
        tiles.push(-torch.ones(1, 3))
    assert tiles.pushed == 3


def test_no_graph_is_kept():
    tiles = TileStream(TilePlan(2, 1), 1, lambda window: window[:, 1:-1], torch.zeros(1, 0))
    out = tiles.push(torch.ones(1, 9, requires_grad=True))
    assert not out.requires_grad and not tiles._held.requires_grad
