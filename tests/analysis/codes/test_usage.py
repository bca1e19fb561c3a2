"""Use of codebooks: by definition, and of a codebook that fell in."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from tests.analysis.toys import SLOW, plain, recordings, toy
from tokaudio.analysis.codes.code_streams import at_own_rate, checked, recordings_of
from tokaudio.analysis.codes.usage import UsageCounter, usage
from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.spec import CodebookSpec
from tokaudio.tokens import Tokens


@settings(deadline=None, max_examples=60)
@given(recordings())
def test_figures_equal_their_definitions(given: list[Integers]) -> None:
    counter = UsageCounter(toy(*SLOW))
    for rows in given:
        counter.add(rows)
    found = counter.finish()
    nominal = effective = 0.0
    for number, (one, book) in enumerate(zip(found.codebooks, SLOW, strict=True)):
        seen = Counter(code for rows in given for code in plain(rows, SLOW, number))
        total = seen.total()
        bits = -sum(n / total * math.log2(n / total) for n in seen.values())
        assert (one.codes, one.used, one.size) == (total, len(seen), book.size)
        assert one.utilisation == len(seen) / book.size
        assert one.entropy == pytest.approx(bits, abs=1e-9)
        assert one.normalised_entropy == pytest.approx(bits / math.log2(book.size), abs=1e-9)
        assert one.perplexity == pytest.approx(2**bits) and one.normalised_perplexity <= 1 + 1e-9
        assert one.commonest == (max(seen.values()) / total if seen else 0.0)
        assert one.entropy - 1e-9 <= one.corrected <= math.log2(book.size) + 1e-9
        nominal, effective = nominal + total * math.log2(book.size), effective + total * bits
    seconds = sum(rows.shape[1] for rows in given) / 50
    assert found.seconds == pytest.approx(seconds)
    assert found.nominal_bps == pytest.approx(nominal / seconds)
    assert found.effective_bps == pytest.approx(effective / seconds, abs=1e-9)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_collapsed_codebook_is_not_said_to_be_full() -> None:
    spec = toy(CodebookSpec(1024), CodebookSpec(1024))
    random = np.random.default_rng(0)
    found = usage(np.stack([random.integers(0, 2, 50_000) * 700, random.integers(0, 1024, 50_000)]), spec)
    collapsed, full = found.codebooks
    assert collapsed.utilisation == 2 / 1024 and full.utilisation == 1.0
    assert collapsed.normalised_entropy == pytest.approx(0.1, abs=1e-3)
    assert full.normalised_entropy == pytest.approx(1.0, abs=2e-3) and full.corrected > full.entropy
    assert found.nominal_bps == pytest.approx(1000.0) and found.efficiency == pytest.approx(0.55, abs=2e-3)
    assert found.to_dict()["codebooks"][0]["utilisation"] == 2 / 1024
    few = usage(np.stack([random.integers(0, 2, 200) * 700, random.integers(0, 1024, 200)]), spec)
    assert [one.enough for one in (*found.codebooks, *few.codebooks)] == [True, True, True, False]


def test_the_nominal_rate_is_the_specs_where_nothing_is_missing() -> None:
    spec = toy(*SLOW)
    assert usage(np.zeros((3, 100), dtype=int), spec).nominal_bps == pytest.approx(spec.bitrate_bps)
    alone = usage(np.zeros((1, 9), dtype=int), toy(CodebookSpec(1)))
    assert (alone.codebooks[0].normalised_entropy, alone.efficiency, alone.codebooks[0].perplexity) == (0.0, 0.0, 1.0)


def test_a_codebook_that_no_frame_has_counts_nothing() -> None:
    found = usage([[1, 2], [-1, -1]], toy(CodebookSpec(4), CodebookSpec(4)))
    assert found.codebooks[1].to_dict()["perplexity"] == 1.0 and found.codebooks[1].codes == 0
    assert found.nominal_bps == pytest.approx(100.0)


def test_tokens_become_recordings() -> None:
    spec = toy(CodebookSpec(8), CodebookSpec(8))
    codes = torch.tensor([[[1, 2, 3], [4, 5, 6]], [[7, 1, 0], [2, 3, 0]]])
    tokens = Tokens(
        codes, torch.tensor([3, 2]), torch.tensor([960, 640]), spec, depth=torch.tensor([[2, 1, 2], [1, 2, 0]])
    )
    first, second = (rows.tolist() for rows in recordings_of(tokens))
    assert first == [[1, 2, 3], [4, -1, 6]] and second == [[7, 1], [-1, 3]]


def test_what_cannot_be_this_tokenizers_codes_is_refused() -> None:
    spec = toy(CodebookSpec(8), CodebookSpec(4))
    for codes, message in (
        ([[1, 2]], r"codes are \[1, 2\]; give \[2, T\], as toy has them"),
        ([1, 2], r"codes are \[2\]"),
        ([[1.0], [2.0]], "float64"),
        ([[7], [4]], "codebook 1 of toy has codes from 4 to 4; give codes from 0 to 3"),
        ([[-2], [0]], "codebook 0 of toy has codes from -2"),
    ):
        with pytest.raises(AnalysisError, match=message):
            checked(codes, spec)
    with pytest.raises(AnalysisError, match="there is no frame"):
        UsageCounter(spec).finish()
    assert checked(torch.zeros(2, 0, dtype=torch.int64), spec).shape == (2, 0)


def test_slow_codes_count_once() -> None:
    rows = np.array([[5, 5, 6, 6, 7], [1, 2, -1, 4, 5]])
    spec = toy(CodebookSpec(8, stride=2), CodebookSpec(8))
    assert at_own_rate(rows, spec, 0).tolist() == [5, 6, 7] and at_own_rate(rows, spec, 1).tolist() == [1, 2, 4, 5]
