"""Numerals written out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaudio.metrics.numerals import cardinal, ordinal, spell_numbers

_VALUES = {
    word: n
    for n, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
}
_VALUES |= {
    word: n
    for n, word in enumerate(
        ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"], start=13
    )
}
_VALUES |= {
    w: 10 * n
    for n, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}


def _parse(words: str) -> int:
    """The slow, obvious inverse: accumulate below a thousand, flush at each scale."""
    total = group = 0
    for word in words.split():
        if word in _SCALES:
            total, group = total + group * _SCALES[word], 0
        elif word == "hundred":
            group *= 100
        else:
            group += _VALUES[word]
    return total + group


@given(st.integers(0, 10**12 - 1))
def test_cardinals_read_back_as_the_same_number(number: int) -> None:
    assert _parse(cardinal(number)) == number


@pytest.mark.parametrize("number", [-1, 10**12])
def test_numbers_without_a_numeral_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="no numeral"):
        cardinal(number)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        *[(1, "first"), (2, "second"), (3, "third"), (5, "fifth"), (8, "eighth"), (9, "ninth"), (12, "twelfth")],
        *[(14, "fourteenth"), (20, "twentieth"), (33, "thirty third"), (40, "fortieth"), (100, "one hundredth")],
    ],
)
def test_ordinals(number: int, words: str) -> None:
    assert ordinal(number) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("5", "five"),
        ("1st and 22nd", "first and twenty second"),
        ("8:15", "eight fifteen"),
        ("8.05 or 10:00", "eight oh five or ten"),
        ("1015", "ten fifteen"),
        ("1999 1905 2000 1100", "nineteen ninety nine nineteen oh five two thousand eleven hundred"),
        ("1,000,000", "one million"),
        ("2.5", "two point five"),
        ("007", "zero zero seven"),
        ("1234567890123", "one two three four five six seven eight nine zero one two three"),
        ("h323", "h three hundred twenty three"),
        ("no digits here", "no digits here"),
    ],
)
def test_spelled_text(text: str, words: str) -> None:
    assert " ".join(spell_numbers(text).split()) == words


@given(st.text(alphabet="0123456789.,: abst", max_size=30))
def test_no_digit_survives(text: str) -> None:
    assert not any(character.isdigit() for character in spell_numbers(text))
