"""Text and sound in one sequence: both come back, with their times, at once and bit by bit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.layouts.shapes import codes_of, cut, frames_of, spec_of, specs
from tokaudio.errors import TokensError
from tokaudio.layouts import TimedLayout, TimedText, Vocabulary, row_text, text_row


@st.composite
def cases(draw):
    spec = draw(specs())
    vocabulary = Vocabulary.for_spec(spec, text_size=50, per_phase=draw(st.booleans()))
    block = draw(st.sampled_from([None, 1, 2, 3]))
    layout = TimedLayout(spec, vocabulary, block=block and block * spec.stride_period)
    frames = frames_of(spec, draw(st.integers(0, 20)))
    starts = sorted(draw(st.lists(st.integers(0, frames), max_size=8)))
    ids = draw(st.lists(st.integers(0, 49), min_size=len(starts), max_size=len(starts)))
    return layout, codes_of(spec, frames, draw(st.integers(0, 99))), TimedText(ids, starts)


def slow_ids(layout, codes, text):
    """Block by block: the text that begins in it, then its sound, cut from the ids of all sound."""
    total, ids = codes.shape[1], []
    words = list(zip(text.ids.tolist(), text.frames.tolist(), strict=True))
    for start in range(0, total, layout.block):
        stop = min(start + layout.block, total)
        ids += [word for word, frame in words if start <= frame < stop]
        ids += layout.sound.encode_codes(codes[:, :stop]).tolist()[len(layout.sound.encode_codes(codes[:, :start])) :]
    return ids + [word for word, frame in words if frame == total]


@settings(deadline=None, max_examples=60)
@given(cases(), st.lists(st.integers(0, 99), max_size=5))
def test_ids_are_those_of_the_slow_twin_and_decode_at_once_and_bit_by_bit(case, places):
    layout, codes, text = case
    ids = layout.encode_codes(codes, text)
    assert ids.tolist() == slow_ids(layout, codes, text)
    total = codes.shape[1]
    rounded = [frame if frame == total else frame // layout.block * layout.block for frame in text.frames.tolist()]
    wanted = TimedText(text.ids, rounded)
    back, words = layout.decode_ids(ids)
    assert np.array_equal(back, codes) and words == wanted
    decoder = layout.decoder()
    parts = [decoder.push(part) for part in cut(ids, places)]
    decoder.close()
    assert np.array_equal(np.concatenate([sound for sound, _ in parts], axis=1), codes)
    said = [(w, t) for _, found in parts for w, t in zip(found.ids.tolist(), found.frames.tolist(), strict=True)]
    assert said == list(zip(wanted.ids.tolist(), wanted.frames.tolist(), strict=True))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 12), max_size=8), st.booleans())
def test_rows_of_text_are_those_of_the_slow_twin(starts, marked):
    starts = sorted(starts)
    ids, end = list(range(10, 10 + len(starts))), 1 if marked else None
    row = [0] * 30
    for word, start in zip(ids, starts, strict=True):
        place = max([start] + [t + 1 for t in range(30) if row[t] >= 10])
        row[place] = word
    if marked:
        row = [1 if t + 1 < 30 and row[t] == 0 and row[t + 1] >= 10 else row[t] for t in range(30)]
    found = text_row(TimedText(ids, starts), 30, pad=0, end_of_pad=end)
    assert found.tolist() == row
    back = row_text(found, pad=0, end_of_pad=end)
    assert back.ids.tolist() == ids
    if len(set(starts)) == len(starts):
        assert back.frames.tolist() == starts


def test_times_in_seconds():
    spec = spec_of((1,))
    text = TimedText.at_seconds([1, 2, 3], [0.0, 0.0199, 0.58], spec)
    assert text.frames.tolist() == [0, 0, 29] and repr(TimedText([], [])) == "TimedText(0 tokens)"


def test_wrong_input_is_refused():
    spec = spec_of((2, 1))
    vocabulary = Vocabulary.for_spec(spec, text_size=9, specials=[])
    layout = TimedLayout(spec, vocabulary, block=4)
    codes = codes_of(spec, 6)
    ids = layout.encode_codes(torch.from_numpy(codes), TimedText([], []))
    # Six sound ids are four frames; a text token after three ids lies within the block.
    late = torch.cat([ids[:3], torch.tensor([5]), ids[3:]])
    for build, message in (
        (lambda: TimedText([1], []), "1 text ids with 0 frames"),
        (lambda: TimedText([1, 2], [3, 2]), "decrease"),
        (lambda: TimedText([1], [-1]), "negative"),
        (lambda: TimedLayout(spec, Vocabulary.for_spec(spec)), "a vocabulary without text"),
        (lambda: TimedLayout(spec, vocabulary, block=3), "a block of 3 frames; give a multiple of 2"),
        (lambda: layout.encode_codes(codes, TimedText([9], [0])), "text id 9, and the text has 9"),
        (lambda: layout.encode_codes(codes, TimedText([1], [7])), "text at frame 7 of a sound of 6"),
        (lambda: layout.decode_ids(late), "position 3 holds text within a block of 4 frames"),
        (lambda: layout.decoder().push(late), "text came at frame 2, within a block of 4"),
        (lambda: text_row(TimedText([5, 6], [3, 3]), 4, pad=0), "text up to frame 4 in a row of 4"),
        (lambda: text_row(TimedText([0], [3]), 4, pad=0), "the text holds the padding itself"),
    ):
        with pytest.raises(TokensError, match=message):
            build()
