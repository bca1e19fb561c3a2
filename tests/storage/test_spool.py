"""Pieces of a long item: the file of the whole, in little memory."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.errors import OutputError, TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage import TokenSpool
from tokaudio.storage.npz import read_npz, write_npz
from tokaudio.tokens import Tokens

SPEC = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(1024), CodebookSpec(70_000), CodebookSpec(8)))


def whole(frames: int, short: int = 0, spec: TokenizerSpec = SPEC) -> Tokens:
    """Return one item of random codes, whose last frame lacks `short` samples."""
    generator = torch.Generator().manual_seed(frames)
    codes = torch.stack([torch.randint(size, (frames,), generator=generator) for size in spec.codebook_sizes])[None]
    samples = torch.tensor([max(frames * spec.hop_length - short, 0)])
    return Tokens(codes, torch.tensor([frames]), samples, spec, "0123456789abcdef", provenance={"resampler": "none"})


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for all, and no waiting for the disk: what is written there is never to outlast a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield tmp_path_factory.mktemp("spool")


def spooled(folder: Path, tokens: Tokens, cuts: list[int]) -> TokenSpool:
    """Return a spool of tokens in pieces, of which file and content are those of the whole."""
    frames = int(tokens.lengths[0])
    edges = [0, *sorted(min(cut, frames) for cut in cuts), frames]
    spool = TokenSpool()
    for start, stop in itertools.pairwise(edges):
        # Nothing may follow a frame that lacks samples, not even nothing.
        if start < frames or int(tokens.num_samples[0]) == frames * SPEC.hop_length:
            spool.add(tokens.frames(start, stop))
    spool.write(folder / "spooled.npz", overwrite=True)
    write_npz(folder / "whole.npz", tokens, overwrite=True)
    assert (folder / "spooled.npz").read_bytes() == (folder / "whole.npz").read_bytes()
    assert spool.tokens() == tokens == read_npz(folder / "spooled.npz")
    return spool


@given(st.integers(0, 40), st.integers(0, 319), st.lists(st.integers(0, 40), max_size=5))
def test_pieces_make_the_file_of_the_whole(folder: Path, frames: int, short: int, cuts: list[int]) -> None:
    tokens = whole(frames, short if frames else 0)
    spool = spooled(folder, tokens, cuts)
    assert (spool.num_frames, spool.num_samples) == (frames, int(tokens.num_samples[0]))
    assert spool.num_tokens == int(tokens.num_tokens.sum())
    assert spool.duration == tokens.duration


def test_nothing_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="add at least one"):
        TokenSpool().write(tmp_path / "a.npz")
    with pytest.raises(TokensError, match="add at least one"):
        TokenSpool().tokens()
    assert not list(tmp_path.iterdir())
    assert (TokenSpool().num_tokens, TokenSpool().duration) == (0, 0.0)


def test_pieces_that_do_not_belong_together_are_refused() -> None:
    spool = TokenSpool()
    spool.add(whole(3))
    with pytest.raises(TokensError, match="not made by toy"):
        spool.add(whole(3, spec=SPEC.select(2)))
    with pytest.raises(TokensError, match="one item"):
        spool.add(Tokens.batch([whole(3), whole(2)]))
    spool.add(whole(2, short=1))
    with pytest.raises(TokensError, match="only the last piece may"):
        spool.add(whole(1))
    assert spool.num_frames == 5


def with_extras(tokens: Tokens, **extras: torch.Tensor) -> Tokens:
    return dataclasses.replace(tokens, extras=extras)


@given(st.integers(0, 30), st.lists(st.integers(0, 30), max_size=4))
def test_side_information_is_joined_in_time_and_shared_for_the_item(folder: Path, frames: int, cuts: list[int]) -> None:
    tokens = whole(frames)
    rows = torch.arange(2.0 * frames).view(1, frames, 2)
    extras = {"frame_b": rows, "frame_a": rows[..., 0].to(torch.int16), "item_voice": torch.tensor([[1.0, -2.0]])}
    tokens = with_extras(tokens, **extras, item_number=torch.tensor([3]))
    spooled(folder, tokens, cuts)


def with_depth(tokens: Tokens) -> Tokens:
    """Return tokens of which each frame has one codebook more than the one before, and then one again."""
    depth = torch.arange(int(tokens.lengths[0]))[None] % tokens.spec.num_codebooks + 1
    return dataclasses.replace(tokens, codes=tokens.codes.clone(), depth=depth)


@given(st.integers(0, 30), st.lists(st.integers(0, 30), max_size=4))
def test_the_depth_of_frames_is_kept(folder: Path, frames: int, cuts: list[int]) -> None:
    tokens = with_extras(with_depth(whole(frames)), frame_a=torch.arange(frames)[None])
    spooled(folder, tokens, cuts)


def test_side_information_that_cannot_be_joined_is_refused() -> None:
    tokens = whole(3)
    for first, second, problem in ((tokens, with_depth(tokens), "a depth"), (with_depth(tokens), tokens, "no depth")):
        spool = TokenSpool()
        spool.add(first)
        with pytest.raises(TokensError, match=f"a piece has {problem}"):
            spool.add(second)
    with pytest.raises(TokensError, match="frame_voice"):
        TokenSpool().add(with_extras(tokens, voice=torch.ones(1)))
    spool = TokenSpool()
    spool.add(with_extras(tokens, frame_x=torch.ones(1, 3), item_y=torch.ones(1)))
    other = [
        ({}, "other extras"),
        ({"frame_x": torch.ones(1, 3, dtype=torch.int64), "item_y": torch.ones(1)}, "frame_x differs"),
        ({"frame_x": torch.ones(1, 3, 2), "item_y": torch.ones(1)}, "frame_x differs"),
        ({"frame_x": torch.ones(1, 3), "item_y": torch.zeros(1)}, "item_y differs"),
        ({"frame_x": torch.ones(1, 3), "item_y": torch.ones(1, 1)}, "item_y differs"),
        ({"frame_x": torch.ones(1, 3, dtype=torch.bfloat16), "item_y": torch.ones(1)}, "bfloat16"),
    ]
    for extras, problem in other:
        with pytest.raises(TokensError, match=problem):
            spool.add(with_extras(tokens, **extras))
    assert spool.num_frames == 3
    assert spool.tokens().extras["frame_x"].shape == (1, 3)


def test_existing_file_stays(tmp_path: Path) -> None:
    spool = TokenSpool()
    spool.add(whole(3))
    spool.write(tmp_path / "a.npz")
    with pytest.raises(OutputError, match="exists") as kept:
        spool.write(tmp_path / "a.npz")
    spool.add(whole(1))
    assert kept.tb is not None  # its frames are still there when the spool grows
    spool.write(tmp_path / "a.npz", overwrite=True)
    assert read_npz(tmp_path / "a.npz").codes.shape[2] == 4
