"""Runs with durations as ids: invertible, as itertools would write them, and the same bit by bit."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layouts.shapes import codes_of, cut, frames_of, spec_of
from tokaudio.errors import TokensError
from tokaudio.layouts import RunsLayout, Vocabulary
from tokaudio.tokens import Tokens


@st.composite
def cases(draw):
    strides = draw(st.sampled_from([(1,), (1, 1), (2, 1), (4, 2)]))
    spec = spec_of(strides, [2] * len(strides))
    durations = draw(st.sampled_from([1, 2, 3, 50]))
    layout = RunsLayout(spec, vocabulary=Vocabulary.for_spec(spec, text_size=7, durations=durations))
    return layout, codes_of(spec, frames_of(spec, draw(st.integers(0, 25))), draw(st.integers(0, 99)))


def slow_ids(layout, codes):
    first, longest = layout.vocabulary.durations
    ids = []
    for frame, group in itertools.groupby(codes.T.tolist()):
        left = len(list(group))
        while left:
            duration = min(left, longest)
            ids += [int(layout.vocabulary.firsts(k)[0]) + code for k, code in enumerate(frame)] + [first + duration - 1]
            left -= duration
    return ids


@settings(deadline=None, max_examples=60)
@given(cases(), st.lists(st.integers(0, 99), max_size=5))
def test_ids_are_those_of_the_slow_twin_and_decode_at_once_and_bit_by_bit(case, places):
    layout, codes = case
    ids = layout.encode_codes(codes)
    assert ids.tolist() == slow_ids(layout, codes)
    assert np.array_equal(layout.decode_ids(ids), codes)
    decoder = layout.decoder()
    parts = [decoder.push(part) for part in cut(ids, places)]
    decoder.close()
    assert np.array_equal(np.concatenate(parts, axis=1), codes)


def test_tokens_and_their_runs():
    spec = spec_of((1,))
    tokens = Tokens.from_codes(torch.tensor([[3, 3, 1, 1, 1, 3]]), spec)
    layout = RunsLayout(spec)
    [ids] = layout.encode(tokens)
    runs = tokens.dedup()
    assert ids[::2].tolist() == layout.vocabulary.ids(0, runs.codes[0, 0]).tolist()
    assert (ids[1::2] - layout.vocabulary.durations[0] + 1).tolist() == runs.durations[0].tolist()
    assert layout.decode([ids]) == tokens


def test_wrong_input_is_refused():
    spec = spec_of((1,))
    layout = RunsLayout(spec)
    ids = layout.encode_codes(np.array([[1, 1, 2]]))
    for build, message in (
        (lambda: RunsLayout(spec, vocabulary=Vocabulary.for_spec(spec)), "runs need durations"),
        (
            lambda: layout.decode_ids(ids[1:]),
            "position 0 holds id .*, a duration of 2; one of codebook 0 belongs there",
        ),
        (lambda: layout.decode_ids(ids[[0, 2]]), "position 1 holds id .*; a duration belongs there"),
        (lambda: layout.decode_ids(ids[:3]), "3 ids are no whole number of runs of 2"),
    ):
        with pytest.raises(TokensError, match=message):
            build()
    decoder = layout.decoder()
    decoder.push(ids[:3])
    with pytest.raises(TokensError, match="the ids end 1 before a run does"):
        decoder.close()
