"""Codes replaced in one codebook: all others, and all else, stay."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.tones import ToneTokenizer
from tokaudio.analysis.decoding.interventions import constant, mean_codes, shares_space, shuffled, swapped
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokens import Tokens

SLOW = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(9, stride=4), CodebookSpec(9)))


def slow_tokens(slow: list[int], fast: list[int]) -> Tokens:
    length = torch.tensor([len(fast)])
    return Tokens.from_ragged([torch.tensor([slow]), torch.tensor([fast])], length, length * 320, SLOW)


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30), st.integers(0, 99))
def test_shuffling_keeps_what_there_is(fast: list[int], seed: int) -> None:
    slow = list(range(-(-len(fast) // 4)))
    tokens = slow_tokens(slow, fast)
    changed = shuffled(tokens, 1, seed=seed)
    assert sorted(changed.codes[0, 1].tolist()) == sorted(fast)
    assert torch.equal(changed.codes[0, 0], tokens.codes[0, 0])
    assert shuffled(tokens, 1, seed=seed) == changed
    moved = shuffled(tokens, 0, seed=seed)
    # Slow codes stay whole: `ragged` gives each back, once.
    assert sorted(moved.ragged()[0][0].tolist()) == slow
    assert moved == slow_tokens(moved.ragged()[0][0].tolist(), fast)


def test_each_item_is_shuffled_within_its_length() -> None:
    codes = torch.tensor([[[1, 2, 3, 4], [5, 6, 7, 8]], [[1, 2, 0, 0], [3, 4, 0, 0]]])
    spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(9),) * 2)
    tokens = Tokens(codes, torch.tensor([4, 2]), torch.tensor([1280, 640]), spec)
    changed = shuffled(tokens, 1, seed=1)
    assert changed.codes[:, 1].sort().values.tolist() == [[5, 6, 7, 8], [0, 0, 3, 4]]
    assert changed.codes[0, 1].tolist() != [5, 6, 7, 8]
    assert constant(tokens, 0, torch.tensor([8, 7])).codes[:, 0].tolist() == [[8, 8, 8, 8], [7, 7, 0, 0]]


@pytest.mark.parametrize("frames", [7, 8, 9])
def test_swaps_are_as_long_as_the_shorter_in_whole_slow_codes(frames: int) -> None:
    one = slow_tokens([1] * 3, [1] * 12)
    other = slow_tokens([2] * -(-frames // 4), [2] * frames)
    for index in (0, 1):
        changed = swapped(one, other, index)
        wanted = [[1] * (frames // 4 * 4)] * 2
        wanted[index] = [2] * (frames // 4 * 4)
        assert changed.codes[0].tolist() == wanted


def test_swapping_with_itself_changes_nothing() -> None:
    tokens = slow_tokens([1, 2], [1, 2, 3, 4, 5])
    assert swapped(tokens, tokens, 0) == tokens


def test_the_mean_code_is_the_nearest_to_the_mean_of_each_item() -> None:
    spec = TokenizerSpec("toy", "compression", 16_000, 320, (CodebookSpec(4),))
    tokens = Tokens(torch.tensor([[[0, 0, 3]], [[3, 0, 0]]]), torch.tensor([3, 1]), torch.tensor([960, 320]), spec)
    table = torch.tensor([[0.0, 0.0], [1.0, 0.2], [1.4, 0.0], [3.0, 0.0]])
    assert mean_codes(tokens, 0, table).tolist() == [1, 3]
    # Of equals, the lowest.
    assert mean_codes(tokens, 0, torch.tensor([[0.0], [2.0], [0.0], [3.0]])).tolist() == [0, 3]


def test_only_codebooks_in_the_same_dimensions_share_a_space() -> None:
    codec = ToneTokenizer()
    assert shares_space(codec) == [False, False]
    level, tone = codec.codebooks()
    codec.codebooks = lambda: [level, level + tone.sum(), tone, tone[:, :1]]  # type: ignore[method-assign]
    assert shares_space(codec) == [True, True, True, False]


@pytest.mark.parametrize("index", [-1, 2])
def test_codebooks_must_exist(index: int) -> None:
    with pytest.raises(AnalysisError, match=r"0\.\.1"):
        shuffled(slow_tokens([1], [1]), index)


def test_tokens_with_a_depth_are_refused() -> None:
    tokens = Tokens(torch.ones(1, 2, 3, dtype=torch.int64), torch.tensor([3]), torch.tensor([960]), SLOW)
    deep = Tokens(tokens.codes, tokens.lengths, tokens.num_samples, SLOW, depth=torch.tensor([[2, 2, 1]]))
    with pytest.raises(AnalysisError, match="only without a depth"):
        constant(deep, 0, 1)


def test_swaps_are_of_one_sound_each_and_of_one_tokenizer() -> None:
    tokens = slow_tokens([1], [1, 1, 1, 1])
    with pytest.raises(AnalysisError, match="give one at a time"):
        swapped(tokens, Tokens.batch([tokens, tokens]), 0)
    spec = TokenizerSpec("other", "compression", 16_000, 320, SLOW.codebooks)
    with pytest.raises(AnalysisError, match="those of one tokenizer"):
        swapped(tokens, Tokens.from_codes(tokens.codes, spec), 0)
