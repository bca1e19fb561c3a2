"""Label files as others write them: Praat's TextGrid, NIST's CTM, and `.lab` files of xwaves and of HTK.

    read_textgrid("a.TextGrid")["phones"].names
    read_ctm("words.ctm")["a"].names
    read_label_file("a.lab", tier="phone")["phone"].names

All give [`Segments`][tokaudio.analysis.annotated.labels.Segments], in seconds. Intervals without
text are gaps, without a label.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from tokaudio.analysis.annotated.labels import Segments, read_lab
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.errors import one_line

LABEL_SUFFIXES = (".textgrid", ".ctm", ".lab")
"""Of the files that are read here, in lower case."""

# Of Praat's text, only strings, flags and numbers that stand free mean anything; all else is there for the reader.
_TEXTGRID_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(<\w+>|[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?!\S)')
# Seconds by which a segment may begin before the end of the one before it: times are written rounded.
_ROUNDED = 2e-3
_HTK_UNIT = 1e-7

_TIERS = {
    "phone": ("phone", "phones", "phoneme", "phonemes", "phn", "segment", "segments", "mau"),
    "word": ("word", "words", "wrd", "ort-mau"),
}

Row = tuple[float, float, str]
Parsed = TypeVar("Parsed")


def tier_kind(name: str) -> str | None:
    """Return `phone` or `word` for the name of a tier, None for others; `ann - phones` is of phones.

    Example:
        >>> tier_kind("Phones"), tier_kind("ann - words"), tier_kind("tones")
        ('phone', 'word', None)
    """
    last = name.lower().rsplit(" - ", 1)[-1].strip()
    return next((kind for kind, names in _TIERS.items() if last in names), None)


def segments_of(rows: Sequence[Row], where: str | os.PathLike[str]) -> Segments:
    """Return segments of rows of start, end (in seconds) and name, in any order; rows without a name are gaps.

    Args:
        rows: of one tier of one recording.
        where: the file, for messages.

    Raises:
        AnalysisError: if none has a name, a segment ends before it begins, or two of them overlap.

    Example:
        >>> segments_of([(0.5, 0.7, "b"), (0.0, 0.4, "a"), (0.4, 0.5, " ")], "a.ctm").names
        ('a', 'b')
    """
    kept = sorted((start, end, name.strip()) for start, end, name in rows if name.strip())
    if not kept:
        raise AnalysisError(one_line(where, "holds no label", "give a file with at least one"))
    starts, ends = (np.array([row[side] for row in kept]) for side in (0, 1))
    if not np.isfinite([starts, ends]).all() or bool((starts < 0).any()) or bool((ends <= starts).any()):
        bad = next(row for row in kept if not 0 <= row[0] < row[1] < np.inf)
        problem = f"{bad[2]!r} lasts from {bad[0]:g} to {bad[1]:g} s"
        raise AnalysisError(one_line(where, problem, "a label must end after it begins"))
    late = ends[:-1] - starts[1:]
    if late.size and late.max() > _ROUNDED:
        at = int(late.argmax())
        problem = f"{kept[at][2]!r} and {kept[at + 1][2]!r} overlap at {starts[at + 1]:g} s"
        raise AnalysisError(one_line(where, problem, "give one label at a time"))
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    return Segments(starts, ends, tuple(row[2] for row in kept))


def read_textgrid(path: str | os.PathLike[str]) -> dict[str, Segments]:
    r"""Read the interval tiers of a TextGrid, in Praat's long or short form, by name; tiers without text are left out.

    Raises:
        AnalysisError: if the file cannot be read, is no TextGrid, or no interval has a text.

    Example:
        >>> import tempfile
        >>> text = 'File type = "ooTextFile"\nObject class = "TextGrid"\n0\n1\n<exists>\n1\n'
        >>> text += '"IntervalTier"\n"phones"\n0\n1\n2\n0\n0.4\n"a"\n0.4\n1\n""\n'
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "a.TextGrid")
        ...     _ = file.write_text(text)
        ...     read_textgrid(file)["phones"].names
        ('a',)
    """
    tokens = iter([m[2] if m[1] is None else m[1].replace('""', '"') for m in _TEXTGRID_TOKEN.finditer(_text(path))])
    if [next(tokens, None), next(tokens, None)] != ["ooTextFile", "TextGrid"]:
        raise AnalysisError(one_line(path, "is no TextGrid", "save it in Praat as a text file or a short text file"))
    tiers: dict[str, list[Row]] = {}
    try:
        next(tokens), next(tokens)
        if next(tokens) == "<exists>":
            for _ in range(int(next(tokens))):
                kind, name = next(tokens), next(tokens)
                next(tokens), next(tokens)
                rows = tiers.setdefault(name, [])
                for _ in range(int(next(tokens))):
                    if kind == "IntervalTier":
                        rows.append((float(next(tokens)), float(next(tokens)), next(tokens)))
                    else:
                        next(tokens), next(tokens)
    except (StopIteration, ValueError):
        raise AnalysisError(one_line(path, "is a damaged TextGrid", "save it in Praat again")) from None
    told = {name: segments_of(rows, path) for name, rows in tiers.items() if any(row[2].strip() for row in rows)}
    if not told:
        raise AnalysisError(one_line(path, "holds no interval with a text", "give a file with at least one"))
    return told


def read_ctm(path: str | os.PathLike[str]) -> dict[str, Segments]:
    r"""Read a CTM file: lines `RECORDING CHANNEL START DURATION NAME`, more columns allowed, by recording.

    Raises:
        AnalysisError: if the file cannot be read, or a line is of another form.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "words.ctm")
        ...     _ = file.write_text("a 1 0.0 0.3 good 0.99\na 1 0.3 0.4 day\n")
        ...     read_ctm(file)["a"].ends.round(3).tolist()
        [0.3, 0.7]
    """

    def row(parts: list[str]) -> tuple[str, Row]:
        start = float(parts[2])
        return parts[0], (start, start + float(parts[3]), parts[4])

    rows: dict[str, list[Row]] = {}
    form = "RECORDING CHANNEL START DURATION NAME, such as 'a 1 0.25 0.1 yes'"
    for recording, one in _parsed(path, row, form):
        rows.setdefault(recording, []).append(one)
    if not rows:
        raise AnalysisError(one_line(path, "holds no label", "give a file with at least one"))
    return {name: segments_of(own, path) for name, own in rows.items()}


def read_htk(path: str | os.PathLike[str]) -> Segments:
    r"""Read a `.lab` file in the form of HTK: lines `START END NAME`, times in units of 100 ns.

    Raises:
        AnalysisError: if the file cannot be read, or a line is of another form.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "a.lab")
        ...     _ = file.write_text("0 3000000 sil\n3000000 4500000 a\n")
        ...     read_htk(file).ends.round(3).tolist()
        [0.3, 0.45]
    """

    def row(parts: list[str]) -> Row:
        if not (parts[0].isdecimal() and parts[1].isdecimal()):
            raise ValueError
        return float(parts[0]) * _HTK_UNIT, float(parts[1]) * _HTK_UNIT, parts[2]

    return segments_of(list(_parsed(path, row, "START END NAME in units of 100 ns, such as '0 3000000 a'")), path)


def read_label_file(
    path: str | os.PathLike[str], *, tier: str | None = None, recording: str | None = None
) -> Mapping[str, Segments]:
    """Read a label file of any form, by its suffix, as `phone` and `word` segments of one recording.

    Args:
        path: of a `.TextGrid`, `.ctm` or `.lab` file.
        tier: `phone` or `word`; what the only tier holds, or which of several to take. By default a TextGrid gives
            both, a `.lab` file phones, and a CTM file words, unless its name has `phone` in it.
        recording: whose lines of a CTM file to take; by default the stem of the path.

    Returns:
        Segments by `phone` and `word`; nothing where a CTM file says nothing about the recording.

    Raises:
        AnalysisError: as the readers, or if a TextGrid has no such tier, or the suffix is another.

    Example:
        >>> read_label_file("a.txt")
        Traceback (most recent call last):
        tokaudio.analysis.statistics.contingency.AnalysisError: a.txt: is no label file; give one of .textgrid .ctm .lab
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".textgrid":
        return _tiers(read_textgrid(path), path, tier)
    if suffix == ".ctm":
        own = read_ctm(path).get(Path(path).stem if recording is None else recording)
        return {} if own is None else {ctm_tier(path) if tier is None else tier: own}
    if suffix == ".lab":
        lines = [line for line in _text(path).splitlines() if line.strip()]
        htk = bool(lines) and re.match(r"\s*\d+\s+\d+\s+\S", lines[0]) is not None
        return {tier or "phone": read_htk(path) if htk else read_lab(path)}
    raise AnalysisError(one_line(path, "is no label file", f"give one of {' '.join(LABEL_SUFFIXES)}"))


