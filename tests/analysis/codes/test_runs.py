"""Runs of equal codes, and stretches of recordings: by definition."""

from __future__ import annotations

import json
import math
from itertools import groupby
from statistics import median

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from tests.analysis.toys import SLOW, plain, recordings, toy
from tokaudio.analysis.codes import pieces as pieces_module
from tokaudio.analysis.codes import runs as runs_module
from tokaudio.analysis.codes.pieces import PieceSample
from tokaudio.analysis.codes.runs import RunCounter, RunLengths, temporal_redundancy
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.spec import CodebookSpec
from tokaudio.tokens import Tokens


def check(found: RunLengths, lengths: list[int]) -> None:
    assert (found.codes, found.runs, found.longest) == (sum(lengths), len(lengths), max(lengths, default=0))
    assert found.median == (median(lengths) if lengths else 0.0)
    assert sum(found.lengths) == len(lengths) and found.lengths[0] == lengths.count(1)
    assert found.lengths[-1] == sum(n >= len(found.lengths) for n in lengths)
    if lengths:
        assert found.mean == pytest.approx(np.mean(lengths)) and found.dedup_ratio == pytest.approx(1 / found.mean)


@settings(deadline=None, max_examples=60)
@given(recordings())
def test_runs_equal_their_definition(given: list[Integers]) -> None:
    counter = RunCounter(toy(*SLOW))
    for rows in given:
        counter.add(rows)
    found = counter.finish()
    for number, one in enumerate(found.codebooks):
        rows = [plain(codes, SLOW, number) for codes in given]
        check(one, [len(list(run)) for row in rows for _, run in groupby(row)])
    check(found.together, [len(list(run)) for codes in given for _, run in groupby(codes.T.tolist())])
    json.dumps(found.to_dict(), allow_nan=False)


def test_frames_together_are_those_of_dedup() -> None:
    spec = toy(CodebookSpec(2), CodebookSpec(2))
    codes = np.random.default_rng(0).integers(0, 2, (2, 200))
    counter = RunCounter(spec)
    counter.add(codes)
    deduped = Tokens.from_codes(torch.from_numpy(codes), spec).dedup()
    together = counter.finish().together
    assert together.runs == int(deduped.lengths[0]) and together.mean == pytest.approx(deduped.frames_per_run)


def test_very_long_runs_keep_their_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "_LONGEST", 20)
    counter = RunCounter(toy(CodebookSpec(2)))
    counter.add([[0] * 70 + [1] * 30])
    found = counter.finish().codebooks[0]
    assert (found.mean, found.longest, found.lengths[-1]) == (50.0, 70, 2)


def test_nothing_is_refused() -> None:
    with pytest.raises(AnalysisError, match="there is no frame"):
        RunCounter(toy(CodebookSpec(2))).finish()
    with pytest.raises(AnalysisError, match="there is no frame"):
        PieceSample(toy(CodebookSpec(2))).finish()
    with pytest.raises(AnalysisError, match="limit is 3999"):
        PieceSample(toy(CodebookSpec(2)), limit=3_999)


def test_a_chain_of_known_memory() -> None:
    """A code stays with chance 3/4, else one of 8 is drawn: it tells H - H(stays or drawn) of the next."""
    random = np.random.default_rng(0)
    stays, drawn = random.random((12, 4_000)) < 0.75, random.integers(0, 8, (12, 4_000))
    sample = PieceSample(toy(CodebookSpec(8), CodebookSpec(8), CodebookSpec(8)))
    for stay, new in zip(stays, drawn, strict=True):
        stay[0] = False
        last = np.maximum.accumulate(np.where(stay, 0, np.arange(4_000)))
        sample.add(np.stack([new[last], random.integers(0, 8, 4_000), np.zeros(4_000, dtype=int)]))
    held, free, still = temporal_redundancy(sample.finish())
    same, other = 0.75 + 0.25 / 8, 0.25 / 8
    wanted = 3 + same * math.log2(same) + 7 * other * math.log2(other)
    assert held is not None and held.corrected == pytest.approx(wanted, abs=0.03)
    assert held.share == pytest.approx(wanted / 3, abs=0.01)
    assert free is not None and free.share < 0.002 and still is None


def test_stretches_are_a_sample_of_fixed_size_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces_module, "_STRETCH", 25)
    spec = toy(CodebookSpec(100_000, stride=2), CodebookSpec(100_000))
    sample, firsts = PieceSample(spec, limit=1_000), []
    for number in range(40):
        codes = 1_000 * number + np.arange(300)
        sample.add(np.stack([codes // 2 * 2, codes]))
        assert sample._frames <= 2_000
    pieces = sample.finish()
    assert 950 < sum(pieces.frames) <= 1_000 and pieces.seen == 12_000
    for side, held in ((pieces.learned(1), False), (pieces.held_out(1), True)):
        for row in side:
            assert (np.diff(row) == 1).all() and row[0] % 26 != 27 and (row[0] // 1_000 % 4 == 1) == held
            firsts.append(int(row[0]) % 1_000)
    assert len(set(firsts)) > 6, "stretches are from anywhere"
    assert all((np.diff(row) == 2).all() for row in pieces.learned(0)), "slow codes come once, from where they begin"


def test_few_frames_are_all_kept_whole() -> None:
    sample = PieceSample(toy(CodebookSpec(5_000)))
    for number in range(5):
        sample.add([range(number * 10, number * 10 + 2_500)])
    pieces = sample.finish()
    assert [row.size for row in pieces.learned(0)] == [2_500] * 4 and pieces.held_out(0)[0][0] == 10
    assert pieces.frames == (10_000, 2_500)


def test_of_one_recording_the_end_is_held_out() -> None:
    sample = PieceSample(toy(CodebookSpec(5_000)))
    sample.add([range(4_000)])
    pieces = sample.finish()
    assert [row.tolist() for row in pieces.held_out(0)] == [list(range(3_000, 4_000))] and pieces.frames == (
        3_000,
        1_000,
    )
