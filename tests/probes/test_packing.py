"""Arrays in few letters: exact for all that results may hold, and refused where they are damaged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tokaudio.probes.packing import LEAST, Packer, unpacked, unpacked_arrays

FINITE = st.floats(allow_infinity=False, allow_nan=False)
DIGITS = st.integers(-(10**7), 10**7).map(lambda number: round(number / 1e4, 4))


def back(array: np.ndarray[Any, Any]) -> Any:
    packer = Packer()
    document = json.loads(json.dumps([packer.pack(array), packer.arrays], allow_nan=False))
    return unpacked(document[0], unpacked_arrays(document[1]))


@given(arrays(np.float64, array_shapes(min_side=8, max_side=16, min_dims=2, max_dims=3), elements=FINITE | DIGITS))
def test_any_numbers_come_back_exactly(array: Any) -> None:
    found = back(array)
    assert found.dtype == np.float64 and np.array_equal(found, array)


@pytest.mark.parametrize("digits", [0, 2, 4, 9])
def test_what_was_not_scored_stays_so(digits: int) -> None:
    array = np.random.default_rng(0).uniform(-1, 1, (3, 50)).round(digits)
    array[1, 7] = np.nan
    assert np.array_equal(back(array), array, equal_nan=True)


@pytest.mark.parametrize("largest", [100, 127, 128, 30_000, 40_000, 2**31, 2**40])
def test_whole_numbers_take_the_bytes_they_need(largest: int) -> None:
    array = np.arange(LEAST) * 0 - largest
    array[0] = largest
    packer = Packer()
    packer.pack(array)
    size = np.dtype(packer.arrays[0]["type"]).itemsize
    assert size == next(n for n in (1, 2, 4, 8) if largest < 2 ** (8 * n - 1))
    assert np.array_equal(back(array), array)


def test_equal_arrays_are_kept_once_and_small_ones_are_lists() -> None:
    packer, array = Packer(), np.linspace(0, 1, 60)
    assert packer.pack(array) == packer.pack(array.copy()) == {"array": 0}
    assert packer.pack(array.reshape(6, 10)) == {"array": 1} and packer.pack(array[:3]) == array[:3].tolist()
    assert len(packer.arrays) == 2


def test_what_cannot_be_packed_exactly_is_refused() -> None:
    for array in (np.full(60, np.inf), np.full(60, 2**60 + 1)):
        with pytest.raises(ValueError, match="exactly"):
            Packer().pack(array)


GOOD = {"type": "int8", "digits": 0, "shape": [60]}


@pytest.mark.parametrize(
    "change",
    [
        {"type": "object"},
        {"type": ["int8"]},
        {"digits": 99},
        {"digits": None},
        {"shape": [61]},
        {"shape": [-60, -1]},
        {"shape": [True] * 60},
        {"shape": [2**39, 2**39]},
        {"shape": 60},
        {"data": "z"},
        {"data": None},
        {"data": "\u00e4"},
        {"type": "int16"},
    ],
)
def test_damaged_arrays_are_refused(change: dict[str, Any]) -> None:
    packer = Packer()
    packer.pack(np.arange(60))
    assert packer.arrays[0] == {**GOOD, "data": packer.arrays[0]["data"]}
    with pytest.raises(ValueError, match="array 0 is damaged"):
        unpacked_arrays([{**packer.arrays[0], **change}])
    for entries in ([{"type": "int8"}], ["x"], [None]):
        with pytest.raises(ValueError, match="array 0 is damaged"):
            unpacked_arrays(entries)
    with pytest.raises(ValueError, match="no list"):
        unpacked_arrays({})


@pytest.mark.parametrize("place", [1, -1, "0", True, None])
def test_a_place_without_an_array_is_refused(place: Any) -> None:
    with pytest.raises(ValueError, match="there is no array"):
        unpacked({"a": [{"array": place}]}, [np.arange(3)])
