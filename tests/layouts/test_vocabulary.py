"""Vocabularies: no id means two things, every id has a name, and JSON gives the same one back."""

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layouts.shapes import SNAC, spec_of, specs, vocabularies
from tokaudio.errors import TokensError
from tokaudio.layouts import CodeRange, Vocabulary


@settings(deadline=None)
@given(specs().flatmap(lambda spec: st.tuples(st.just(spec), vocabularies(spec))))
def test_every_id_means_one_thing(case):
    spec, vocabulary = case
    names = [vocabulary.name_of(number) for number in range(vocabulary.size)]
    assert len(set(names)) == len(names) and not any("unused" in name for name in names)
    codes = sum(one.size for one in vocabulary.ranges)
    durations = 0 if vocabulary.durations is None else vocabulary.durations[1]
    assert vocabulary.size == vocabulary.text_size + len(vocabulary.specials) + durations + codes
    phases = [len(vocabulary.firsts(k)) for k in range(spec.num_codebooks)]
    assert all(n in (1, spec.stride_period // book.stride) for n, book in zip(phases, spec.codebooks, strict=True))


@settings(deadline=None)
@given(specs().flatmap(lambda spec: st.tuples(st.just(spec), vocabularies(spec))))
def test_lookup_is_the_inverse_of_ids_and_of_the_table(case):
    _spec, vocabulary = case
    books, phases, codes = vocabulary.lookup(np.arange(vocabulary.size))
    for number, (book, phase, code) in enumerate(zip(books, phases, codes, strict=True)):
        if book < 0:
            assert "code" not in vocabulary.name_of(number)
            continue
        told = None if phase < 0 else int(phase)
        assert vocabulary.ids(int(book), np.array([code]), phase=told).tolist() == [number]
        assert vocabulary.name_of(number).startswith(f"code {code} of codebook {book}")
    lines = vocabulary.table().splitlines()
    spans = [[int(cell) for cell in line.split()[-3:]] for line in lines[1:]]
    assert sum(count for _, _, count in spans) == vocabulary.size
    assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(spans))


@settings(deadline=None)
@given(specs().flatmap(vocabularies))
def test_json_gives_the_same_vocabulary(vocabulary):
    text = json.dumps(vocabulary.to_dict())
    assert Vocabulary.from_dict(json.loads(text)) == vocabulary
    assert json.loads(text)["size"] == vocabulary.size


def test_orpheus_ids():
    """Custom token n of Orpheus is id 128256 + n, the audio of place p of a group of seven begins at 10 + 4096 p."""
    vocabulary = Vocabulary.for_spec(SNAC, text_size=128_256, specials=list("0123456789"), per_phase=True)
    assert [(one.codebook, one.first) for one in vocabulary.ranges] == [
        (book, 128_266 + 4096 * place) for place, book in enumerate([0, 1, 2, 2, 1, 2, 2])
    ]
    assert vocabulary.size == 128_266 + 7 * 4096


def test_special_ids_of_the_text_tokenizer_are_kept():
    vocabulary = Vocabulary.for_spec(spec_of((1,)), text_size=10, specials=["pad"], text_specials={"bos": 1, "eos": 2})
    assert vocabulary.specials == {"bos": 1, "eos": 2, "pad": 10}
    assert vocabulary.firsts(0).tolist() == [11] and vocabulary.padded_size(8) == 16
    assert vocabulary.name_of(1) == "bos" and vocabulary.name_of(3) == "text token 3"
    assert vocabulary.name_of(99) == "id 99, which is outside"


def test_ids_behind_and_between_codes_are_no_codes():
    vocabulary = Vocabulary((CodeRange(0, 0, 4), CodeRange(1, 6, 2)), {"eos": 8})
    books, _, codes = vocabulary.lookup(np.arange(9))
    assert books.tolist() == [0, 0, 0, 0, -1, -1, 1, 1, -1] and codes.tolist() == [0, 1, 2, 3, -1, -1, 0, 1, -1]
    assert vocabulary.name_of(5) == "unused id 5"


def test_merged_units_get_the_range_they_need():
    vocabulary = Vocabulary.for_spec(spec_of((1, 1), [4, 4]), specials=[], sizes={0: 9})
    assert vocabulary.ids(0, torch.tensor([8])).tolist() == [8] and vocabulary.ids(1, [0]).tolist() == [9]
    with pytest.raises(TokensError, match="3 ids for codebook 0 of 4 codes"):
        Vocabulary.for_spec(spec_of((1, 1), [4, 4]), sizes={0: 3})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Vocabulary((CodeRange(0, 0, 4), CodeRange(1, 3, 4))), "codebook 0 and codebook 1 share id 3"),
        (lambda: Vocabulary((CodeRange(0, 0, 4),), {"eos": 3}), "codebook 0 and eos share id 3"),
        (lambda: Vocabulary((CodeRange(0, 4, 4),), {}, text_size=5), "the text and codebook 0 share id 4"),
        (lambda: Vocabulary((CodeRange(0, 4, 4),), {"a": 1, "b": 1}), "a and b are both id 1"),
        (lambda: Vocabulary((CodeRange(0, 4, 4),), {"pad": -1}), "special id pad"),
        (lambda: Vocabulary((CodeRange(0, 4, 4),), durations=(6, 3)), "codebook 0 and the durations share id 6"),
        (lambda: Vocabulary((CodeRange(1, 4, 4),)), "ranges for codebooks .1."),
        (lambda: Vocabulary(()), "without codes"),
        (lambda: Vocabulary((CodeRange(0, 0, 4), CodeRange(0, 4, 4))), "has ranges for phases"),
        (lambda: Vocabulary((CodeRange(0, 0, 4, 0), CodeRange(0, 4, 5, 1))), "of several sizes"),
        (lambda: Vocabulary.for_spec(spec_of((1,)), specials=["a", "a"]), "give each name once"),
        (lambda: Vocabulary.for_spec(spec_of((1,)), text_size=2, text_specials={"x": 2}), "x is id 2 of a text of 2"),
        (lambda: Vocabulary.for_spec(spec_of((1,))).special("mask"), "there are bos, eos, pad, sep"),
        (lambda: Vocabulary.for_spec(spec_of((1,))).firsts(1), "no codebook 1"),
        (lambda: Vocabulary.for_spec(spec_of((1,))).ids(0, np.array([5])), "code 5 of codebook 0, which has 5"),
        (lambda: Vocabulary.for_spec(SNAC, per_phase=True).ids(2, np.array([5])), "give the phase"),
        (lambda: Vocabulary.for_spec(spec_of((1,))).lookup(np.array([9])), "id 9 of the vocabulary, which has 9"),
        (lambda: Vocabulary.from_dict({"codes": []}), "missing or ill-typed fields"),
    ],
)
def test_what_cannot_be_is_refused(build, message):
    with pytest.raises(TokensError, match=message):
        build()
