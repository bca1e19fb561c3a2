"""Dataclasses to JSON and back, and what the reader says about fields that are not what they should be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from typing_extensions import TypeAliasType

from tokaudio.probes.errors import ProbeError
from tokaudio.probes.records import from_plain, to_plain


@dataclass(frozen=True)
class Word:
    text: str
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class Number:
    value: int


@dataclass(frozen=True)
class Page:
    title: str
    price: float
    sold: bool
    parts: tuple[Word | Number, ...] = ()
    facts: Mapping[str, str | int] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, eq=False)
class Table:
    cells: NDArray[np.float64]
    places: NDArray[np.int64]


WORDS = st.builds(Word, st.text(), st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple))
PAGES = st.builds(
    Page,
    st.text(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.lists(WORDS | st.builds(Number, st.integers())).map(tuple),
    st.dictionaries(st.text(), st.text() | st.integers()),
    st.none() | st.text(),
)


@given(PAGES)
def test_what_is_written_is_read(page: Page) -> None:
    assert from_plain(Page, json.loads(json.dumps(to_plain(page), allow_nan=False)), "page") == page


def test_arrays_and_what_is_not_finite() -> None:
    table = Table(np.array([[0.5, np.nan], [1, 2]]), np.array([3, 4]))
    plain = to_plain(table)
    assert plain == {"cells": [[0.5, None], [1.0, 2.0]], "places": [3, 4]}
    back = from_plain(Table, plain, "table")
    np.testing.assert_array_equal(back.cells, table.cells)
    assert back.places.dtype == np.int64 and back.cells.dtype == np.float64
    assert to_plain(math.inf) is None and math.isnan(from_plain(Page, {**BOOK, "price": None}, "").price)


Item = TypeVar("Item", bound=np.generic)
Cells = TypeAliasType("Cells", np.ndarray[Any, np.dtype[Item]], type_params=(Item,))


@dataclass(frozen=True, eq=False)
class Row:
    cells: Cells[np.float64]


def test_an_alias_is_what_it_stands_for() -> None:
    assert from_plain(Row, {"cells": [1, 2]}, "row").cells.dtype == np.float64
    with pytest.raises(ProbeError, match=r"^row: cells is 1; give a list of numbers$"):
        from_plain(Row, {"cells": 1}, "row")


BOOK = {"title": "a", "price": 1, "sold": True}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"title": 1}, "b.json: title is 1; give text"),
        ({"price": "1"}, "b.json: price is '1'; give a number"),
        ({"price": True}, "b.json: price is True; give a number"),
        ({"sold": 1}, "b.json: sold is 1; give true or false"),
        ({"parts": {}}, "b.json: parts is {}; give a list"),
        ({"parts": [{"text": "a"}, {"text": 3}]}, "b.json: parts[1].text is 3; give text"),
        ({"parts": [{"value": 1.5}]}, "b.json: parts[0].value is 1.5; give a whole number"),
        ({"facts": {"x": [1]}}, "b.json: facts.x is [1]; give text or a whole number"),
        ({"note": 5}, "b.json: note is 5; give text"),
        ({"colour": 1}, "b.json: colour is no known field; known are title, price, sold, parts, facts, note"),
    ],
)
def test_a_field_of_another_kind_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ProbeError) as refused:
        from_plain(Page, {**BOOK, **change}, "b.json")
    assert str(refused.value) == said


def test_missing_fields_and_long_values_are_named_briefly() -> None:
    with pytest.raises(ProbeError, match=r"^b: title is missing; write it again$"):
        from_plain(Page, {}, "b")
    with pytest.raises(ProbeError, match=r"^b: the document is 'x{36}\.\.\.; give an object$"):
        from_plain(Page, "x" * 999, "b")


@pytest.mark.parametrize("cells", [[[1, 2], [3]], [["1"]], [[True]], 3, [[{}]]])
def test_what_is_no_table_is_refused(cells: Any) -> None:
    with pytest.raises(ProbeError, match="cells is"):
        from_plain(Table, {"cells": cells, "places": [1]}, "b")


@pytest.mark.parametrize("places", [[1.5], [None], [2**70]])
def test_whole_numbers_stay_whole(places: Any) -> None:
    with pytest.raises(ProbeError, match="places is no table of numbers"):
        from_plain(Table, {"cells": [1], "places": places}, "b")
