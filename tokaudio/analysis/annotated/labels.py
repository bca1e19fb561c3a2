"""Labels of recordings: phone times from `.lab` files, and one label per frame from times.

    labs = find_labs("lab")  # name of a recording, without its suffix, to its .lab file
    segments = read_lab(labs["ru_0001"])
    segments.check(duration, "ru_0001.lab")
    phones = Vocabulary()
    numbers = phones.numbers(segments.names_at(frame_centres(frames, Fraction(50))))

A frame has the label of its centre, as in HuBERT (arXiv:2106.07447, III-B): frames are shorter than most phones.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tokaudio.analysis.statistics.contingency import AnalysisError, Integers
from tokaudio.errors import one_line

Times = NDArray[np.float64]

# Seconds by which labels may end before or after their audio: alignments round to frames, and may leave out silence.
TOLERANCE = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Stretches of time with a name each, in order and without overlap.

    Attributes:
        starts: in seconds `[n]`.
        ends: in seconds `[n]`; a start may lie after the end before it, where there is a gap without a label.
        names: n of them.
    """

    starts: Times
    ends: Times
    names: tuple[str, ...]

    @property
    def end(self) -> float:
        """Where the last one ends, in seconds."""
        return float(self.ends[-1])

    def names_at(self, times: Times) -> list[str | None]:
        """Return the name at each time, None outside all segments; a time on a border belongs to what begins there.

        Example:
            >>> segments = Segments(np.array([0.0, 0.3]), np.array([0.3, 0.5]), ("a", "b"))
            >>> segments.names_at(np.array([0.0, 0.3, 0.5]))
            ['a', 'b', None]
        """
        index = np.searchsorted(self.ends, times, side="right")
        inside = index < len(self.ends)
        inside[inside] = self.starts[index[inside]] <= times[inside]
        return [self.names[i] if found else None for i, found in zip(index, inside, strict=True)]

    def check(self, duration: float, where: str | os.PathLike[str], *, tolerance: float = TOLERANCE) -> None:
        """Refuse labels that end at another place than their audio.

        Args:
            duration: of the audio, in seconds.
            where: the file of labels, for the message.
            tolerance: in seconds.

        Raises:
            AnalysisError: if they differ by more.
        """
        if abs(self.end - duration) > tolerance:
            problem = f"its labels end at {self.end:.2f} s and the audio at {duration:.2f} s"
            raise AnalysisError(one_line(where, problem, "give the labels of this recording"))


class Vocabulary:
    """Names as numbers, in the order in which they first appear.

    Example:
        >>> speakers = Vocabulary()
        >>> speakers.numbers(["ann", None, "bob", "ann"])
        array([ 0, -1,  1,  0])
        >>> speakers.names
        ['ann', 'bob']
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """All names, by number."""
        return list(self._known)

    def numbers(self, names: Sequence[str | None]) -> Integers:
        """Return the number of each name, -1 for None; names that are new get the next number."""
        known = self._known
        return np.array([-1 if name is None else known.setdefault(name, len(known)) for name in names], dtype=np.int64)


def frame_centres(frames: int, frame_rate: Fraction | float) -> Times:
    """Return where the centre of each frame lies, in seconds `[T]`: frame t lasts from `t / rate` to `(t + 1) / rate`.

    Example:
        >>> frame_centres(3, Fraction(50)).round(3).tolist()
        [0.01, 0.03, 0.05]
    """
    return (np.arange(frames, dtype=np.float64) + 0.5) / float(frame_rate)


def read_lab(path: str | os.PathLike[str]) -> Segments:
    r"""Read a `.lab` file in the form of xwaves, as festvox voices have it.

    Lines after the first `#` say where a segment ends, in seconds, a colour, and its name; the first begins at 0.

    Raises:
        AnalysisError: if the file cannot be read, holds no label, or its times do not ascend.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "a.lab")
        ...     _ = file.write_text("#\n0.3 125 pau\n0.4 125 a\n")
        ...     read_lab(file).names
        ('pau', 'a')
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})"
        raise AnalysisError(one_line(path, problem, "give a .lab file")) from error
    stripped = [line.strip() for line in lines]
    if "#" not in stripped:
        raise AnalysisError(one_line(path, "has no line '#' before its labels", "give a .lab file as xwaves writes it"))
    ends: list[float] = []
    names: list[str] = []
    for number, line in enumerate(stripped[stripped.index("#") + 1 :], start=stripped.index("#") + 2):
        if not line:
            continue
        parts = line.split(None, 2)
        try:
            end, name = float(parts[0]), parts[2]
        except (ValueError, IndexError):
            remedy = "a line is END COLOUR NAME, such as '0.25 125 a'"
            raise AnalysisError(one_line(path, f"line {number} is {line[:40]!r}", remedy)) from None
        if not end > (ends[-1] if ends else 0.0) or not np.isfinite(end):
            raise AnalysisError(one_line(path, f"line {number} ends at {parts[0]} s", "times must ascend from 0"))
        ends.append(end)
        names.append(name.split(";")[0].strip())
    if not ends:
        raise AnalysisError(one_line(path, "holds no label", "give a .lab file with at least one"))
    borders = np.array([0.0, *ends])
    return Segments(borders[:-1], borders[1:], tuple(names))


def find_labs(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the `.lab` files in a folder and those below it, by name without the suffix.

    Raises:
        AnalysisError: if there are none, or two of one name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "ru_0001.lab").touch()
        ...     list(find_labs(folder))
        ['ru_0001']
    """
    found: dict[str, Path] = {}
    for path in sorted(Path(folder).rglob("*.lab")):
        if path.stem in found:
            problem = f"has the same name as {found[path.stem]}"
            raise AnalysisError(one_line(path, problem, "give the labels of one set of recordings"))
        found[path.stem] = path
    if not found:
        raise AnalysisError(one_line(folder, "holds no .lab file", "give a folder with label files"))
    return found
