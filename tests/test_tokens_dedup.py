"""Deduplicated tokens: the laws of runs and durations, against a slow twin."""

import dataclasses
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokens import DedupedTokens, Tokens

ONE = TokenizerSpec("one", "semantic", 100, 10, (CodebookSpec(4),))
TWO = TokenizerSpec("two", "compression", 100, 10, (CodebookSpec(2), CodebookSpec(3)))
SLOW = TokenizerSpec("slow", "compression", 100, 10, (CodebookSpec(2, 4), CodebookSpec(2)))


@st.composite
def tokens_(draw):
    """Tokens with many repeated frames, of any lengths, with and without padding, depth and extras."""
    spec = draw(st.sampled_from([ONE, TWO, SLOW]))
    lengths = draw(st.lists(st.integers(0, 12), max_size=3))
    frames = max(lengths, default=0) + draw(st.integers(0, 2))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    rows = [
        torch.randint(book.size, (len(lengths), -(-frames // book.stride)), generator=generator)
        .repeat_interleave(book.stride, dim=1)[:, :frames]
        for book in spec.codebooks
    ]  # fmt: skip
    depth = (
        torch.randint(3, (len(lengths), frames), generator=generator) if spec is TWO and draw(st.booleans()) else None
    )
    extras = {"frame_pitch": torch.randn(len(lengths), frames, generator=generator)} if draw(st.booleans()) else {}
    lengths = torch.tensor(lengths, dtype=torch.int64)
    samples = (lengths * 10 - draw(st.integers(0, 9))).clamp(min=0)
    return Tokens(torch.stack(rows, dim=1), lengths, samples, spec, "0f", extras, depth, {"resampler": "none"})


def slow_runs(item):
    """Return codes and durations of one item's runs, by itertools."""
    frames = item.codes[0].T.tolist()[: int(item.lengths[0])]
    depths = [None] * len(frames) if item.depth is None else item.depth[0].tolist()
    groups = [(key, len(list(group))) for key, group in itertools.groupby(zip(frames, depths, strict=False))]
    return [list(frame) for (frame, _), _ in groups], [count for _, count in groups]


@settings(deadline=None)
@given(tokens_())
def test_expand_gives_the_tokens_back(tokens):
    back = tokens.dedup().expand()
    assert back == tokens and back.provenance == tokens.provenance
    assert back.codes.is_contiguous()


@settings(deadline=None)
@given(tokens_())
def test_runs_are_those_of_the_slow_twin(tokens):
    runs = tokens.dedup()
    assert len(runs) == len(tokens)
    for (codes, durations), item in zip(runs.items(), tokens, strict=True):
        wanted_codes, wanted_durations = slow_runs(item)
        assert codes.T.tolist() == wanted_codes
        assert durations.tolist() == wanted_durations
    assert runs.durations.sum(dim=1).tolist() == tokens.lengths.tolist()
    assert not bool((runs.durations * ~runs.mask).any())
    assert runs.codes.shape[2] == max(runs.lengths.tolist(), default=0)


def test_runs_of_one_item():
    tokens = Tokens.from_codes(torch.tensor([[3, 3, 0, 0, 0, 3]]), ONE, fingerprint="ab")
    runs = tokens.dedup()
    assert runs.codes.tolist() == [[[3, 0, 3]]] and runs.durations.tolist() == [[2, 3, 1]]
    assert runs.starts.tolist() == [[0, 2, 5]]
    assert runs.frames_per_run == 2.0 and runs.fingerprint == "ab"


def test_a_run_ends_where_any_codebook_changes():
    tokens = Tokens.from_codes(torch.tensor([[0, 0, 0, 1], [2, 2, 1, 1]]), TWO)
    assert tokens.dedup().durations.tolist() == [[2, 1, 1]]
    assert tokens.select_codebooks([0]).dedup().durations.tolist() == [[3, 1]]


def test_a_run_ends_where_the_depth_changes_and_padding_is_none():
    tokens = Tokens.from_codes(torch.zeros(2, 4, dtype=torch.int64), TWO)
    deep = dataclasses.replace(tokens, depth=torch.tensor([[1, 1, 2, 2]]))
    assert deep.dedup().durations.tolist() == [[2, 2]]
    padded = dataclasses.replace(tokens, lengths=torch.tensor([3]))
    assert padded.dedup().durations.tolist() == [[3]]
    assert padded.dedup().expand().codes.shape == (1, 2, 4)


@pytest.mark.parametrize("lengths", [[], [0], [1], [0, 1]])
def test_empty_and_one_frame_items(lengths):
    codes = torch.zeros(len(lengths), 1, max(lengths, default=0), dtype=torch.int64)
    counts = torch.tensor(lengths, dtype=torch.int64)
    tokens = Tokens(codes, counts, counts * 10, ONE)
    runs = tokens.dedup()
    assert runs.lengths.tolist() == lengths
    assert runs.expand() == tokens
    assert runs.frames_per_run == 1.0


def test_runs_of_a_language_model_become_tokens():
    runs = DedupedTokens.from_codes(torch.tensor([[1, 2]]), torch.tensor([3, 1]), ONE)
    assert runs.expand() == Tokens.from_codes(torch.tensor([[1, 1, 1, 2]]), ONE)
    none = torch.zeros(0, dtype=torch.int64)
    assert len(DedupedTokens.from_codes(none[None], none, ONE).expand()) == 1


def test_runs_move_between_devices_with_all_they_hold():
    extras = {"frame_pitch": torch.ones(1, 2)}
    tokens = Tokens.from_codes(torch.tensor([[1, 1], [2, 2]]), TWO)
    tokens = dataclasses.replace(tokens, extras=extras, depth=torch.tensor([[1, 2]]))
    assert tokens.dedup().to("cpu").expand() == tokens


@pytest.mark.parametrize(
    ("codes", "durations", "message"),
    [
        ([[1, 2]], [3, 0], "a duration of 0 frames"),
        ([[1, 2]], [3], "durations has shape"),
        ([[1], [2]], [1], "codes has shape"),
        ([[1.5, 2.0]], [1, 1], "give integers"),
    ],
)
def test_wrong_runs_are_refused(codes, durations, message):
    with pytest.raises(TokensError, match=message):
        DedupedTokens.from_codes(torch.tensor(codes), torch.tensor(durations), ONE)


def test_what_does_not_expand_is_refused():
    with pytest.raises(TokensError, match="code 9 in codebook 0"):
        DedupedTokens.from_codes(torch.tensor([[9]]), torch.tensor([1]), ONE).expand()
    with pytest.raises(TokensError, match="stride 4"):
        DedupedTokens.from_codes(torch.tensor([[0, 1], [0, 1]]), torch.tensor([3, 3]), SLOW).expand()
    runs = Tokens.from_codes(torch.tensor([[1, 1]]), ONE).dedup()
    with pytest.raises(TokensError, match="lengths of"):
        dataclasses.replace(runs, lengths=torch.tensor([2]))


def test_runs_show_themselves_in_one_line():
    runs = Tokens.from_codes(torch.tensor([[[1, 1, 1, 2], [0, 0, 0, 0]]]).view(2, 1, 4), ONE).dedup()
    assert repr(runs) == "DedupedTokens(one, 2, 1 runs of 2.67 frames on average)"
