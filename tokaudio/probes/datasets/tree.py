"""A corpus on disk: what must be there, what is there, and an error that says what is missing."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.probes.errors import ProbeError

Facts = Mapping[str, str | None]


class Tree:
    """A folder that holds a corpus in its official layout.

    Args:
        root: the folder, or the one that it is in.
        corpus: title of the corpus, for errors.
        inner: names that the folder itself may have, where `root` is the one that it is in.

    Raises:
        ProbeError: there is no such folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Tree(folder, "LJSpeech").require("wavs")
        Traceback (most recent call last):
        tokaudio.probes.errors.ProbeError: ...: LJSpeech has no wavs; give the folder it was unpacked to
    """

    def __init__(self, root: str | os.PathLike[str], corpus: str, *, inner: Sequence[str] = ()) -> None:
        self.corpus, self.root = corpus, Path(root)
        if not self.root.is_dir():
            raise ProbeError(one_line(root, "is no folder", f"give the folder that {corpus} was unpacked to"))
        self.root = next((self.root / name for name in inner if (self.root / name).is_dir()), self.root)
        self._listed: dict[str, set[str]] = {}

    def has(self, *parts: str) -> bool:
        """Return whether a file or folder is there."""
        path = Path(*parts)
        folder = str(path.parent)
        if folder not in self._listed:
            place = self.root / folder
            self._listed[folder] = {one.name for one in os.scandir(place)} if place.is_dir() else set()
        return path.name in self._listed[folder]

    def require(self, *choices: str) -> str:
        """Return the first that is there of some files or folders, by their paths inside.

        Raises:
            ProbeError: none of them is.
        """
        for one in choices:
            if self.has(*Path(one).parts):
                return one
        lacks = " or ".join(choices)
        raise ProbeError(one_line(self.root, f"{self.corpus} has no {lacks}", "give the folder it was unpacked to"))

    def folders(self, folder: str = ".") -> list[str]:
        """Return the names of folders in a folder, in order."""
        return sorted(one.name for one in os.scandir(self.root / folder) if one.is_dir())

    def files(self, folder: str, *suffixes: str) -> list[str]:
        """Return the names of files in a folder that end in one of the suffixes, in order."""
        place = self.root / folder
        found = os.scandir(place) if place.is_dir() else ()
        return sorted(one.name for one in found if one.name.endswith(suffixes) and not one.name.startswith("."))

    def text(self, path: str) -> str:
        """Return a text file.

        Raises:
            ProbeError: it cannot be read.
        """
        try:
            return (self.root / path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            problem = f"cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8 text'})"
            raise ProbeError(one_line(self.root / path, problem, f"unpack {self.corpus} again")) from error

    def lines(self, path: str) -> Iterator[str]:
        """Return the lines of a text file that are not empty."""
        return (line for line in self.text(path).splitlines() if line.strip())

    def rows(self, path: str, *columns: str, delimiter: str = ",", quoted: bool = True) -> Iterator[dict[str, str]]:
        """Return the rows of a table with a line of names.

        Args:
            path: inside.
            *columns: that it must have.
            delimiter: between columns.
            quoted: whether quotation marks enclose values; otherwise they are part of them.

        Raises:
            ProbeError: a column is missing.
        """
        table = io.StringIO(self.text(path), newline="")
        reader = csv.DictReader(table, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
        lacks = [name for name in columns if name not in (reader.fieldnames or ())]
        if lacks:
            problem = f"has no column {', '.join(lacks)}"
            raise ProbeError(one_line(self.root / path, problem, f"unpack {self.corpus} again"))
        return iter(reader)

    def recording(self, path: str, facts: Facts) -> Recording:
        """Return a recording by its path inside; facts that are None or empty are left out."""
        return Recording(self.root / path, path, {name: value for name, value in facts.items() if value})

    def place(self, path: str) -> str:
        """Return the whole path of a file inside, for a fact that names other sound."""
        return str(self.root / path)

    def checked(self, recordings: Iterable[Recording]) -> list[Recording]:
        """Return recordings, all of which must be there.

        Raises:
            ProbeError: some are not, or there are none.
        """
        found = list(recordings)
        if not found:
            raise ProbeError(one_line(self.root, f"{self.corpus} holds no recordings", "unpack it here"))
        missing = [one.name for one in found if not self.has(*Path(one.name).parts)]
        if missing:
            problem = f"{self.corpus} lacks {len(missing)} of {len(found)} recordings, such as {missing[0]}"
            raise ProbeError(one_line(self.root, problem, "unpack the rest of it here"))
        return found
