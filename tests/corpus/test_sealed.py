"""Lines that know their own SHA-256."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.corpus.sealed import seal, unseal
from tokaudio.errors import CorpusError

values = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.none(), st.lists(st.text()))
records = st.dictionaries(st.text(), values, min_size=1)


@given(records)
def test_records_come_back(record: dict[str, object]) -> None:
    line = seal(record)
    assert unseal(line) == record
    assert "\n" not in line and line.isascii()
    assert list(json.loads(line))[-1] == "seal"


@given(records, st.data())
def test_no_bit_flips_unnoticed(record: dict[str, object], data: st.DataObject) -> None:
    line = bytearray(seal(record).encode())
    bit = data.draw(st.integers(0, 8 * len(line) - 1))
    line[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorpusError):
        unseal(line.decode("latin-1"))


@pytest.mark.parametrize("text", ["", "{}", "null", '{"a":1}', seal({"a": 1})[:-1], " " + seal({"a": 1})])
def test_what_was_not_sealed_is_refused(text: str) -> None:
    with pytest.raises(CorpusError, match="damaged"):
        unseal(text)


def test_names_that_are_no_text_stay_what_they_are() -> None:
    assert unseal(seal({"path": "caf\udce9.wav"})) == {"path": "caf\udce9.wav"}
