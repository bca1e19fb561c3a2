"""Units as text: every id a character of its own that nothing changes."""

import unicodedata

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.errors import TokensError
from tokaudio.layouts.units import MAX_UNITS, UnitFacts, facts_of, sequences, text_of, units_of
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.tokens import Tokens

SPEC = TokenizerSpec("toy", "compression", 100, 10, (CodebookSpec(8, stride=2), CodebookSpec(5)))
TOKENS = Tokens.from_codes(torch.tensor([[7, 7, 2, 2, 2], [0, 1, 1, 1, 4]]), SPEC, fingerprint="ab")


def test_every_unit_is_a_private_character_of_its_own():
    text = text_of(np.arange(MAX_UNITS))
    assert len(text) == len(set(text)) == MAX_UNITS >= 65_536
    assert {unicodedata.category(character) for character in text} == {"Co"}
    assert all(unicodedata.normalize(form, text) == text for form in ("NFC", "NFD", "NFKC", "NFKD"))
    assert text.strip() == text and text.lower() == text and text.split() == [text]
    assert text.encode().decode() == text
    assert np.array_equal(units_of(text), np.arange(MAX_UNITS))
    assert text == "".join(sorted(text))


@given(st.lists(st.integers(0, MAX_UNITS - 1)))
def test_text_gives_the_units_back(units):
    assert units_of(text_of(np.array(units, dtype=np.int64))).tolist() == units


@given(st.characters(max_codepoint=0xEFFFF, exclude_categories=["Cs"]))
def test_other_characters_are_no_units(character):
    assert units_of(character).tolist() == [-1]


def test_the_last_points_of_a_plane_are_no_units():
    assert units_of("\U000ffffe\U000fffff\U0010fffe\U0010ffff").tolist() == [-1] * 4


def test_facts_name_the_codebook_of_the_whole_tokenizer():
    assert facts_of(TOKENS, 1) == UnitFacts("toy", "ab", 1, 5, deduplicated=False)
    alone = TOKENS.select_codebooks([1])
    assert facts_of(alone.dedup(), 1) == UnitFacts("toy", "ab", 1, 5, deduplicated=True)
    with pytest.raises(TokensError, match="these tokens lack codebook 0; they hold 1"):
        facts_of(alone, 0)
    with pytest.raises(TokensError, match="has 131069 codes; BPE takes up to 131068"):
        spec = TokenizerSpec("wide", "semantic", 100, 10, (CodebookSpec(131_069),))
        facts_of(Tokens.from_codes(torch.zeros(1, 1, dtype=torch.int64), spec), 0)


def test_sequences_are_codes_without_padding_and_without_repeats_of_slow_ones():
    batch = Tokens.batch([TOKENS, TOKENS.frames(0, 2)])
    assert [row.tolist() for row in sequences(batch, facts_of(batch, 0))] == [[7, 2, 2], [7]]
    assert [row.tolist() for row in sequences(batch, facts_of(batch, 1))] == [[0, 1, 1, 1, 4], [0, 1]]
    runs = batch.select_codebooks([1]).dedup()
    assert [row.tolist() for row in sequences(runs, facts_of(runs, 1))] == [[0, 1, 4], [0, 1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer": "other"}, "made by toy .8 codes, weights ab., and the vocabulary is for other"),
        ({"fingerprint": "cd"}, "weights ab., and the vocabulary is for toy .8 codes, weights cd"),
        ({"codebook_size": 9}, "toy .9 codes"),
        ({"deduplicated": True}, "not deduplicated, unlike those in training; give tokens.dedup"),
        ({"codebook": 2}, "lack codebook 2"),
    ],
)
def test_foreign_tokens_are_refused(changes, message):
    facts = UnitFacts(**{"tokenizer": "toy", "fingerprint": "ab", "codebook": 0, "codebook_size": 8,
                         "deduplicated": False, **changes})  # fmt: skip
    with pytest.raises(TokensError, match=message):
        sequences(TOKENS, facts)


def test_an_unknown_fingerprint_is_not_compared():
    facts = UnitFacts("toy", "", 1, 5, deduplicated=False)
    assert len(list(sequences(TOKENS, facts))) == 1
