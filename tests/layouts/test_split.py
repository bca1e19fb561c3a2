"""The split into a first row and levels: invertible with any number of levels, on arrays, tensors and tokens."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layouts.shapes import SNAC, codes_of, spec_of, vocabularies
from tokaudio.errors import TokensError
from tokaudio.layouts import SplitLayout, Vocabulary
from tokaudio.tokens import Tokens


@st.composite
def cases(draw):
    spec = spec_of((1,) * draw(st.integers(1, 4)))
    layout = SplitLayout(spec, vocabulary=draw(vocabularies(spec)))
    return layout, codes_of(spec, draw(st.integers(0, 12)), draw(st.integers(0, 99)))


@settings(deadline=None, max_examples=60)
@given(cases(), st.integers(0, 4))
def test_first_row_and_levels_decode(case, levels):
    layout, codes = case
    first, others = layout.encode_codes(codes)
    firsts = [int(layout.vocabulary.firsts(k)[0]) for k in range(len(codes))]
    wanted = [[int(code) + start for code in row] for row, start in zip(codes, firsts, strict=True)]
    assert [first.tolist(), *others.tolist()] == wanted
    assert np.array_equal(layout.decode_ids(first, others[:levels]), codes[: 1 + levels])
    for number in range(1, len(codes)):
        level = layout.level(codes, number)
        assert level.known.tolist() == wanted[:number] and level.wanted.tolist() == wanted[number]


def test_batches_of_tokens_with_fewer_levels_are_tokens_with_fewer_codebooks():
    spec = spec_of((1, 1, 1))
    layout = SplitLayout(spec, fingerprint="aa")
    items = [Tokens.from_codes(torch.from_numpy(codes_of(spec, n, n)), spec, fingerprint="aa") for n in (2, 5)]
    tokens = Tokens.batch(items)
    parts = layout.encode(tokens)
    assert layout.decode(parts) == tokens
    assert layout.decode([(first, others[:1]) for first, others in parts]) == tokens.select_codebooks(2)
    with pytest.raises(TokensError, match="different numbers of levels"):
        layout.decode([parts[0], (parts[1][0], parts[1][1][:1])])


def test_wrong_input_is_refused():
    spec = spec_of((1, 1))
    layout = SplitLayout(spec)
    first, others = layout.encode_codes(codes_of(spec, 3))
    eos = np.append(first, layout.vocabulary.special("eos"))
    for build, message in (
        (lambda: SplitLayout(SNAC), "codebooks of several rates"),
        (lambda: SplitLayout(spec, vocabulary=Vocabulary.for_spec(spec_of((1,)))), "a vocabulary of 1 codebooks"),
        (lambda: layout.level(codes_of(spec, 3), 2), "level 2 of 1; count from 1"),
        (lambda: layout.decode_ids(eos, others[:0]), "position 3 of level 0 holds id 1, eos"),
        (lambda: layout.decode_ids(first, first[None]), "position 0 of level 1 holds .* give ids of codebook 1"),
        (lambda: layout.decode_ids(first, others[:, :2]), "give up to 1 of length 3"),
        (lambda: layout.decode_ids(first, np.concatenate([others, others])), "give up to 1 of length 3"),
        (lambda: layout.decode([]), "or none"),
    ):
        with pytest.raises(TokensError, match=message):
            build()