def ctm_tier(path: str | os.PathLike[str]) -> str:
    """Return what a CTM file holds, by its name: `phone` if that has `phone` in it, otherwise `word`.

    Example:
        >>> ctm_tier("train.phones.ctm"), ctm_tier("train.ctm")
        ('phone', 'word')
    """
    return "phone" if "phone" in Path(path).name.lower() else "word"


def _tiers(tiers: Mapping[str, Segments], path: str | os.PathLike[str], wanted: str | None) -> dict[str, Segments]:
    found: dict[str, Segments] = {}
    for name, segments in tiers.items():
        kind = tier_kind(name)
        if kind is None or wanted not in (None, kind):
            continue
        if kind in found:
            problem = f"has several tiers of {kind}s"
            raise AnalysisError(one_line(path, problem, "give one speaker per recording"))
        found[kind] = segments
    if not found and len(tiers) == 1 and wanted is not None:
        return {wanted: next(iter(tiers.values()))}
    if not found:
        remedy = "name a tier phones or words"
        raise AnalysisError(one_line(path, f"has only tiers {', '.join(map(repr, tiers))}", remedy))
    return found


def _parsed(path: str | os.PathLike[str], parse: Callable[[list[str]], Parsed], form: str) -> Iterator[Parsed]:
    """Yield what is made of the words of each line; empty lines, and comments from ;; on, say nothing."""
    for number, line in enumerate(_text(path).splitlines(), start=1):
        parts = line.split()
        if not parts or parts[0].startswith(";;"):
            continue
        try:
            yield parse(parts)
        except (ValueError, IndexError):
            raise AnalysisError(one_line(path, f"line {number} is {line[:40]!r}", f"a line is {form}")) from None


def _text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 where it begins with a byte order mark, as Praat writes it."""
    try:
        raw = Path(path).read_bytes()
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})"
        raise AnalysisError(one_line(path, problem, "give a label file")) from error
