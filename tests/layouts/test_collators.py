"""Collators: what a slow twin would write, models that cannot tell packed from alone, and loaders that take them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layouts.shapes import codes_of, spec_of
from tests.near import assert_near
from tokaudio.errors import TokensError
from tokaudio.layouts import GridCollator, GridLayout, RowCollator, Vocabulary

EXAMPLES = st.lists(st.lists(st.integers(5, 30), max_size=9), min_size=1, max_size=6)


@settings(deadline=None)
@given(EXAMPLES, st.booleans(), st.sampled_from([1, 4]))
def test_padded_rows_are_those_of_the_slow_twin(examples, ends, multiple):
    batch = RowCollator(pad=0, bos=1 if ends else None, eos=2 if ends else None, multiple_of=multiple)(examples)
    framed = [[1, *row, 2] if ends else row for row in examples]
    longest = max(len(row) for row in framed)
    width = next(n for n in range(longest, longest + multiple) if n % multiple == 0)
    for number, row in enumerate(framed):
        fill = width - len(row)
        learnt = [-100, *row[1:]] if ends else row
        assert batch["input_ids"][number].tolist() == row + [0] * fill
        assert batch["labels"][number].tolist() == learnt + [-100] * fill
        assert batch["attention_mask"][number].tolist() == [1] * len(row) + [0] * fill
        assert batch["position_ids"][number].tolist() == [*range(len(row))] + [0] * fill


@settings(deadline=None)
@given(EXAMPLES)
def test_packed_rows_hold_every_example_whole(examples):
    batch = RowCollator(pad=0, eos=2, max_length=20, packed=True)(examples)
    found = []
    for ids, labels, positions in zip(batch["input_ids"], batch["labels"], batch["position_ids"], strict=True):
        text = ids.tolist()
        while 2 in text:
            stop = text.index(2) + 1
            found.append(text[: stop - 1])
            assert positions[:stop].tolist() == list(range(stop))
            assert labels[:stop].tolist() == [-100, *text[1:stop]]
            text, labels, positions = text[stop:], labels[stop:], positions[stop:]
        assert not any(text) and all(label == -100 for label in labels.tolist())
    assert sorted(found) == sorted(examples)


def attention(ids, positions, mask):
    """A layer of attention with positions, which sees what the mask allows."""
    generator = torch.Generator().manual_seed(0)
    table, places = (torch.randn(40, 8, generator=generator) for _ in range(2))
    x = (table[ids] + places[positions])[:, None]
    return F.scaled_dot_product_attention(x, x, x, attn_mask=mask)[:, 0]


def test_packed_examples_do_not_see_each_other():
    examples = [[5, 6, 7, 8], [9, 10], [11, 12, 13]]
    packed = RowCollator(pad=0, max_length=7, packed=True)(examples)
    assert packed["input_ids"].shape == (2, 7)
    seen = attention(packed["input_ids"], packed["position_ids"], packed["attention_mask"])
    assert bool(torch.isfinite(seen).all())
    places = {0: (0, 0), 1: (1, 0), 2: (0, 4)}
    for number, example in enumerate(examples):
        alone = RowCollator(pad=0, max_length=7, packed=True)([example])
        wanted = attention(alone["input_ids"], alone["position_ids"], alone["attention_mask"])[0]
        row, start = places[number]
        assert_near(seen[row, start : start + len(example)], wanted)


def test_packed_rows_without_a_mask_and_labels_of_their_own():
    batch = RowCollator(pad=0, max_length=9, packed=True, mask="none")([{"input_ids": [5, 6], "labels": [-100, 7]}])
    assert "attention_mask" not in batch and batch["labels"].tolist() == [[-100, 7]]


def test_what_is_too_long_is_refused_or_cut():
    with pytest.raises(TokensError, match="example 1 has 4 ids, and max_length is 3"):
        RowCollator(pad=0, eos=2, max_length=3)([[5], [5, 6, 7]])
    batch = RowCollator(pad=0, eos=2, max_length=3, cut=True)([[5], [5, 6, 7]])
    assert batch["input_ids"].tolist() == [[5, 2, 0], [5, 6, 7]]


def test_a_loader_takes_it():
    vocabulary = Vocabulary.for_spec(spec_of((1,)))
    collate = RowCollator.for_vocabulary(vocabulary, max_length=16)
    data = [torch.full((n,), 6) for n in (1, 2, 3)]
    batches = list(torch.utils.data.DataLoader(data, batch_size=2, collate_fn=collate))
    assert [tuple(batch["input_ids"].shape) for batch in batches] == [(2, 4), (1, 5)]
    assert batches[0]["input_ids"][0].tolist() == [0, 6, 1, 2]


def test_rows_of_a_grid():
    spec = spec_of((1, 1, 1))
    layout = GridLayout(spec, delays=(0, 1, 2), after=20)
    rows = [layout.encode_codes(codes_of(spec, n, n)) for n in (2, 4)]
    batch = GridCollator(empty=(layout.before, layout.after), pad=20)(rows)
    assert batch["input_ids"].shape == (2, 3, 6) and batch["attention_mask"].tolist() == [[1] * 4 + [0] * 2, [1] * 6]
    for number, frames in enumerate((2, 4)):
        learnt = batch["labels"][number] != -100
        assert learnt.sum(dim=1).tolist() == [frames] * 3
        assert torch.equal(batch["labels"][number][learnt], batch["input_ids"][number][learnt])
        assert np.array_equal(
            layout.decode_ids(batch["input_ids"][number][:, : frames + 2]), codes_of(spec, frames, frames)
        )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RowCollator(pad=0, packed=True), "give max_length"),
        (lambda: RowCollator(pad=0, mask="causal"), "mask"),
        (lambda: RowCollator(pad=0)([]), "a batch without examples"),
        (lambda: RowCollator(pad=0)([{"text": "a"}]), "an example with text; give input_ids"),
        (
            lambda: RowCollator(pad=0)([{"input_ids": [1, 2], "labels": [1]}]),
            "labels of shape .1. for ids of shape .2.",
        ),
        (lambda: RowCollator(pad=0)([np.array([0.5])]), "input_ids|ids are float64"),
        (lambda: RowCollator.for_vocabulary(Vocabulary.for_spec(spec_of((1,)), specials=[])), "called 'pad'"),
        (lambda: GridCollator((8,), 8)([]), "different numbers of rows, or none"),
        (lambda: GridCollator((8,), 8, max_length=2)([np.zeros((2, 3), dtype=int)]), "3 steps, and max_length is 2"),
    ],
)
def test_wrong_input_is_refused(build, message):
    with pytest.raises(TokensError, match=message):
        build()
