"""Tokens of segments: cuts, joins, times, and what is refused."""

import dataclasses
import itertools
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage import TokenSpool
from tokaudio.tokens import Tokens

# 5 frames per segment; the next one begins after 4.5 of them.
SPEC = TokenizerSpec("toy", "compression", 100, 2, (CodebookSpec(8),) * 2, segment_length=10, segment_stride=9)


def signal(num_samples: int) -> Tokens:
    frames = SPEC.num_frames(num_samples)
    generator = torch.Generator().manual_seed(num_samples)
    scale = torch.zeros(1, frames)
    at = 0
    for start, stop in SPEC.segments.cut(num_samples) if SPEC.segments else ():
        scale[0, at] = 1 + start
        at += -(-(stop - start) // SPEC.hop_length)
    codes = torch.randint(8, (1, 2, frames), generator=generator)
    facts = torch.tensor([frames]), torch.tensor([num_samples]), SPEC, "0123"
    return Tokens(codes, *facts, extras={"frame_scale": scale})


@given(st.integers(1, 100), st.lists(st.integers(0, 12), max_size=4))
def test_cuts_between_segments_join_again(
    tmp_path_factory: pytest.TempPathFactory, num_samples: int, cuts: list[int]
) -> None:
    tokens = signal(num_samples)
    total = tokens.codes.shape[2]
    edges = [0, *sorted(min(5 * cut, total) for cut in cuts), total]
    parts = [tokens.frames(a, b) for a, b in itertools.pairwise(edges) if a < b]
    assert sum(int(part.num_samples[0]) for part in parts) == num_samples
    assert Tokens.concatenate(parts) == tokens
    spool = TokenSpool()
    for part in parts:
        spool.add(part)
    assert spool.tokens() == tokens
    folder = tmp_path_factory.mktemp("segments")
    spool.write(folder / "spooled.npz")
    tokens.save(folder / "whole.npz")
    assert (folder / "spooled.npz").read_bytes() == (folder / "whole.npz").read_bytes()
    assert Tokens.load(folder / "spooled.npz") == tokens == pickle.loads(pickle.dumps(tokens))


def test_whole_segments_are_as_long_as_their_strides() -> None:
    tokens = signal(31)
    assert tokens.codes.shape[2] == 5 + 5 + 5 + 2
    assert [int(tokens.frames(a, b).num_samples) for a, b in ((0, 5), (5, 15), (15, None))] == [9, 18, 4]
    assert tokens.frames(5, 10).extras["frame_scale"].tolist() == [[10.0, 0.0, 0.0, 0.0, 0.0]]


@pytest.mark.parametrize(("start", "stop"), [(1, None), (0, 4), (5, 9), (4, 10)])
def test_cuts_within_a_segment_are_refused(start: int, stop: int | None) -> None:
    with pytest.raises(TokensError, match=r"splits a segment.*multiples of 5"):
        signal(31).frames(start, stop)


def test_only_whole_segments_are_joined_and_spooled() -> None:
    short = signal(12)
    with pytest.raises(TokensError, match="ends within a segment of 5 frames"):
        Tokens.concatenate([short, short])
    spool = TokenSpool()
    spool.add(short)
    with pytest.raises(TokensError, match="ends within a segment; only the last"):
        spool.add(short)


def test_batches_are_cut_item_by_item() -> None:
    batch = Tokens.batch([signal(31), signal(13)])
    front, rest = batch.frames(0, 5), batch.frames(5)
    assert front.num_samples.tolist() == [9, 9] and rest.num_samples.tolist() == [22, 4]
    assert rest.lengths.tolist() == [12, 2]
    assert batch[1] == signal(13)


def test_times() -> None:
    tokens = signal(31)
    assert tokens.frame_times()[4:7].tolist() == [0.08, 0.09, 0.11]
    assert tokens.seconds(0.0, 0.05).codes.shape[2] == 5
    assert tokens.seconds(0.095, 0.1) == tokens.frames(0, 10)
    assert tokens.seconds(0.1) == tokens.frames(5)
    assert tokens.seconds(9, 10).codes.shape[2] == 0


def test_bare_codes_are_whole_segments() -> None:
    for frames, samples in ((5, 9), (10, 18), (12, 22), (0, 0)):
        codes = torch.zeros(2, frames, dtype=torch.int64)
        assert Tokens.from_codes(codes, SPEC).num_samples.tolist() == [samples]


def test_tokens_of_other_segments_are_not_decoded() -> None:
    with pytest.raises(TokensError, match="another version"):
        signal(31).require_compatible(dataclasses.replace(SPEC, segment_stride=8))
    signal(31).require_compatible(SPEC)


def test_files_say_where_segments_are(tmp_path: Path) -> None:
    tokens = signal(31)
    tokens.save(tmp_path / "a.npz")
    assert Tokens.load(tmp_path / "a.npz").spec.segments == SPEC.segments
