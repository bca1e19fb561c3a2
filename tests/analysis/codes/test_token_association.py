"""Codes of two tokenizers against a slow twin, and moments put side by side."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.toys import toy
from tokaudio.analysis.codes.token_association import side_by_side, token_association
from tokaudio.analysis.frames.observing import frame_times
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.spec import CodebookSpec, TokenizerSpec

CODES = st.lists(st.tuples(st.integers(-1, 5), st.integers(-1, 3)), min_size=1, max_size=80).filter(
    lambda pairs: any(min(pair) >= 0 for pair in pairs)
)


def spec(hop: int) -> TokenizerSpec:
    return TokenizerSpec("toy", "compression", 16_000, hop, (CodebookSpec(100),))


@settings(max_examples=60)
@given(CODES)
def test_information_and_pairs_are_those_of_a_slow_count(pairs: list[tuple[int, int]]) -> None:
    found = token_association([one for one, _ in pairs], [other for _, other in pairs])
    known = [pair for pair in pairs if min(pair) >= 0]
    total, both = len(known), Counter(known)
    first, second = Counter(one for one, _ in known), Counter(other for _, other in known)
    bits = {pair: math.log2(n * total / (first[pair[0]] * second[pair[1]])) for pair, n in both.items()}
    assert found.frames == total
    assert abs(found.plain - sum(n / total * bits[pair] for pair, n in both.items())) < 1e-9
    assert abs(found.entropies[0] + sum(n / total * math.log2(n / total) for n in first.values())) < 1e-9
    wanted = sorted((p for p in both if both[p] >= 5), key=lambda p: (-both[p] * bits[p], p))[:10]
    assert [(pair.first, pair.second) for pair in found.strongest] == wanted
    for pair in found.strongest:
        at = (pair.first, pair.second)
        assert pair.frames == both[at] and abs(pair.bits - bits[at]) < 1e-9
        assert (pair.of_first, pair.of_second) == (both[at] / first[at[0]], both[at] / second[at[1]])


def test_chance_tells_nothing_and_a_finer_codebook_tells_all() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 16, 20_000)
    nothing = token_association(codes, random.integers(0, 16, 20_000))
    assert max(nothing.told_of_first, nothing.told_of_second) < 0.005
    finer = token_association(codes, codes // 4, first=("fine", 0), second=("coarse", 1))
    assert abs(finer.told_of_second - 1) < 0.01 and abs(finer.told_of_first - 0.5) < 0.01
    assert finer.sentence() == "Codebook 0 of fine tells 100 % of codebook 1 of coarse, which tells 50 % of it."
    assert finer.to_dict()["second"] == {"tokenizer": "coarse", "codebook": 1}
    constant = token_association(np.zeros(9, int), np.zeros(9, int))
    assert constant.told_of_first == 0.0


def test_other_lengths_are_refused() -> None:
    with pytest.raises(AnalysisError, match="codes are"):
        token_association([1, 2], [1, 2, 3])


@settings(max_examples=60)
@given(
    st.sampled_from([160, 320, 480, 640, 1000]),
    st.sampled_from([160, 320, 640]),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_moments_are_the_nearest(hop: int, other_hop: int, frames: int, other_frames: int) -> None:
    one, other = spec(hop), spec(other_hop)
    found = side_by_side(np.arange(frames)[None], one, np.arange(other_frames)[None], other)
    mine, theirs = frame_times(one, frames), frame_times(other, other_frames)
    if not frames or not other_frames:
        assert found.shape == (2, 0)
        return
    times = mine if hop >= other_hop else theirs
    end = min(mine[-1], theirs[-1]) + max(hop, other_hop) / 32_000
    wanted = [(_slow(mine, time), _slow(theirs, time)) for time in times if time <= end]
    assert found.T.tolist() == [list(pair) for pair in wanted]


def _slow(centres: np.ndarray, time: float) -> int:  # type: ignore[type-arg]
    return min(range(len(centres)), key=lambda place: (round(abs(centres[place] - time), 8), place))


def test_all_codebooks_stand_side_by_side() -> None:
    both = toy(CodebookSpec(4), CodebookSpec(4))
    found = side_by_side(np.array([[1, 2], [3, -1]]), both, np.array([[5, 6, 7]]), spec(320))
    assert found.tolist() == [[1, 2], [3, -1], [5, 6]]
