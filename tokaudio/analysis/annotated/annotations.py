"""What is known about recordings: when which phone and word is said, who speaks, in which language and mood.

    annotations = read_annotations("manifest.jsonl")  # or a folder of label files, or one CTM file
    known = annotations.of(recording)
    known.segments["phone"], known.facts["speaker"]

Label files are read one at a time, when their recording is asked for: an index is all that is kept of a corpus.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tokaudio.analysis.annotated.label_files import LABEL_SUFFIXES, ctm_tier, read_ctm, read_label_file, segments_of
from tokaudio.analysis.annotated.labels import TOLERANCE, Segments, Times
from tokaudio.analysis.statistics.contingency import AnalysisError
from tokaudio.audio.manifest import MANIFEST_SUFFIXES, Recording, read_manifest
from tokaudio.errors import one_line
from tokaudio.json_text import parse_json

UNKNOWN = ("spn", "<unk>", "unk", "[unk]", "<eps>", "?")
"""Names, in lower case, by which aligners say that they know no name; such frames have no label, and are counted."""

FACTS = {
    "speaker": ("speaker", "speaker_id", "voice"),
    "language": ("language", "lang", "locale"),
    "emotion": ("emotion",),
}
"""Labels of whole recordings, with the columns of manifests that may hold them."""

_COLUMNS = {
    "phone": ("phones", "phone", "phn"),
    "word": ("words", "word", "wrd"),
    None: ("textgrid", "labels", "lab", "alignment"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """What is known about one recording.

    Attributes:
        segments: times of names, by `phone` and `word`.
        facts: names for the whole recording, by `speaker`, `language` and `emotion`.
        source: where the segments are from, for messages.
    """

    segments: Mapping[str, Segments] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def check(self, duration: float, *, tolerance: float = TOLERANCE) -> None:
        """Refuse segments that end after their audio: they are another recording's.

        Silence at the end need not be labelled, so that segments may end early.

        Args:
            duration: of the audio, in seconds.
            tolerance: in seconds.

        Raises:
            AnalysisError: if some end later.

        Example:
            >>> Annotation({"word": segments_of([(0.0, 0.5, "yes")], "a.ctm")}, source="a.ctm").check(0.6)
        """
        last = max((one.end for one in self.segments.values()), default=0.0)
        if last > duration + tolerance:
            problem = f"its labels end at {last:.2f} s and the audio at {duration:.2f} s"
            raise AnalysisError(one_line(self.source, problem, "give the labels of this recording"))

    def names_at(self, times: Times) -> tuple[dict[str, list[str | None]], int]:
        """Return the names of every kind of label at times in seconds `[T]`, and how many were unknown ones.

        Example:
            >>> import numpy as np
            >>> phones = segments_of([(0.0, 0.5, "a"), (0.5, 1.0, "spn")], "a.ctm")
            >>> Annotation({"phone": phones}, {"speaker": "ann"}).names_at(np.array([0.2, 0.7]))
            ({'phone': ['a', None], 'speaker': ['ann', 'ann']}, 1)
        """
        names: dict[str, list[str | None]] = {kind: one.names_at(times) for kind, one in self.segments.items()}
        unknown = 0
        for kind, row in names.items():
            known = [None if name is None or name.lower() in UNKNOWN else name for name in row]
            unknown += known.count(None) - row.count(None)
            names[kind] = known
        return names | {kind: [name] * len(times) for kind, name in self.facts.items()}, unknown


Reader = Callable[[Recording], Annotation]


class Annotations:
    """What is known about many recordings, found by their path, or else by their name without folder and suffix.

    Args:
        by_path: what reads it, by absolute path.
        by_stem: the same by name.

    Example:
        >>> known = Annotations(by_stem={"a": lambda recording: Annotation(facts={"speaker": "ann"})})
        >>> known.of(Recording(Path("x/a.wav"), "a.wav")).facts
        {'speaker': 'ann'}
    """

    def __init__(
        self, by_path: Mapping[str, Reader] | None = None, by_stem: Mapping[str, Reader] | None = None
    ) -> None:
        self._by_path, self._by_stem = by_path or {}, by_stem or {}

    def __len__(self) -> int:
        return len(self._by_path) or len(self._by_stem)

    def __contains__(self, recording: Recording) -> bool:
        return self._reader(recording) is not None

    def _reader(self, recording: Recording) -> Reader | None:
        return self._by_path.get(_absolute(recording.path)) or self._by_stem.get(recording.path.stem)

    def of(self, recording: Recording) -> Annotation:
        """Return what is known about a recording, its own facts included.

        Raises:
            AnalysisError: if its label file cannot be read.
        """
        read = self._reader(recording)
        found = Annotation() if read is None else read(recording)
        return Annotation(found.segments, facts_of(recording.facts) | dict(found.facts), found.source)


def facts_of(columns: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of a whole recording among the columns of a manifest.

    Example:
        >>> facts_of({"path": "a.wav", "voice": "ann", "lang": "en"})
        {'speaker': 'ann', 'language': 'en'}
    """
    found = {kind: next((columns[name] for name in names if name in columns), None) for kind, names in FACTS.items()}
    return {kind: name for kind, name in found.items() if name is not None}


