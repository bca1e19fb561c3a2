"""The arithmetic coder: exact, in integers, near the entropy, beside a slow twin and the coder of `constriction`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.storage._rans import Table, decode, encode, num_lanes


def slow_encode(streams, tables):
    """Code as the module's text says, with Python's integers, symbol by symbol."""
    lanes = num_lanes(sum(len(stream) for stream in streams))
    states, words = [1 << 31] * lanes, []
    for stream, table in reversed(list(zip(streams, tables, strict=True))):
        frequencies = [int(f) for f in table.frequencies]
        for first in reversed(range(0, len(stream), lanes)):
            out = []
            for lane, value in enumerate(stream[first : first + lanes]):
                place = list(table.symbols).index(value)
                f, start, x = frequencies[place], sum(frequencies[:place]), states[lane]
                if x >= f << 39:
                    out.append(x & 0xFFFFFFFF)
                    x >>= 32
                states[lane] = (x // f << 24) + start + x % f
            words = out + words
    return [part for x in states for part in (x & 0xFFFFFFFF, x >> 32)] + words


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**31 - 1) | st.integers(0, 3), max_size=300), max_size=4))
def test_streams_come_back_and_words_are_the_twins(streams):
    streams = [np.array(stream, np.int64) for stream in streams]
    tables = [Table.of(stream) for stream in streams]
    words = encode(streams, tables)
    assert words.tolist() == slow_encode(streams, tables)
    found = decode(words, [len(stream) for stream in streams], tables)
    assert [one.tolist() for one in found] == [stream.tolist() for stream in streams]


def test_many_lanes_are_those_of_the_twin():
    random = np.random.default_rng(0)
    streams = [random.geometric(0.1, 12_500), random.integers(0, 3, 1111)]
    tables = [Table.of(stream) for stream in streams]
    assert num_lanes(len(streams[0]) + len(streams[1])) == 3
    assert encode(streams, tables).tolist() == slow_encode(streams, tables)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 2**20), min_size=1, max_size=15))
def test_frequencies_sum_to_a_power_of_two(counts):
    table = Table(np.arange(len(counts)), np.array(counts))
    assert table.frequencies.sum() == 2**24
    assert table.frequencies.min() >= 1


def test_what_rounding_leaves_goes_to_the_first_of_the_greatest():
    table = Table(np.arange(3), np.array([1, 3, 3]))
    assert table.frequencies.tolist() == [2_396_745, 7_190_236, 7_190_235]


@pytest.mark.parametrize("size", [2, 1024, 65_536])
def test_codes_take_little_more_than_the_entropy(size):
    random = np.random.default_rng(1)
    stream = np.minimum(random.geometric(min(0.9, 3 / size), 200_000), size) - 1
    table = Table.of(stream)
    bits = 32 * len(encode([stream], [table])) / len(stream)
    assert table.entropy <= bits < table.entropy * 1.001 + 0.02


def test_as_few_words_as_constriction_needs():
    import constriction

    random = np.random.default_rng(2)
    stream = np.minimum(random.geometric(0.01, 100_000), 1024) - 1
    table = Table.of(stream)
    shares = np.zeros(1024)
    shares[table.symbols] = table.counts / table.total
    coder = constriction.stream.queue.RangeEncoder()
    coder.encode(stream.astype(np.int32), constriction.stream.model.Categorical(shares, perfect=False))
    theirs, mine = len(coder.get_compressed()), len(encode([stream], [table]))
    assert mine - 2 * num_lanes(len(stream)) <= theirs * 1.0005


def test_nothing_to_code():
    assert decode(encode([], []), [], []) == []
    empty = np.zeros(0, np.int64)
    assert decode(encode([empty], [Table.of(empty)]), [0], [Table.of(empty)])[0].tolist() == []
    assert Table.of(empty).entropy == 0


def test_words_of_something_else_are_refused():
    stream = np.arange(3000) % 50
    table = Table.of(stream)
    words = encode([stream], [table])
    for wrong in (words[:1], words[:-1], np.append(words, np.uint32(1)), words[::-1]):
        with pytest.raises(ValueError, match="coded symbols"):
            decode(wrong, [3000], [table])
