"""Layouts with one row: exactly invertible, equal to a slow twin, and the same when ids arrive bit by bit."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layouts.shapes import SNAC, codes_of, cut, frames_of, spec_of, specs, vocabularies
from tokaudio.errors import TokensError
from tokaudio.layouts import FlatLayout, Order, Vocabulary, coarse_first, flatten, semantic_then_acoustic
from tokaudio.tokens import Tokens


@st.composite
def orders(draw, spec):
    """Frame by frame, or the codebooks dealt to stages at random."""
    if draw(st.booleans()):
        return flatten(spec)
    books = draw(st.permutations(range(spec.num_codebooks)))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(books) - 1)))) - {len(books)})
    edges = [0, *cuts, len(books)]
    stages = tuple(tuple(books[a:b]) for a, b in itertools.pairwise(edges))
    chunk = draw(st.sampled_from([None, 1, 2, 3]))
    strides = tuple(book.stride for book in spec.codebooks)
    return Order(strides, stages, chunk and chunk * spec.stride_period, draw(st.booleans()))


@st.composite
def cases(draw):
    spec = draw(specs())
    layout = FlatLayout(spec, draw(orders(spec)), vocabulary=draw(vocabularies(spec)))
    return layout, codes_of(spec, frames_of(spec, draw(st.integers(0, 30))), draw(st.integers(0, 99)))


def slow_ids(layout, codes):
    """Ids by walking through chunks, stages, frames and codebooks."""
    order, vocabulary, frames = layout.order, layout.vocabulary, codes.shape[1]
    chunk, ids = order.chunk or max(frames, 1), []
    for begin in range(0, frames, chunk):
        for number, stage in enumerate(order.stages):
            if number and order.separated:
                ids.append(vocabulary.special("sep"))
            for t in range(begin, min(begin + chunk, frames)):
                for k in stage:
                    stride = layout.spec.codebooks[k].stride
                    if t % stride == 0:
                        firsts = vocabulary.firsts(k).tolist()
                        ids.append(firsts[t // stride % len(firsts)] + int(codes[k, t]))
    return ids


@settings(deadline=None)
@given(cases())
def test_ids_are_those_of_the_slow_twin_and_decode(case):
    layout, codes = case
    ids = layout.encode_codes(codes)
    assert ids.dtype == np.int64 and ids.tolist() == slow_ids(layout, codes)
    assert np.array_equal(layout.decode_ids(ids), codes)
    assert len(ids) == layout.order.length(codes.shape[1])


@settings(deadline=None)
@given(cases(), st.lists(st.integers(0, 999), max_size=6))
def test_ids_that_arrive_bit_by_bit_give_the_same_frames(case, places):
    layout, codes = case
    decoder, ids = layout.decoder(), layout.encode_codes(codes)
    parts = [decoder.push(part) for part in cut(ids, places)]
    decoder.close()
    assert np.array_equal(np.concatenate(parts, axis=1), codes) and decoder.frames == codes.shape[1]


@settings(deadline=None)
@given(cases(), st.integers(0, 999))
def test_frames_that_have_come_out_are_right_whatever_follows(case, place):
    layout, codes = case
    ids = layout.encode_codes(codes)
    found = layout.decoder().push(ids[: place % (len(ids) + 1)])
    assert np.array_equal(found, codes[:, : found.shape[1]])


@settings(deadline=None)
@given(cases(), st.integers(0, 999), st.integers(0, 999))
def test_a_lost_or_doubled_id_is_found(case, place, other):
    layout, codes = case
    ids = layout.encode_codes(codes).tolist()
    if not ids or len(ids) == codes.shape[1]:
        return  # a single codebook: every row is one
    place %= len(ids)
    damaged = ids[:place] + ids[place + 1 :] if other % 2 else [*ids[:place], ids[place], *ids[place:]]
    decoder = layout.decoder()
    try:
        back = layout.decode_ids(np.array(damaged, dtype=np.int64))
        decoder.push(np.array(damaged, dtype=np.int64))
        decoder.close()
    except TokensError:
        return
    # What is not refused is another item, written as it must be.
    assert layout.encode_codes(back).tolist() == damaged


@settings(deadline=None)
@given(cases())
def test_whole_and_piecewise_agree_on_what_is_refused(case):
    layout, codes = case
    ids = layout.encode_codes(codes)
    swapped = ids[::-1].copy()

    def outcome(decode):
        try:
            return decode().tolist()
        except TokensError:
            return "refused"

    def piecewise():
        decoder = layout.decoder()
        found = decoder.push(swapped)
        decoder.close()
        return found

    assert outcome(lambda: layout.decode_ids(swapped)) == outcome(piecewise)


@settings(deadline=None, max_examples=40)
@given(cases(), st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_batches_of_ragged_lengths_of_tokens(case, counts):
    layout, _ = case
    spec = layout.spec
    items = [Tokens.from_codes(torch.from_numpy(codes_of(spec, frames_of(spec, n), n)), spec) for n in counts]
    tokens = Tokens.batch(items)
    rows = layout.encode(tokens)
    assert all(isinstance(row, torch.Tensor) for row in rows)
    assert [row.tolist() for row in rows] == [layout.encode_codes(i.codes[0].numpy()).tolist() for i in items]
    assert layout.decode(rows) == tokens
    shorter = tokens.num_samples.clamp(min=1) - 1
    assert torch.equal(layout.decode(rows, num_samples=shorter).num_samples, shorter)


def test_snac_in_the_order_of_orpheus():
    """Place 0 is codebook 0, places 1 and 4 are codebook 1, places 2, 3, 5 and 6 are codebook 2."""
    vocabulary = Vocabulary.for_spec(SNAC, text_size=128_256, specials=list("0123456789"), per_phase=True)
    layout, codes = FlatLayout(SNAC, vocabulary=vocabulary), codes_of(SNAC, 12)
    slow, middle, fast = codes[0, ::4], codes[1, ::2], codes[2]
    wanted = []
    for i in range(3):
        places = (slow[i], middle[2 * i], fast[4 * i], fast[4 * i + 1], middle[2 * i + 1], *fast[4 * i + 2 : 4 * i + 4])
        wanted += [128_266 + 4096 * place + int(code) for place, code in enumerate(places)]
    assert layout.encode_codes(codes).tolist() == wanted


def test_a_row_that_begins_one_id_late_is_told_where():
    layout = FlatLayout(SNAC, vocabulary=Vocabulary.for_spec(SNAC, per_phase=True))
    ids = layout.encode_codes(codes_of(SNAC, 8))
    with pytest.raises(TokensError, match=r"position 0 holds id .* of codebook 1, place 0, where one of codebook 0"):
        layout.decode_ids(ids[1:])
    with pytest.raises(TokensError, match=r"position 0 holds id .*; one of codebook 0 belongs there"):
        layout.decoder().push(ids[1:])
    # The same codebook, another place of the group.
    moved = np.concatenate([ids[:2], ids[3:4], ids[3:]])
    with pytest.raises(TokensError, match=r"position 2 .* where one of codebook 2, place 0 belongs"):
        layout.decode_ids(moved)
    with pytest.raises(TokensError, match=r"position 2 .*; place 0 of codebook 2 belongs there"):
        layout.decoder().push(moved)


def test_ids_that_end_within_a_frame_are_refused():
    spec = spec_of((1, 1))
    layout = FlatLayout(spec, coarse_first(spec))
    ids = layout.encode_codes(codes_of(spec, 3))
    with pytest.raises(TokensError, match="5 ids are no whole number of frames; 1 frames have 2 ids"):
        layout.decode_ids(ids[:5])
    decoder = layout.decoder()
    assert decoder.push(ids[:5]).shape == (2, 2)
    with pytest.raises(TokensError, match="no whole number of frames"):
        decoder.close()


@pytest.mark.parametrize("chunk", [None, 2])
def test_stages_of_different_lengths_are_refused(chunk):
    spec = spec_of((1, 1))
    layout = FlatLayout(spec, coarse_first(spec, chunk=chunk))
    ids = layout.encode_codes(codes_of(spec, 2))
    # Three codes of codebook 0 and one of codebook 1, or one and two: the number of ids alone could be right.
    uneven = ids[[0, 1, 1, 2]] if chunk is None else np.concatenate([ids[[0, 2, 3]], ids[:1]])
    with pytest.raises(TokensError):
        layout.decode_ids(uneven)
    decoder = layout.decoder()
    with pytest.raises(TokensError, match=r"are of different lengths|one of codebook . belongs there"):
        decoder.push(uneven)
        decoder.close()


def test_a_stage_cannot_be_left_out():
    spec = spec_of((1, 1))
    layout = FlatLayout(spec, coarse_first(spec, separated=True))
    separator = np.array([layout.vocabulary.special("sep")])
    with pytest.raises(TokensError, match="position 0 holds id 3, sep; one of codebook 0 belongs there"):
        layout.decoder().push(separator)


def test_special_ids_and_text_within_the_codes_are_refused():
    spec = spec_of((1, 1))
    layout = FlatLayout(spec, vocabulary=Vocabulary.for_spec(spec, text_size=3))
    for stranger, name in ((layout.vocabulary.special("eos"), "eos"), (2, "text token 2")):
        with pytest.raises(TokensError, match=f"holds id {stranger}, {name}, where one of codebook 0 belongs"):
            layout.decode_ids(np.array([stranger, stranger]))
        with pytest.raises(TokensError, match=f"holds id {stranger}, {name}; no code belongs there"):
            layout.decoder().push(np.array([stranger]))
    with pytest.raises(TokensError, match="id 99 of the vocabulary"):
        layout.decode_ids(torch.tensor([99]))


def test_merged_units_are_no_codes():
    spec = spec_of((1,), [4])
    layout = FlatLayout(spec, vocabulary=Vocabulary.for_spec(spec, specials=[], sizes={0: 9}))
    with pytest.raises(TokensError, match="id for 8 of codebook 0, which has 4 codes; undo BPE"):
        layout.decode_ids(np.array([1, 8]))
    with pytest.raises(TokensError, match="codebook 0 has 4 codes; undo BPE"):
        layout.decoder().push(np.array([1, 8]))


def test_wrong_input_is_refused():
    spec, other = spec_of((1, 1)), spec_of((1, 1, 1))
    layout = FlatLayout(spec, fingerprint="aa")
    tokens = Tokens.from_codes(torch.zeros(2, 3, dtype=torch.int64), spec, fingerprint="bb")
    deep = Tokens(tokens.codes, tokens.lengths, tokens.num_samples, spec, "aa", {}, torch.ones(1, 3, dtype=torch.int64))
    bare = Vocabulary.for_spec(spec, specials=[])
    for build, message in (
        (lambda: layout.encode(tokens), "these tokens are of weights bb"),
        (lambda: layout.encode(deep), "a depth that varies"),
        (lambda: FlatLayout(other).encode(tokens), "the layout is for toy with 3"),
        (lambda: layout.encode_codes(np.zeros((3, 2), dtype=int)), "3 rows for 2 codebooks"),
        (lambda: layout.encode_codes(np.full((2, 1), 5)), "code 5 of codebook 0"),
        (lambda: layout.encode_codes(np.zeros((2, 2))), "give integers with 2 dimensions"),
        (lambda: FlatLayout(SNAC).encode_codes(np.arange(12).reshape(3, 4)), "codebook 0 changes within its stride"),
        (lambda: FlatLayout(spec_of((4, 2))).encode_codes(np.zeros((2, 3), dtype=int)), "no codebook has a stride"),
        (lambda: FlatLayout(spec, vocabulary=Vocabulary.for_spec(other)), "not what the vocabulary is for"),
        (lambda: FlatLayout(spec, flatten(other)), "an order for strides"),
        (lambda: FlatLayout(spec, coarse_first(spec, separated=True), vocabulary=bare),
         "no special id is called 'sep'"),
        (lambda: FlatLayout(SNAC, vocabulary=Vocabulary.for_spec(spec_of((8, 4, 1), [4096] * 3), per_phase=True)),
         "codebook 1 has 2 phases|codebook 2 has 8 phases"),
        (lambda: layout.decode([]), "no rows of ids"),
        (lambda: Order((1, 1), ((0,),)), "name each codebook once"),
        (lambda: Order((4, 1), ((0,), (1,)), 6), "splits a slow code"),
        (lambda: semantic_then_acoustic(spec_of((1,))), "1 semantic codebooks of 1"),
    ):  # fmt: skip
        with pytest.raises(TokensError, match=message):
            build()


def test_it_says_what_it_is():
    spec = spec_of((1, 1))
    assert repr(FlatLayout(spec)) == "FlatLayout(toy, stages=[[0, 1]], chunk=1, 17 ids)"
    assert semantic_then_acoustic(spec).stages == ((0,), (1,))
    assert semantic_then_acoustic(spec, semantic=[1]).stages == ((1,), (0,))
