"""English numerals written out, so that "5" and "five" compare as the same word."""

from __future__ import annotations

import re

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ("", "", *["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_LONGEST = 12


def cardinal(number: int) -> str:
    """Return a non-negative integer in words, in the American manner (without "and").

    Args:
        number: 0 or more, below a trillion.

    Raises:
        ValueError: The number is negative, or a trillion or more.

    Example:
        >>> cardinal(1_215)
        'one thousand two hundred fifteen'
    """
    if not 0 <= number < 10**_LONGEST:
        raise ValueError(f"{number}: has no numeral here; pass an integer from 0 to a trillion")
    for scale, name in _SCALES:
        if number >= scale:
            rest = f" {cardinal(number % scale)}" if number % scale else ""
            return f"{cardinal(number // scale)} {name}{rest}"
    if number < 20:
        return _ONES[number]
    return _TENS[number // 10] + (f" {_ONES[number % 10]}" if number % 10 else "")


def ordinal(number: int) -> str:
    """Return the ordinal of a non-negative integer in words.

    Raises:
        ValueError: The number is negative, or a trillion or more.

    Example:
        >>> ordinal(21), ordinal(40)
        ('twenty first', 'fortieth')
    """
    *front, last = cardinal(number).split()
    if last in _IRREGULAR_ORDINALS:
        last = _IRREGULAR_ORDINALS[last]
    else:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return " ".join([*front, last])


def _digits(text: str) -> str:
    """Read a run of digits: as a number, in pairs (four digits: times and years), or digit by digit."""
    if len(text) > _LONGEST or (len(text) > 1 and text[0] == "0"):
        return " ".join(_ONES[int(digit)] for digit in text)
    if len(text) == 4 and text[1:3] != "00":
        hundreds, rest = text[:2], text[2:]
        return f"{cardinal(int(hundreds))} {'hundred' if rest == '00' else _minutes(rest)}"
    return cardinal(int(text))


def _minutes(text: str) -> str:
    """Read the two digits after the hour: "05" is "oh five"."""
    return f"oh {_ONES[int(text[1])]}" if text[0] == "0" else cardinal(int(text))


def _clock(match: re.Match[str]) -> str:
    hour, minutes = match.groups()
    return f" {cardinal(int(hour))} {'' if minutes == '00' else _minutes(minutes)} "


def spell_numbers(text: str) -> str:
    """Return lower-case `text` with every numeral replaced by words.

    Ordinals ("3rd"), times ("8:15", "8.15"), decimals ("2.5"), grouped thousands ("1,000") and four digits
    without a group ("1015", read in pairs: "ten fifteen") are told apart; other numbers become cardinals, numbers
    that start with 0 or have more than twelve digits are read digit by digit. Surplus spaces may remain.

    Example:
        >>> " ".join(spell_numbers("the 3rd at 10:15, 500 of 1,000").split())
        'the third at ten fifteen , five hundred of one thousand'
    """
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"(?<![\d.])(\d{1,2})[:.](\d{2})(?![\d.]*\d)", _clock, text)
    text = re.sub(r"(\d{1,12})(?:st|nd|rd|th)\b", lambda match: f" {ordinal(int(match.group(1)))} ", text)
    text = re.sub(r"(?<=\d)\.(?=\d)", " point ", text)
    return re.sub(r"\d+", lambda match: f" {_digits(match.group())} ", text)