def read_annotations(path: str | os.PathLike[str]) -> Annotations:
    r"""Read what is known about recordings.

    Args:
        path: a manifest (`.jsonl`, `.csv`, `.tsv`) with columns speaker, language, emotion, and phones, words or
            textgrid (a label file relative to the manifest, or in JSON a list of `[start, end, name]`); or a CTM file;
            or a folder with `.TextGrid` and `.lab` files that are named like the recordings.

    Raises:
        AnalysisError: if there are no labels, or two files of one name.
        AudioError: if a manifest cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "all.csv")
        ...     _ = file.write_text("path,speaker\na.wav,ann\n")
        ...     len(read_annotations(file))
        1
    """
    place = Path(path)
    if place.is_dir():
        return Annotations(by_stem={stem: partial(_read_files, own) for stem, own in _label_files(place).items()})
    if place.suffix.lower() == ".ctm":
        kind = ctm_tier(place)
        told = {Path(name).stem: Annotation({kind: own}, {}, str(path)) for name, own in read_ctm(place).items()}
        return Annotations(by_stem={stem: partial(_same, own) for stem, own in told.items()})
    if place.suffix.lower() not in MANIFEST_SUFFIXES:
        remedy = f"give a manifest ({' '.join(MANIFEST_SUFFIXES)}), a CTM file, or a folder of label files"
        raise AnalysisError(one_line(path, "holds no labels that are known", remedy))
    rows = read_manifest(place)
    if not any(facts_of(row.facts) or _columns(row.facts) for row in rows):
        known = ", ".join(name for names in (*FACTS.values(), *_COLUMNS.values()) for name in names)
        raise AnalysisError(one_line(path, "has no column of labels", f"name one of them {known}"))
    readers = [partial(_read_row, row, place) for row in rows]
    stems = [row.path.stem for row in rows]
    alone = len(set(stems)) == len(stems)
    return Annotations(
        {_absolute(row.path): read for row, read in zip(rows, readers, strict=True)},
        dict(zip(stems, readers, strict=True)) if alone else {},
    )


def _same(annotation: Annotation, recording: Recording) -> Annotation:
    return annotation


def _read_files(paths: Sequence[Path], recording: Recording) -> Annotation:
    segments: dict[str, Segments] = {}
    for path in paths:
        segments |= read_label_file(path)
    return Annotation(segments, {}, " and ".join(map(str, paths)))


def _read_row(row: Recording, manifest: Path, recording: Recording) -> Annotation:
    """Return what a row says, with the segments that its columns tell or name a file of."""
    segments: dict[str, Segments] = {}
    source = str(manifest)
    for name, kind in _columns(row.facts).items():
        value = row.facts[name]
        if value.startswith("["):
            segments[kind or "phone"] = _inline(value, row)
        else:
            source = str(manifest.parent / value)
            segments |= read_label_file(source, tier=kind, recording=row.path.stem)
    return Annotation(segments, facts_of(row.facts), source)


def _columns(facts: Mapping[str, str]) -> dict[str, str | None]:
    """Return the columns of a row that tell segments, with what they tell; None for what the file says itself."""
    return {name: kind for kind, names in _COLUMNS.items() for name in names if name in facts}


def _inline(text: str, recording: Recording) -> Segments:
    try:
        rows = [(float(start), float(end), str(name)) for start, end, name in parse_json(text)]
    except (ValueError, TypeError, OverflowError):
        remedy = 'write [[0.0, 0.25, "a"], ...], times in seconds'
        raise AnalysisError(one_line(recording.path, f"its labels are {text[:40]!r}", remedy)) from None
    return segments_of(rows, recording.path)


def _label_files(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in LABEL_SUFFIXES and path.suffix.lower() != ".ctm" and path.is_file():
            same = [other for other in found.get(path.stem, []) if other.suffix.lower() == path.suffix.lower()]
            if same:
                problem = f"has the same name as {same[0]}"
                raise AnalysisError(one_line(path, problem, "give the labels of one set of recordings"))
            found.setdefault(path.stem, []).append(path)
    if not found:
        raise AnalysisError(one_line(folder, "holds no .TextGrid and no .lab file", "give a folder with label files"))
    return found


def _absolute(path: Path) -> str:
    return os.path.normpath(Path.cwd() / path)
