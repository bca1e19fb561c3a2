"""Layouts with a row per codebook: exactly invertible, equal to a slow twin, and the same column by column."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layouts.shapes import SNAC, codes_of, cut, spec_of, specs, vocabularies
from tokaudio.errors import TokensError
from tokaudio.layouts import GridLayout, Vocabulary, acoustic_delays, musicgen_delays
from tokaudio.tokens import Tokens


@st.composite
def cases(draw):
    spec = draw(specs())
    by_place = draw(st.booleans())
    rows = sum(spec.stride_period // book.stride for book in spec.codebooks) if by_place else spec.num_codebooks
    delays = draw(st.none() | st.lists(st.integers(0, 4), min_size=rows, max_size=rows))
    vocabulary = draw(st.none() | vocabularies(spec))
    after = None if draw(st.booleans()) else 50 if vocabulary is None else vocabulary.special("eos")
    lead = draw(st.integers(0, 2))
    layout = GridLayout(spec, delays=delays, by_place=by_place, lead=lead, after=after, vocabulary=vocabulary)
    frames = draw(st.integers(0, 10)) * (spec.stride_period if by_place else 1)
    return layout, codes_of(spec, frames, draw(st.integers(0, 99)))


def slow_rows(layout, codes):
    """Rows as lists: empty ones, the codes of the row, empty ones."""
    spec, period = layout.spec, layout.spec.stride_period
    places = [(0, k) for k in range(spec.num_codebooks)]
    if layout.by_place:
        places = sorted((t, k) for k, book in enumerate(spec.codebooks) for t in range(0, period, book.stride))
    step, rows = period if layout.by_place else 1, []
    for (first, k), delay in zip(places, layout.delays, strict=True):
        row = []
        for t in range(first, codes.shape[1], step):
            firsts = layout.vocabulary.firsts(k).tolist() if layout.in_vocabulary else [0]
            row.append(firsts[t // spec.codebooks[k].stride % len(firsts)] + int(codes[k, t]))
        end = max(layout.delays) - delay
        rows.append([layout.before] * (layout.lead + delay) + row + [layout.after] * end)
    return rows


@settings(deadline=None, max_examples=60)
@given(cases())
def test_rows_are_those_of_the_slow_twin_and_decode(case):
    layout, codes = case
    rows = layout.encode_codes(codes)
    assert rows.tolist() == slow_rows(layout, codes)
    assert np.array_equal(layout.decode_ids(rows), codes)


@settings(deadline=None, max_examples=60)
@given(cases(), st.lists(st.integers(0, 99), max_size=5))
def test_columns_that_arrive_bit_by_bit_give_the_same_frames(case, places):
    layout, codes = case
    rows = layout.encode_codes(codes)
    decoder, parts = layout.decoder(), []
    for part in cut(rows, places):
        parts.append(decoder.push(part))
        seen = np.concatenate(parts, axis=1)
        assert np.array_equal(seen, codes[:, : seen.shape[1]])
    decoder.close()
    assert np.array_equal(np.concatenate(parts, axis=1), codes)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 3))
def test_batches_of_ragged_lengths_of_tokens(counts, lead):
    spec = spec_of((2, 1, 1))
    layout = GridLayout(spec, delays=(0, 1, 3), lead=lead)
    tokens = Tokens.batch([Tokens.from_codes(torch.from_numpy(codes_of(spec, n, n)), spec) for n in counts])
    rows = layout.encode(tokens)
    assert [row.shape[1] for row in rows] == [n + 3 + lead for n in counts]
    assert layout.decode(rows) == tokens


def test_delays_of_published_models():
    assert musicgen_delays(4) == (0, 1, 2, 3) and musicgen_delays(8, channels=2) == (0, 0, 1, 1, 2, 2, 3, 3)
    assert acoustic_delays(spec_of((1, 1, 1)), 2) == (0, 2, 2)
    assert acoustic_delays(spec_of((1, 1, 1), semantic=0)) == (0, 1, 1)


def test_seven_rows_for_snac():
    layout, codes = GridLayout(SNAC, by_place=True, delays=range(7)), codes_of(SNAC, 8)
    rows = layout.encode_codes(codes)
    assert rows.shape == (7, 2 + 6) and rows[4, 4:6].tolist() == codes[1, [2, 6]].tolist()


@pytest.mark.parametrize("delays", [(0, 1), (1, 0)])
def test_rows_that_are_out_of_line_are_refused(delays):
    spec = spec_of((1, 1))
    layout, other = GridLayout(spec, delays=delays), GridLayout(spec, delays=delays[::-1])
    rows = other.encode_codes(codes_of(spec, 3))
    with pytest.raises(TokensError, match=r"row 0, step [03], holds .* where the empty 8 belongs|row 1, step"):
        layout.decode_ids(rows)
    with pytest.raises(TokensError, match="where the empty 8 belongs"):
        layout.decoder().push(rows)


def test_columns_that_end_early_or_go_on_are_refused():
    spec = spec_of((1, 1))
    layout = GridLayout(spec, delays=(0, 2))
    rows = layout.encode_codes(codes_of(spec, 3))
    decoder = layout.decoder()
    decoder.push(rows[:, :1])
    with pytest.raises(TokensError, match="end 1 steps early"):
        decoder.close()
    decoder.push(rows[:, 1:4])
    with pytest.raises(TokensError, match="row 0, step 2, holds"):
        decoder.close()
    longer = rows.copy()
    longer[0, 4] = 3
    with pytest.raises(TokensError, match="row 0, step 4, holds 3 where the empty 8 belongs"):
        layout.decode_ids(longer)
    with pytest.raises(TokensError, match="1 steps, of which 2 are empty"):
        layout.decode_ids(rows[:, :1])


def test_wrong_input_is_refused():
    spec = spec_of((2, 1))
    vocabulary = Vocabulary.for_spec(spec)
    for build, message in (
        (lambda: GridLayout(spec, delays=(0, 1, 2)), "3 delays for 2 rows"),
        (lambda: GridLayout(spec, delays=(0, -1)), "delay"),
        (lambda: GridLayout(spec, before=7), "the empty id 7 is a code; give 8 or more"),
        (lambda: GridLayout(spec, before=7, vocabulary=vocabulary), "the empty id 7 is code 3 of codebook 0"),
        (lambda: GridLayout(spec, by_place=True).encode_codes(codes_of(spec, 3)), "no multiple of the period 2"),
        (lambda: GridLayout(spec).decode_ids(np.zeros((3, 1), dtype=int)), "3 rows; give the 2"),
        (lambda: GridLayout(spec).decode_ids(np.array([[0, 1], [0, 0]])), "codebook 0 changes within its stride"),
        (lambda: GridLayout(spec).decode_ids(np.array([[0], [8]])), "code 8 of row 1, which has 8"),
    ):
        with pytest.raises(TokensError, match=message):
            build()
    decoder = GridLayout(spec).decoder()
    decoder.push(np.array([[0, 0, 1], [0, 0, 0]]))
    with pytest.raises(TokensError, match="codebook 0 changes within its stride of 2 frames at frame 3"):
        decoder.push(np.array([[0], [0]]))
    assert repr(GridLayout(spec, lead=1)).startswith("GridLayout(toy, delays=[0, 0], lead=1, before=8")
